"""Every broken network gets one message that names the line and the cause, and nothing runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bad_networks import BAD

from symbp.errors import DeclarationError, SymbpError
from symbp.read.network import load, read_network
from symbp.read.source import decode


@pytest.mark.parametrize(("text", "fragment", "line"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_message_names_line_and_cause(
    text: str, fragment: str, line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SymbpError) as caught:
        read_network(text)
    error = caught.value
    assert isinstance(error, DeclarationError)
    message = str(error)
    assert fragment in message
    assert error.place is not None
    assert error.place.line == line
    assert "Traceback" not in message
    assert len(message) < 1500
    assert not any(ord(c) < 32 and c != "\n" for c in message)
    assert list(tmp_path.iterdir()) == []


def test_names_of_the_table_are_unique() -> None:
    names = [row[0] for row in BAD]
    assert len(set(names)) == len(names) >= 70


@pytest.mark.parametrize(
    ("data", "fragment"),
    [(b"x: ()\x00", "binary file"), (b"\x89PNG\r\n\x1a\n\x00", "binary file"), (b"x: ()\nL = \xff", "not UTF-8")],
)
def test_bytes_that_are_no_text(data: bytes, fragment: str, tmp_path: Path) -> None:
    path = tmp_path / "net.symbp"
    path.write_bytes(data)
    with pytest.raises(DeclarationError, match=fragment):
        load(path)


def test_a_mark_at_the_start_of_a_file_is_ignored() -> None:
    assert decode(b"\xef\xbb\xbfx") == "x"


def test_files_that_are_not_ordinary(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(DeclarationError, match="cannot be read"):
        load(tmp_path / "missing.symbp")
    with pytest.raises(DeclarationError, match="cannot be read"):
        load("with\x00null")
    (tmp_path / "large.symbp").write_text("#" * 900_000)
    with pytest.raises(DeclarationError, match="the limit is"):
        load(tmp_path / "large.symbp")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeclarationError, match="not an ordinary file"):
        load(tmp_path / "pipe")


def test_errors_in_files_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.symbp"
    path.write_text("x: (n,)\nL = sum(y)\n")
    with pytest.raises(DeclarationError, match=r"net\.symbp:2: 'y' is not declared"):
        load(path)
