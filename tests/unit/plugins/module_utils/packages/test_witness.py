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


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda _content: b"", "does not begin with a head"),
    "no gzip": (lambda _content: b"x" * 100, "cannot be read"),
    "cut off": (lambda content: content[:-20], "cannot be read"),
    "a byte": (
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        "cannot be read|is no object|out of order|no path|head",
    ),
    "no end": (lambda content: packed(lines(content)[:-1]), "end is missing"),
    "a file lost": (lambda content: packed(lines(content)[:2] + lines(content)[3:]), "has 3 files"),
    "no head": (lambda content: packed(lines(content)[1:]), "does not begin with a head"),
    "another version": (
        lambda content: packed([lines(content)[0].replace(b'"schema_version":1', b'"schema_version":2')]),
        "head of version 1",
    ),
    "out of order": (lambda content: packed(lines(content)[i] for i in (0, 2, 1, 3, 4, 5)), "out of order at /a"),
    "no object": (lambda content: packed([*lines(content)[:2], b"[]\n"]), "no object"),
    "no path": (lambda content: packed([*lines(content)[:1], b'{"path":3}\n']), "no path"),
    "a lone surrogate": (lambda content: packed([*lines(content)[:1], b'{"path":"\\ud800"}\n']), "no path"),
    "deep": (lambda content: packed([*lines(content)[:1], b"[" * 200000 + b"\n"]), "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_refused(tmp_path: Path, damage: str) -> None:
    do, words = DAMAGES[damage]
    content = do(written(tmp_path / "w").read_bytes())

    with pytest.raises(InvalidInputError, match=words):
        files(content)


def test_a_line_without_end_is_refused_before_it_fills_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "MAX_LINE_BYTES", 1000)

    with pytest.raises(InvalidInputError, match="cannot be read"):
        files(packed([b'{"record":"', b"x" * 100_000]))


@pytest.mark.parametrize(("limit", "words"), [("MAX_FILES", "more than 2 files"), ("MAX_BYTES", "larger than 2 bytes")])
def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str) -> None:
    content = written(tmp_path / "w").read_bytes()
    monkeypatch.setattr(witness, limit, 2)

    with pytest.raises(InvalidInputError, match=words):
        files(content)


def test_every_line_is_json_on_its_own(tmp_path: Path) -> None:
    records = [json.loads(line) for line in lines(written(tmp_path / "w").read_bytes())]

    assert [record.get("record") for record in records] == ["manifest", None, None, None, None, "end"]
