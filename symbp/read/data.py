"""Data files: numbers for the leaves of a network, from .csv, .json or .npz.

A .csv holds one sample a row under a line of names; a .json is an object of numbers and lists; a
.npz is NumPy's own, read without pickles. A column belongs to the leaf of its name; columns that
are entries (`x1, x2, x3`, or `x[0], x[1]` as NumPy counts) are put together into one leaf. A number
may be a fraction, `1/70`. Columns that belong to nothing are not read, and are named.

Invariants: nothing is executed; files are measured before they are read, and archives before they
are unpacked; every array that comes out holds finite floats; every error names the file and the
line, entry or member.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import stat
import zipfile
import zlib
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from symbp.errors import LimitError, Place, ReadError, nearest
from symbp.read.source import decode

Array = NDArray[np.float64]
LARGEST_FILE = 50_000_000  # bytes
LARGEST_DATA = 20_000_000  # numbers
DEEPEST = 32  # lists in lists

_NUMBERED = re.compile(r"([^\W\d]\w*?)_?(\d{1,6})")
_INDEXED = re.compile(r"(\w+)\s*\[\s*(\d{1,6}(?:\s*,\s*\d{1,6})*)\s*\]")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FRACTION = re.compile(rf"\s*({_NUMBER})\s*(?:/\s*({_NUMBER})\s*)?", re.ASCII)


@dataclass(frozen=True)
class Data:
    """Arrays by the names of leaves (and of other columns that were asked for).

    `by_row`: the first axis of every array counts the rows of a table; `unused`: columns that
    belong to nothing.
    """

    file: str
    values: Mapping[str, Array]
    unused: tuple[str, ...] = ()
    by_row: bool = False


def read_data(path: str | os.PathLike[str], leaves: Mapping[str, int], also: Collection[str] = ()) -> Data:
    """What a file holds for these leaves (name → number of axes), and the columns `also` named.

    Raises ReadError or LimitError with the place.
    """
    file = os.fspath(path)
    readers = {".csv": _read_csv, ".json": _read_json, ".npz": _read_npz}
    reader = readers.get(Path(file).suffix.lower())
    if reader is None:
        raise ReadError(f"{file!r} is not a data file that symbp reads: .json, .csv or .npz")
    return reader(file, leaves, also)


# ---- which column is what ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Target:
    """Where a column goes: a whole array, or one entry of it. `given` tells `x1` from `x[0]`."""

    name: str
    entry: tuple[int, ...] = ()
    given: str = "whole"


def _targets(columns: Iterable[str], leaves: Mapping[str, int], also: Collection[str]) -> dict[str, _Target]:
    """Column → what it is for; columns that are for nothing are absent."""
    found: dict[str, _Target] = {}
    for column in columns:
        target = _target(column, leaves, also)
        if target is not None:
            found[column] = target
    return found


def _target(column: str, leaves: Mapping[str, int], also: Collection[str]) -> _Target | None:
    if column in leaves or column in also:
        return _Target(column)
    numbered, indexed = _NUMBERED.fullmatch(column), _INDEXED.fullmatch(column)
    if numbered and leaves.get(numbered[1], 0) > 0:
        return _Target(numbered[1], (int(numbered[2]),), "numbered")
    if indexed and indexed[1] in leaves:
        entry = tuple(int(i) for i in indexed[2].split(","))
        if len(entry) in (leaves[indexed[1]], leaves[indexed[1]] - 1):
            return _Target(indexed[1], entry, "indexed")
    return None


def _assembled(columns: Mapping[str, Array], targets: Mapping[str, _Target], place: Place) -> dict[str, Array]:
    """Whole arrays: entries that were columns of their own become the last axes."""
    members: dict[str, dict[str, _Target]] = {}
    for column in columns:
        members.setdefault(targets[column].name, {})[column] = targets[column]
    return {name: _joined(name, own, columns, place) for name, own in members.items()}


def _joined(name: str, own: Mapping[str, _Target], columns: Mapping[str, Array], place: Place) -> Array:
    listed = ", ".join(list(own)[:8])
    if len({t.given for t in own.values()}) > 1:
        raise ReadError(f"{name} is given in two ways: {listed}", place)
    if all(t.given == "whole" for t in own.values()):
        return columns[name]
    shapes = {column: columns[column].shape for column in own}
    if len(set(shapes.values())) > 1:
        raise ReadError(f"the columns of {name} have different shapes: {_listed(shapes)}", place)
    by_entry = {t.entry: column for column, t in own.items()}
    if len(by_entry) < len(own):
        raise ReadError(f"an entry of {name} is given twice: {listed}", place)
    if len({len(entry) for entry in by_entry}) > 1:
        raise ReadError(f"the columns of {name} have different numbers of indices: {listed}", place)
    numbered = any(t.given == "numbered" for t in own.values())
    first = 1 if numbered and (0,) not in by_entry else 0
    lengths = tuple(max(ends) - first + 1 for ends in zip(*by_entry))
    if math.prod(lengths) != len(by_entry):
        missing = next(e for e in _entries(lengths, first) if e not in by_entry)
        wanted = f"{name}{missing[0]}" if numbered else f"{name}[{', '.join(map(str, missing))}]"
        raise ReadError(f"the column {wanted} is missing; there are {listed}", place)
    stacked = np.stack([columns[by_entry[e]] for e in _entries(lengths, first)], axis=-1)
    return stacked.reshape(*stacked.shape[:-1], *lengths)


def _entries(lengths: tuple[int, ...], first: int) -> Iterator[tuple[int, ...]]:
    return (tuple(i + first for i in place) for place in np.ndindex(*lengths))


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:8])


def unknown_column(name: str, unused: Iterable[str]) -> str:
    """A hint when something is missing and a column that was not used may have been meant."""
    unused = list(unused)
    same = [c for c in unused if re.sub(r"[\W\d_]", "", c).casefold() == re.sub(r"[\W\d_]", "", name).casefold()]
    if same:
        return f"Is it the column '{same[0]}'? Names must agree, capitals too."
    return nearest(name, unused)


# ---- numbers ----------------------------------------------------------------------------------------


def _number(value: object) -> float | None:
    """A finite number from a number or the text of one (a fraction too), else None."""
    if isinstance(value, str):
        found = _FRACTION.fullmatch(value)
        if found is None:
            return None
        bottom = float(found[2]) if found[2] else 1.0
        if not bottom:
            return None
        result = float(found[1]) / bottom
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    else:
        try:
            result = float(value)
        except OverflowError:
            return None
    return result if math.isfinite(result) else None


def _quoted(value: object) -> str:
    """A value as it may stand in a message."""
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= 40 else text[:37] + "..."


# ---- csv ------------------------------------------------------------------------------------------


def _read_csv(file: str, leaves: Mapping[str, int], also: Collection[str]) -> Data:
    text = decode(_bytes(file), file)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True)
    try:
        names = _header(next((row for row in rows if any(c.strip() for c in row)), []), file, rows.line_num)
        targets = _targets(names, leaves, also)
        columns = _csv_columns(rows, names, targets, file)
    except csv.Error as error:
        raise ReadError(f"this line is no row of a table ({error})", Place(rows.line_num, file=file)) from None
    unused = tuple(n for n in names if n not in targets)
    return Data(file, _assembled(columns, targets, Place(1, file=file)), unused, by_row=True)


def _delimiter(text: str) -> str:
    """A comma; or a semicolon or tab, where the line of names has those and no comma."""
    head = text.lstrip().split("\n", 1)[0]
    return next((d for d in ",;\t" if d in head), ",")


def _header(cells: Sequence[str], file: str, line: int) -> list[str]:
    names = [c.strip() for c in cells]
    place = Place(max(line, 1), file=file)
    if not names:
        raise ReadError("the file is empty; its first line holds the names of the columns, as x1,x2,x3,t", place)
    if all(_number(n) is not None for n in names if n):
        raise ReadError("the first line holds numbers; it must hold the names of the columns, as x1,x2,x3,t", place)
    for number, name in enumerate(names, 1):
        if not name:
            raise ReadError(f"column {number} has no name", place)
        if names.index(name) < number - 1:
            raise ReadError(f"two columns are called {_quoted(name)}", place)
    return names


def _csv_columns(rows: Any, names: Sequence[str], targets: Mapping[str, _Target], file: str) -> dict[str, Array]:
    wanted = [n for n, name in enumerate(names) if name in targets]
    flat = array("d")
    for row in rows:
        if not row or not any(c.strip() for c in row):
            continue
        place = Place(rows.line_num, file=file)
        if len(row) != len(names):
            raise ReadError(f"this row has {len(row)} cells, the line of names has {len(names)}", place)
        for n in wanted:
            value = _number(row[n])
            if value is None:
                cell = _quoted(row[n].strip()) if row[n].strip() else "empty"
                raise ReadError(f"column {names[n]} is {cell}, not a number", place)
            flat.append(value)
        if len(flat) > LARGEST_DATA:
            raise LimitError(f"more than {LARGEST_DATA:,} numbers", place)
    if wanted and not flat:
        raise ReadError("there is no row below the line of names", Place(1, file=file))
    table = np.array(flat, dtype=np.float64).reshape(-1, max(len(wanted), 1))
    return {names[n]: table[:, k] for k, n in enumerate(wanted)}


# ---- json -----------------------------------------------------------------------------------------


def _read_json(file: str, leaves: Mapping[str, int], also: Collection[str]) -> Data:
    place = Place(1, file=file)
    try:
        whole = json.JSONDecoder(object_pairs_hook=lambda p: _object(p, place)).decode(decode(_bytes(file), file))
    except json.JSONDecodeError as error:
        raise ReadError(f"this is not JSON ({error.msg})", Place(error.lineno, error.colno, file=file)) from None
    except RecursionError:
        raise LimitError("lists are nested too deeply", place) from None
    except ValueError as error:  # a whole number of thousands of digits
        raise ReadError(f"this is not JSON that can be read ({error})"[:160], place) from None
    if not isinstance(whole, dict):
        raise ReadError('a data file is an object of lists: {"x": [[5, 2, 4], [3, 3, 3]], "t": [1250, 900]}', place)
    targets = _targets(whole, leaves, also)
    columns = {name: _json_array(whole[name], name, place) for name in targets}
    unused = tuple(str(n) for n in whole if n not in targets)
    return Data(file, _assembled(columns, targets, place), unused)


def _object(pairs: Sequence[tuple[str, Any]], place: Place) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ReadError(f"{_quoted(next(n for n in names if names.count(n) > 1))} is given twice", place)
    return result


def _json_array(value: object, name: str, place: Place) -> Array:
    """A number or lists of equal lengths as an array, level by level."""
    level: list[Any] = [value]
    shape: list[int] = []
    while isinstance(level[0], list):
        length = len(level[0])
        for n, item in enumerate(level):
            if not isinstance(item, list) or len(item) != length:
                _ragged(item, length, _json_path(name, n, shape), place)
        if not length:
            raise ReadError(f"{_json_path(name, 0, shape)} is an empty list", place)
        shape.append(length)
        level = [x for item in level for x in item]
        if len(shape) > DEEPEST:
            raise LimitError(f"{_quoted(name)}: lists are nested more than {DEEPEST} deep", place)
        if len(level) > LARGEST_DATA:
            raise LimitError(f"{_quoted(name)}: more than {LARGEST_DATA:,} numbers", place)
    numbers = array("d")
    for n, item in enumerate(level):
        number = _number(item)
        if number is None:
            raise ReadError(f"{_json_path(name, n, shape)} is {_quoted(item)}, not a number", place)
        numbers.append(number)
    return np.array(numbers, dtype=np.float64).reshape(shape)


def _ragged(item: object, length: int, path: str, place: Place) -> NoReturn:
    found = f"has {len(item)} entries" if isinstance(item, list) else f"is {_quoted(item)}"
    raise ReadError(f"{path} {found} where its neighbours are lists of {length}", place)


def _json_path(name: str, n: int, shape: Sequence[int]) -> str:
    """`"x"[2][0]`: the n-th item of a level."""
    place = np.unravel_index(n, tuple(shape)) if shape else ()
    return f'"{name[:40]}"' + "".join(f"[{int(i)}]" for i in place)


# ---- npz ------------------------------------------------------------------------------------------


def _read_npz(file: str, leaves: Mapping[str, int], also: Collection[str]) -> Data:
    place = Place(1, file=file)
    try:
        with zipfile.ZipFile(io.BytesIO(_bytes(file))) as archive:
            members = _members(archive, place)
            targets = _targets(members, leaves, also)
            columns = {name: _npy(archive, members[name], name, place) for name in targets}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as error:
        raise ReadError(f"this is not an .npz file that can be read ({error})"[:160], place) from None
    return Data(file, _assembled(columns, targets, place), tuple(n for n in members if n not in targets))


def _members(archive: zipfile.ZipFile, place: Place) -> dict[str, zipfile.ZipInfo]:
    """The arrays of the archive by name; refused when they would unpack to too much."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise ReadError(f"the array {_quoted(name)} is there twice", place)
        members[name] = info
    size = sum(info.file_size for info in members.values())
    if size > 8 * LARGEST_DATA:
        raise LimitError(f"the arrays unpack to {size:,} bytes; the limit is {8 * LARGEST_DATA:,}", place)
    return members


