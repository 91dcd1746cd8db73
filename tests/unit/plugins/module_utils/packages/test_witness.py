# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A witness: what is written is what is read, and what is not whole is refused."""

from __future__ import annotations

import gzip
import io
import json
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import witness
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    FILE,
    SYMLINK,
    Entry,
    Manifest,
)

SOUND, OTHER = b"0" * 32, b"1" * 32


def manifest() -> Manifest:
    entries = [
        Entry(path, path, kind, "alpha")
        for path, kind in ((b"/a", FILE), (b"/b", CONFFILE), (b"/c", SYMLINK), (b"/d/\xff", FILE))
    ]
    for entry in entries:
        entry.digest = SOUND if entry.kind != SYMLINK else None
    made = Manifest(entries=entries, installed=["alpha"])
    made.versions = {"alpha": "1.0"}
    return made


def measured(number: int, **fields: object) -> witness.Measured:
    values: dict[str, Any] = {
        "file_type": "file",
        "size": 5,
        "mode": 0o644,
        "uid": 0,
        "gid": 0,
        "modified": 7,
        "digest": SOUND,
    }
    return witness.Measured(number, **{**values, **fields})


MEASURED = (
    measured(0),
    measured(1, digest=OTHER),
    measured(2, file_type="symlink", digest=None, target=b"a"),
    measured(3, mode=0o4755),
)


def head(of: Manifest) -> dict[str, object]:
    return witness.head(of, "2026-11-28T02:00:00Z", "/", {"packages": []})


def written(path: Path, batches: Iterable[tuple[int, int]] = ((0, 4),)) -> Path:
    of = manifest()
    with witness.Writer(str(path), head(of)) as writer:
        for first, end in batches:
            writer.add(first, end, witness.records(of, MEASURED[first:end]))
        writer.commit()
    return path


def files(content: bytes) -> list[tuple[bytes, Any]]:
    return list(witness.read(io.BytesIO(content), "it").files)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "w.jsonl.gz")

    with path.open("rb") as stream:
        found = witness.read(stream, "it")
        paths = dict(found.files)

    assert (found.taken_at, found.selection, found.versions) == (
        "2026-11-28T02:00:00Z",
        {"packages": []},
        {"alpha": "1.0"},
    )
    assert list(paths) == [b"/a", b"/b", b"/c", b"/d/\xff"]
    assert paths[b"/a"] == {
        "path": "/a",
        "type": "file",
        "mode": "0644",
        "uid": 0,
        "gid": 0,
        "modified": 7,
        "packages": ["alpha"],
        "size": 5,
        "digest": "md5:" + "0" * 32,
    }
    assert (paths[b"/b"]["expected"], paths[b"/b"]["conffile"]) == ("md5:" + "0" * 32, True)
    assert paths[b"/c"]["target"] == "a"
    assert paths[b"/d/\xff"]["path"] == "/d/\\xff"
    assert paths[b"/d/\xff"]["mode"] == "4755"


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "w.jsonl.gz")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_batches_in_any_order_give_the_same_file(tmp_path: Path) -> None:
    in_order = written(tmp_path / "a", [(0, 2), (2, 4)])
    reversed_order = written(tmp_path / "b", [(2, 4), (0, 2)])

    assert in_order.read_bytes() == reversed_order.read_bytes()


def test_what_is_not_committed_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "w.jsonl.gz"
    target.write_bytes(b"the one before")

    with pytest.raises(OSError, match="full"), witness.Writer(str(target), head(manifest())):
        raise OSError("full")

    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_bytes() == b"the one before"


def lines(content: bytes) -> list[bytes]:
    return gzip.decompress(content).splitlines(keepends=True)


def packed(parts: Iterable[bytes]) -> bytes:
    return gzip.compress(b"".join(parts))


