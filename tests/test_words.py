"""Every sentence in every language: no entry is missing, none loses what is filled in, Chinese looks Chinese."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from bad_networks import BAD

from symbp.errors import SymbpError
from symbp.show.problems import phrases, translated
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


# ---- error messages -----------------------------------------------------------------------------------------------

CHINESE = re.compile("[\u4e00-\u9fff]")
COMPOSED = {"{0} takes 1 argument, not {1}", "{0} takes {1} arguments, not {2}", "a text cannot stand here"}
SAME = {"range(1, L + 1)"}  # code is the same in every language


def pieces_of_messages() -> str:
    """All strings of the package, what is filled in left out."""
    found = []
    for path in (Path(__file__).parent.parent / "symbp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_every_error_in_the_catalogue_is_one_that_is_raised() -> None:
    strings = pieces_of_messages()
    for lang in OTHERS:
        for english, other in phrases(lang).items():
            pieces = [p.strip() for p in re.split(r"\{\d\}|'|\. |: |; | is | cannot | instead ", english)]
            assert english in COMPOSED or any(
                p in strings for p in pieces if len(p) >= min(10, max(map(len, pieces)))
            ), english
            assert places(english) == places(other), english


@pytest.mark.parametrize(("name", "text", "_fragment", "_line"), BAD, ids=[b[0] for b in BAD])
def test_errors_of_networks_are_said_in_chinese(name: str, text: str, _fragment: str, _line: int) -> None:
    from symbp.derive import derive
    from symbp.read.network import read_network

    with pytest.raises(SymbpError) as caught:
        derive(read_network(text))
    for line in translated(str(caught.value), "zh").split("\n"):
        assert line.startswith("    ") or CHINESE.search(line) or line in SAME, line
    assert translated(str(caught.value), "en") == str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("derive", "nope"),
        ("derive", "relu-2", "--form", "x"),
        ("derive", "relu-2", "--style", "layers=x"),
        ("derive", "relu-2", "--style", "layout=numerator", "--style", "gradient=d"),
        ("derive", "relu-2", "--style", "layout=numerator", "--exercise"),
        ("derive", "relu-2", "--wrt", "Q"),
        ("derive", "deep", "--method", "differential"),
        ("derive", "relu-2", "--set", "L=3"),
        ("derive", "circuit-sigmoid", "--at", "w0=a"),
        ("hessian", "deep", "W"),
        ("jacobian", "relu-2", "a", "Q"),
        ("draw", "relu-2", "--format", "x"),
        ("descend", "ridge", "--rate", "0.1", "--steps", "3"),
        ("verify", "relu-2"),
    ],
)
def test_errors_of_calls_are_said_in_chinese(words: tuple[str, ...]) -> None:
    from typer.testing import CliRunner

    from symbp.cli import app

    for lang in ("zh", "en"):
        result = CliRunner().invoke(app, [*words, "--lang", lang])
        assert result.exit_code == 2
        assert bool(CHINESE.search(result.stderr)) is (lang == "zh"), result.stderr
        assert result.stdout == ""


def test_what_is_filled_in_stays_as_it_is() -> None:
    clash = "net.symbp:3: @: the sizes D and H clash; X is (N, D) and W is (H, D)"
    message = f"{clash}\n    L = X @ W\n        ^\nDid you mean X @ W.T?"

    assert translated(message, "zh").split("\n") == [
        "net.symbp:3: @：尺寸 D 与 H 不一致；X 是 (N, D)，W 是 (H, D)",
        "    L = X @ W",
        "        ^",
        "你是不是想写 X @ W.T？",
    ]
    assert translated("line 2: 'w' is not declared", "zh") == "第 2 行：'w' 没有声明"
    assert translated("something that no catalogue has", "zh") == "something that no catalogue has"
