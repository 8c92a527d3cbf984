"""Every sentence in every language: no entry is missing, none loses what is filled in, Chinese looks Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbp.show.words import ENGLISH, catalogue, languages, law_name, say
from symbp.steps import RULES

SOURCE = "\n".join(
    text
    for p in (Path(__file__).parent.parent / "symbp").rglob("*.py")
    if "symbp.show.words import" in (text := p.read_text(encoding="utf-8")) or p.name == "words.py"
)
OTHERS = [lang for lang in languages() if lang != ENGLISH]


def places(phrase: str) -> set[str]:
    return set(re.findall(r"\{(?:\d|[a-z]+)\}", phrase))


def test_there_is_more_than_one_language() -> None:
    assert languages()[0] == ENGLISH
    assert "zh" in OTHERS


@pytest.mark.parametrize("lang", OTHERS)
def test_no_entry_is_missing_and_none_is_left_over(lang: str) -> None:
    assert set(catalogue(lang)) == set(catalogue(ENGLISH))


@pytest.mark.parametrize("lang", OTHERS)
def test_what_is_filled_in_has_its_place(lang: str) -> None:
    lost = {k for k, phrase in catalogue(ENGLISH).items() if places(phrase) != places(catalogue(lang)[k])}

    assert lost == set()


def test_every_key_that_the_code_says_is_there() -> None:
    said = set(re.findall(r"""\bsay\(\s*f?"([\w-]+)\"""", SOURCE)) | (set(RULES) - {"check"})

    assert len(said) > 40
    assert said - set(catalogue(ENGLISH)) == set()


def test_every_law_has_words() -> None:
    from symbp.show import words

    page = (Path(__file__).parent.parent / "docs" / "derivation.md").read_text(encoding="utf-8")
    laws = set(re.findall(r"^\| [\w, ]+ \| `(\w+)` \|", page, re.M))

    assert len(laws) > 15
    assert {law for law in laws if f"law-{law}" not in words.catalogue(ENGLISH)} == set()
    assert law_name("no_such_law") == "no such law"


def test_chinese_has_chinese_signs() -> None:
    for key, phrase in catalogue("zh").items():
        assert not re.search(r"[\u4e00-\u9fff][,;:()!?.]|[,;:()!?.][\u4e00-\u9fff]", phrase), f"{key}: {phrase}"


def test_a_language_is_one_file_and_what_it_lacks_is_said_in_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symbp.show import words

    (tmp_path / "xx.po").write_text(
        'msgid ""\nmsgstr "x"\n\nmsgid "chain-rule"\nmsgstr "re"\n"gola {0}"\n', encoding="utf-8"
    )
    english = catalogue(ENGLISH)
    monkeypatch.setattr(words, "files", lambda _: tmp_path)
    monkeypatch.setattr(words, "catalogue", lambda lang: english if lang == ENGLISH else catalogue.__wrapped__(lang))

    assert words.languages.__wrapped__() == (ENGLISH, "xx")
    assert say("chain-rule", "xx", "1") == "regola 1"
    assert say("definition", "xx") == "definition"


@pytest.mark.parametrize("lang", languages())
def test_reports_speak_one_language(lang: str) -> None:
    from symbp.commands import DescendOptions, Screen, check, descend

    table, status = check("relu-2", False, 0, Screen(), lang)
    report, _ = descend("one-parameter", DescendOptions(rate="0.02", steps=3, at=("w=2",), lang=lang), Screen())

    assert status == 0
    chinese = re.search(r"[\u4e00-\u9fff]", table + report) is not None
    assert chinese == (lang == "zh")
    english = {"agrees", "against", "gradients", "moves", "Steps", "Loss", "Result", "step", "after", "error"}
    assert english.isdisjoint(re.findall(r"[A-Za-z]+", table + report)) == (lang == "zh")