def _npy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, place: Place) -> Array:
    try:
        with archive.open(info) as stream:
            _announced(stream, info, name, place)
        with archive.open(info) as stream:
            found = np.lib.format.read_array(stream, allow_pickle=False)
    except ValueError as error:
        raise ReadError(f"the array {_quoted(name)} cannot be read ({error})"[:200], place) from None
    result = np.asarray(found, dtype=np.float64)
    if not np.all(np.isfinite(result)):
        where = np.argwhere(~np.isfinite(np.atleast_1d(result)))[0]
        raise ReadError(f"{name}[{', '.join(map(str, where))}] is not a finite number", place)
    if not result.size:
        raise ReadError(f"the array {_quoted(name)} is empty", place)
    return result


def _announced(stream: IO[bytes], info: zipfile.ZipInfo, name: str, place: Place) -> None:
    """The header must announce numbers, and no more of them than the file can hold."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.kind not in "biuf":
        kind = "Python objects, which are not loaded" if dtype.hasobject else f"values of type {dtype}"
        raise ReadError(f"the array {_quoted(name)} holds {kind}; numbers are needed", place)
    if math.prod(shape) * dtype.itemsize > info.file_size or math.prod(shape) > LARGEST_DATA:
        raise ReadError(f"the array {_quoted(name)} announces the shape {shape}, more than the file holds", place)


# ---- files ----------------------------------------------------------------------------------------


def _bytes(file: str) -> bytes:
    """One ordinary file, measured before it is read."""
    place = Place(1, file=file)
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not an ordinary file"
            raise ReadError(f"this is {kind}", place)
        if status.st_size > LARGEST_FILE:
            raise LimitError(f"the file has {status.st_size:,} bytes; the limit is {LARGEST_FILE:,}", place)
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ReadError(f"the data file {file!r} cannot be read: {reason}") from None
