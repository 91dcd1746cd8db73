# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rpm's databases of the backends bdb and ndb: what they hold, and that damage is always a problem."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from .....peers.rpm_system import (
    PAGE_BYTES,
    content_at,
    entries,
    facts,
    flip,
    read,
    sample,
    told,
    zero_page,
)


def _main_file(root: Path) -> Path:
    directory = root / "var/lib/rpm"
    return next(directory / name for name in ("Packages", "Packages.db") if (directory / name).exists())


@pytest.mark.parametrize("kind", ["bdb", "ndb"])
def test_databases_of_other_backends_hold_the_same(kind: str, tmp_path: Path) -> None:
    manifest = read(sample(kind, tmp_path))

    assert (manifest.problems, manifest.gaps) == ([], [])
    assert manifest.installed == ["alpha", "beta", "gamma"]
    assert len(manifest.entries) == 127
    assert entries(manifest)[b"/usr/bin/alpha"].digest == (
        b"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    )


@pytest.mark.parametrize("kind", ["bdb", "ndb"])
@pytest.mark.parametrize("content", [b"", b"\0" * 40960, b"x" * 40960, b"short"])
def test_another_backends_file_that_is_none_is_a_problem(kind: str, content: bytes, tmp_path: Path) -> None:
    root = sample(kind, tmp_path)
    _main_file(root).write_bytes(content)

    assert read(root).problems


@pytest.mark.parametrize("kind", ["bdb", "ndb"])
def test_another_backends_header_with_a_flipped_byte_is_a_problem(kind: str, tmp_path: Path) -> None:
    root = sample(kind, tmp_path)
    flip(_main_file(root), content_at(_main_file(root), b"/usr/share/gamma/"))

    manifest = read(root)

    assert [gap.reason for gap in manifest.gaps] == ["damaged_header"]
    assert "(record 3) is damaged" in told(manifest)


@pytest.mark.parametrize("kind", ["bdb", "ndb"])
def test_no_zeroed_page_of_another_backend_goes_unnoticed(kind: str, tmp_path: Path) -> None:
    root = sample(kind, tmp_path)
    file = _main_file(root)
    original = file.read_bytes()
    sound = facts(read(root))

    for page in range(-(-len(original) // PAGE_BYTES)):
        zero_page(file, page)
        manifest = read(root)
        assert manifest.problems or facts(manifest) == sound, page
        file.write_bytes(original)


@pytest.mark.parametrize("kind", ["bdb", "ndb"])
def test_no_flipped_bit_of_another_backend_changes_the_manifest_unnoticed(kind: str, tmp_path: Path) -> None:
    root = sample(kind, tmp_path)
    file = _main_file(root)
    original = file.read_bytes()
    sound = facts(read(root))
    chance = random.Random(7)

    for _number in range(80):
        at = chance.randrange(len(original))
        flip(file, at, chance.randrange(8))
        manifest = read(root)
        assert manifest.problems or facts(manifest) == sound, at
        file.write_bytes(original)


@pytest.mark.parametrize("kind", ["bdb", "ndb"])
@pytest.mark.parametrize("length", [1, 31, 100, 4096, 20_000])
def test_another_backends_file_that_is_cut_off_is_a_problem(kind: str, length: int, tmp_path: Path) -> None:
    root = sample(kind, tmp_path)
    os.truncate(_main_file(root), length)

    assert read(root).problems


def test_records_of_bdb_that_no_number_leads_to_are_a_problem_even_without_the_indexes(tmp_path: Path) -> None:
    """The page with the records' numbers is like one of an empty table."""
    root = sample("bdb", tmp_path)
    for index in ("Name", "Sha1header"):
        (root / "var/lib/rpm" / index).unlink()
    data = bytearray(_main_file(root).read_bytes())
    pages = range(PAGE_BYTES, len(data), PAGE_BYTES)
    page = next(at for at in pages if data[at + 25] in (2, 13) and data[at + 20])
    data[page + 20 : page + 22] = bytes(2)
    _main_file(root).write_bytes(data)

    assert "of its pages belong to no record" in told(read(root))


def test_the_checksum_of_ndb_covers_what_no_digest_of_a_header_does(tmp_path: Path) -> None:
    """The states of the files and the time of the installation are behind the immutable region."""
    root = sample("ndb", tmp_path)
    end = content_at(_main_file(root), b"BlbE")

    for at in range(end - 40, end):
        flip(_main_file(root), at)
        assert "it cannot be read" in told(read(root)), at - end
        flip(_main_file(root), at)


def test_a_record_of_ndb_without_a_slot_is_a_problem(tmp_path: Path) -> None:
    root = sample("ndb", tmp_path)
    data = bytearray(_main_file(root).read_bytes())
    data[36:48] = bytes(12)
    _main_file(root).write_bytes(data)

    assert "1 of its records are in no slot of its table" in told(read(root))


@pytest.mark.parametrize("index", ["Name", "Sha1header"])
@pytest.mark.parametrize("content", [b"", b"\0" * 8192, None])
def test_a_damaged_index_of_bdb_is_a_problem(index: str, content: bytes | None, tmp_path: Path) -> None:
    root = sample("bdb", tmp_path)
    file = root / "var/lib/rpm" / index
    if content is None:
        zero_page(file, 1)
    else:
        file.write_bytes(content)

    manifest = read(root)

    assert f"its index {index}" in told(manifest)
    assert len(manifest.entries) == 127


def test_an_entry_of_a_bdb_index_for_another_package_is_a_problem(tmp_path: Path) -> None:
    root = sample("bdb", tmp_path)
    file = root / "var/lib/rpm/Name"
    flip(file, content_at(file, b"gamma"), 0)

    assert "its index Name has 'famma' for the record of gamma-1.0-1.noarch" in told(read(root))


def test_a_lost_file_of_another_backend_is_a_problem(tmp_path: Path) -> None:
    root = sample("bdb", tmp_path)
    (root / "var/lib/rpm/Basenames").touch()
    _main_file(root).unlink()
    other = sample("ndb", tmp_path)
    (other / "var/lib/rpm/Index.db").touch()
    _main_file(other).unlink()

    assert "it does not exist" in told(read(root))
    assert "it does not exist" in told(read(other))


def test_an_ndb_database_that_has_lost_all_its_packages_is_a_problem(tmp_path: Path) -> None:
    """As rpm leaves it when it removes them, which nobody does to a system."""
    root = sample("ndb", tmp_path)
    file = _main_file(root)
    header = file.read_bytes()[:32]
    file.write_bytes((header + b"Slot".ljust(16, b"\0") * 254).ljust(4096, b"\0"))

    assert "it holds no package, and has held 3" in told(read(root))