def with_line(line: bytes) -> Callable[[bytes], bytes]:
    """Return what puts a line in the place of the first file."""
    return lambda content: packed([lines(content)[0], line + b"\n"])


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda _content: b"", "line 1 is no head"),
    "no gzip": (lambda _content: b"x" * 100, "line 1 cannot be read"),
    "cut off": (lambda content: content[:-20], "cannot be read"),
    "a checksum": (lambda content: content[:-8] + b"\0" * 4 + content[-4:], "line 7 cannot be read"),
    "a byte": (
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        "cannot be read|is no JSON|is no object|out of order|no sane value|head",
    ),
    "no end": (lambda content: packed(lines(content)[:-1]), "line 5 is the last one, and not its end"),
    "a head alone": (lambda content: packed(lines(content)[:1]), "line 1 is the last one"),
    "more than one end": (lambda content: packed([*lines(content), lines(content)[-1]]), "line 7 comes after its end"),
    "a file lost": (lambda content: packed(lines(content)[:2] + lines(content)[3:]), "line 5 ends 3 files, and says 4"),
    "no head": (lambda content: packed(lines(content)[1:]), "line 1 is no head"),
    "another version": (
        lambda content: packed([lines(content)[0].replace(b'"schema_version":1', b'"schema_version":2')]),
        "head of version 1",
    ),
    "out of order": (
        lambda content: packed(lines(content)[i] for i in (0, 2, 1, 3, 4, 5)),
        "line 3 has a path that is repeated or out of order, /a",
    ),
    "repeated": (
        lambda content: packed(lines(content)[i] for i in (0, 1, 1, 3, 4, 5)),
        "line 3 has a path that is repeated or out of order, /a",
    ),
    "no object": (with_line(b"[]"), "line 2 is no object"),
    "no path": (with_line(b'{"path":3}'), "line 2 has no sane value of path"),
    "a lone surrogate": (with_line(b'{"path":"\\ud800"}'), "no sane value of path"),
    "deep": (with_line(b"[" * 60000), "line 2 is no JSON"),
    "a long line": (with_line(b'{"path":"/' + b"x" * 65_536 + b'"}'), "line 2 has more than 65536 bytes"),
    "a number without end": (with_line(b'{"path":"/a","uid":' + b"9" * 60_000 + b"}"), "is no JSON|no sane value"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_refused(tmp_path: Path, damage: str) -> None:
    do, words = DAMAGES[damage]
    content = do(written(tmp_path / "w").read_bytes())

    with pytest.raises(InvalidInputError, match=words):
        files(content)


HOSTILE: list[tuple[str, object]] = [
    ("path", ""),
    ("path", "a"),
    ("path", "/\0"),
    ("path", "/" + "x" * 4096),
    ("path_b64", "Z"),
    ("path_b64", "YQ=="),
    ("type", "socket file"),
    ("type", ["file"]),
    ("type", None),
    ("packages", None),
    ("packages", "alpha"),
    ("packages", [3]),
    ("packages", ["x" * 201]),
    ("packages", ["alpha"] * 33),
    ("mode", 420),
    ("mode", "07777"),
    ("mode", "rw-r"),
    ("mode", None),
    ("uid", -1),
    ("uid", 2**32),
    ("uid", True),
    ("gid", "0"),
    ("gid", 0.5),
    ("modified", None),
    ("modified", 2**63),
    ("size", -1),
    ("size", None),
    ("digest", "0" * 32),
    ("digest", "md5:" + "0" * 31),
    ("digest", "md5:" + "0" * 40),
    ("digest", "md5:" + "G" * 32),
    ("digest", {}),
    ("expected", 0),
    ("other_expected", ["md5"]),
    ("other_expected", "md5:" + "0" * 32),
    ("target", 3),
    ("conffile", 1),
    ("sound", True),
]


@pytest.mark.parametrize(("field", "value"), HOSTILE)
def test_a_file_with_a_value_that_none_has_is_refused(tmp_path: Path, field: str, value: object) -> None:
    content = written(tmp_path / "w").read_bytes()
    line = {**json.loads(lines(content)[1]), field: value}

    with pytest.raises(InvalidInputError) as caught:
        files(packed([lines(content)[0], json.dumps(line).encode() + b"\n", *lines(content)[2:]]))

    assert caught.value.value == "it"
    assert caught.value.reason == f"line 2 has no sane value of {field.replace('_b64', '')}"
    assert "manifest_path" in caught.value.remedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("taken_at", None),
        ("taken_at", "{{ 7 }}"),
        ("taken_at", 7),
        ("selection", []),
        ("versions", None),
        ("versions", {"alpha": 1}),
        ("versions", {"alpha": "1" * 1001}),
    ],
)
def test_a_head_with_a_value_that_none_has_is_refused(tmp_path: Path, field: str, value: object) -> None:
    content = written(tmp_path / "w").read_bytes()
    line = {**json.loads(lines(content)[0]), field: value}

    with pytest.raises(InvalidInputError, match=f"line 1 has no sane value of {field}"):
        files(packed([json.dumps(line).encode() + b"\n", *lines(content)[1:]]))


def test_a_line_without_end_is_refused_before_it_fills_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "MAX_HEAD_BYTES", 1000)

    with pytest.raises(InvalidInputError, match="line 1 has more than 1000 bytes"):
        files(packed([b'{"record":"', b"x" * 100_000]))


@pytest.mark.parametrize("byte", [b"\xff", b"\x01"])
def test_the_longest_lines_that_are_written_are_read(tmp_path: Path, byte: bytes) -> None:
    """Paths and targets of the greatest length, in bytes that take most room, of more packages than are told."""
    path = b"/" + byte * 4095
    entry = Entry(path, path, FILE, "alpha")
    entry.packages = [f"{number:\\>200}" for number in range(3000)]
    made = Manifest(entries=[entry], installed=entry.packages, versions=dict.fromkeys(entry.packages, "1"))
    found = measured(0, file_type="symlink", digest=None, target=b"\x01" * 4095)
    with witness.Writer(str(tmp_path / "w"), head(made)) as writer:
        writer.add(0, 1, witness.records(made, [found]))
        writer.commit()

    ((read_path, line),) = files((tmp_path / "w").read_bytes())

    assert read_path == path
    assert line["packages"] == entry.packages[:32]


def test_paths_that_cannot_be_are_not_written() -> None:
    path = b"/" + b"x" * 4096
    made = Manifest(entries=[Entry(path, path, FILE, "alpha")], installed=["alpha"])

    assert list(witness.records(made, [witness.Measured(0, "not_verified")])) == []


def test_what_several_packages_expect_is_kept_apart() -> None:
    made = manifest()
    made.entries[0].other_digests = (OTHER,)

    line, plain = list(witness.records(made, [measured(0, digest=OTHER), measured(3)]))

    assert (line["digest"], line["expected"]) == ("md5:" + "1" * 32, "md5:" + "0" * 32)
    assert line["other_expected"] == ["md5:" + "1" * 32]
    assert "other_expected" not in plain


@pytest.mark.parametrize(("limit", "words"), [("MAX_FILES", "more than 2 files"), ("MAX_BYTES", "beyond 2 bytes")])
def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str) -> None:
    content = written(tmp_path / "w").read_bytes()
    monkeypatch.setattr(witness, limit, 2)

    with pytest.raises(InvalidInputError, match=words):
        files(content)


def test_every_line_is_json_on_its_own(tmp_path: Path) -> None:
    records = [json.loads(line) for line in lines(written(tmp_path / "w").read_bytes())]

    assert [record.get("record") for record in records] == ["manifest", None, None, None, None, "end"]
