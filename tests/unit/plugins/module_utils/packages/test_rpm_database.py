# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rpm's databases, damaged: it is always a problem, never silence and never an exception."""

from __future__ import annotations

import importlib
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import rpm_copies, rpm_sqlite
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm import present
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.rpm_system import (
    PAGE_BYTES,
    RpmSystem,
    content_at,
    facts,
    flip,
    read,
    sha256,
    template,
    told,
    zero_page,
)


@pytest.fixture
def system(tmp_path: Path) -> RpmSystem:
    return template().copy(tmp_path)


# --- sound databases


def test_a_sound_database_is_read_without_a_problem(system: RpmSystem) -> None:
    manifest = system.read()

    assert (manifest.problems, manifest.gaps) == ([], [])
    assert manifest.installed == ["alpha", "beta", "gamma"]
    assert len(manifest.entries) == 70


def test_the_newer_place_of_the_database_is_known(system: RpmSystem) -> None:
    (system.root / "usr/lib/sysimage").mkdir(parents=True)
    (system.root / "var/lib/rpm").rename(system.root / "usr/lib/sysimage/rpm")
    (system.root / "var/lib/rpm").symlink_to("/usr/lib/sysimage/rpm")

    manifest = system.read()

    assert manifest.state_file == "/usr/lib/sysimage/rpm/rpmdb.sqlite"
    assert len(manifest.installed) == 3


def test_a_database_that_never_held_a_package_is_no_problem(tmp_path: Path) -> None:
    system = RpmSystem.new(tmp_path)
    system.rpm("--initdb")

    manifest = system.read()

    assert (manifest.installed, manifest.problems) == ([], [])


def test_a_root_without_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var/lib/rpm").mkdir(parents=True)

    with pytest.raises(InvalidInputError, match="no rpm database"):
        read(tmp_path)


@pytest.mark.parametrize(("file", "expected"), [("rpmdb.sqlite", True), ("rpmdb.sqlite-shm", True), ("other", False)])
def test_present(tmp_path: Path, file: str, expected: bool) -> None:
    directory = tmp_path / "var/lib/rpm"
    directory.mkdir(parents=True)
    (directory / file).write_bytes(b"")
    tree = Tree(str(tmp_path))

    assert present(tree) is expected
    tree.close()


def test_pitfall_47_nothing_is_written_and_no_lock_is_taken(system: RpmSystem) -> None:
    directory = system.database.parent
    for leftover in directory.glob("rpmdb.sqlite-*"):
        leftover.unlink()
    (directory / ".rpm.lock").unlink(missing_ok=True)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir()}

    system.read()

    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir()} == before
    assert list(before) == ["rpmdb.sqlite"]


def test_what_a_transaction_left_in_the_write_ahead_log_is_read(system: RpmSystem, tmp_path: Path) -> None:
    _leave_in_log(system, tmp_path)

    manifest = system.read()

    assert manifest.problems == []
    assert manifest.installed == ["alpha", "beta"]


def test_a_database_without_an_index_of_records_is_read_all_the_same(system: RpmSystem) -> None:
    system.execute("DROP INDEX Basenames_hnum_idx")

    manifest = system.read()

    assert (manifest.problems, len(manifest.entries)) == ([], 70)


# --- damaged databases of the sqlite backend


def _leave_in_log(system: RpmSystem, base: Path) -> Path:
    """Remove gamma in a transaction that is in the log alone, as after a crash."""
    work = base / "crash"
    shutil.copytree(system.database.parent, work)
    connection = sqlite3.connect(work / "rpmdb.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    number = connection.execute("SELECT hnum FROM Name WHERE key = 'gamma'").fetchone()[0]
    connection.execute("BEGIN")
    for table in ("Packages", "Name", "Basenames", "Sha1header"):
        connection.execute(f"DELETE FROM {table} WHERE hnum = ?", (number,))
    connection.execute("COMMIT")
    log = system.database.parent / "rpmdb.sqlite-wal"
    shutil.copy(work / "rpmdb.sqlite", system.database)
    shutil.copy(work / "rpmdb.sqlite-wal", log)
    connection.close()
    return log


def _flip_in_header(system: RpmSystem) -> None:
    flip(system.database, content_at(system.database, sha256(b"g3\n")))


def _zero_page_of_header(system: RpmSystem) -> None:
    zero_page(system.database, content_at(system.database, sha256(b"30\n")) // PAGE_BYTES)


def _truncate(system: RpmSystem) -> None:
    os.truncate(system.database, system.database.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)


def _delete_row(system: RpmSystem) -> None:
    system.execute("DELETE FROM Packages WHERE hnum = 2")


def _delete_everything(system: RpmSystem) -> None:
    for table in ("Packages", "Name", "Basenames", "Sha1header"):
        system.execute(f"DELETE FROM {table}")


def _older_row(system: RpmSystem) -> None:
    """An update brought gamma 2.0; then the page with its header alone came back from before."""
    before = system.blob("gamma")
    system.install(system.build("gamma", {"/usr/share/gamma/0": b"new\n", "/usr/share/gamma/1": b"g\n"}, version="2.0"))
    system.replace_blob("gamma", before)


def _row_of_another(system: RpmSystem) -> None:
    system.replace_blob("gamma", system.blob("beta"))


def _garbage(system: RpmSystem) -> None:
    system.database.write_bytes(random.Random(1).randbytes(200_000))


def _zeros(system: RpmSystem) -> None:
    system.database.write_bytes(bytes(200_000))


def _empty(system: RpmSystem) -> None:
    system.database.write_bytes(b"")


def _lost(system: RpmSystem) -> None:
    """What rpm made beside the database is still there."""
    system.database.unlink()
    (system.database.parent / "rpmdb.sqlite-shm").touch()


def _lost_index(system: RpmSystem) -> None:
    system.execute("DROP TABLE Name")


def _index_without_a_package(system: RpmSystem) -> None:
    system.execute("DELETE FROM Name WHERE hnum = 3")


def _index_of_files(system: RpmSystem) -> None:
    system.execute("UPDATE Basenames SET key = 'other' WHERE hnum = 3 AND idx = 1")


def _renamed_in_index(system: RpmSystem) -> None:
    system.execute("UPDATE Name SET key = 'delta' WHERE hnum = 3")


def _text_for_blob(system: RpmSystem) -> None:
    system.execute("UPDATE Packages SET blob = 'text' WHERE hnum = 3")


def _view_for_table(system: RpmSystem) -> None:
    """A view can compute rows without end."""
    system.execute("ALTER TABLE Packages RENAME TO Kept")
    system.execute(
        "CREATE VIEW Packages AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
        "SELECT n AS hnum, zeroblob(100000) AS blob FROM r"
    )


def _package_twice(system: RpmSystem) -> None:
    for table in ("Packages", "Name", "Basenames", "Sha1header"):
        columns = "blob" if table == "Packages" else "key, idx"
        system.execute(f"INSERT INTO {table} (hnum, {columns}) SELECT 9, {columns} FROM {table} WHERE hnum = 3")


@pytest.mark.parametrize(
    ("damage", "problem", "packages_lost"),
    [
        (_flip_in_header, "the header of package gamma (record 3) is damaged: its sha256 digest", 1),
        (_zero_page_of_header, "the header of package beta (record 2) is damaged", 1),
        (_truncate, "malformed", 0),
        (_delete_row, "the header of package beta (record 2) is damaged: it cannot be read", 1),
        (_delete_everything, "it holds no package, and has held 3", 0),
        (_older_row, "its index Sha1header is for another state of the header of gamma-1.0-1.noarch", 0),
        (_older_row, "its index Basenames has other files for gamma-1.0-1.noarch", 0),
        (_row_of_another, "its index Name has 'gamma' for the record of beta-1.0-1.noarch", 0),
        (_row_of_another, "it holds package beta-1.0-1.noarch more than once", 0),
        (_garbage, "file is not a database", 0),
        (_zeros, "file is not a database", 0),
        (_empty, "it is empty", 0),
        (_lost, "it does not exist", 0),
        (_lost_index, "it has no table Name", 0),
        (_index_without_a_package, "its index Name lacks gamma-1.0-1.noarch", 0),
        (_index_of_files, "its index Basenames has other files for gamma", 0),
        (_renamed_in_index, "its index Name has 'delta' for the record of gamma", 0),
        (_text_for_blob, "the header of package gamma (record 3) is damaged", 1),
        (_view_for_table, "it has no table Packages", 3),
        (_package_twice, "it holds package gamma-1.0-1.noarch more than once", 0),
    ],
)
def test_damage_is_a_problem(
    system: RpmSystem, damage: Callable[[RpmSystem], None], problem: str, packages_lost: int
) -> None:
    damage(system)

    manifest = system.read()

    assert problem in told(manifest)
    assert sum(gap.reason == "damaged_header" for gap in manifest.gaps) == packages_lost
    for found in manifest.problems:
        assert found.file == "/var/lib/rpm/rpmdb.sqlite"
        assert found.remedy


def test_a_package_with_a_damaged_header_is_counted_with_the_files_that_the_index_knows(system: RpmSystem) -> None:
    _zero_page_of_header(system)

    manifest = system.read()

    assert [(gap.packages, gap.files) for gap in manifest.gaps] == [(("beta",), 60)]
    assert sorted(manifest.installed) == ["alpha", "beta", "gamma"]
    assert not any(entry.path.startswith(b"/usr/share/beta") for entry in manifest.entries)


def test_rpm_calls_a_package_with_a_damaged_header_good_and_rebuilding_drops_it(system: RpmSystem) -> None:
    """Why rpm is not asked: the file of gamma is gone and its header is damaged, and rpm has nothing to say."""
    _flip_in_header(system)
    system.path("/usr/share/gamma/1").unlink()

    verified = system.rpm("-Va", "--noscripts", "--nodeps")

    assert (verified.returncode, b"gamma" in verified.stdout) == (0, False)
    found = [problem for problem in system.read().problems if "gamma" in problem.problem]
    assert len(found) == 1
    assert "rpm --rebuilddb before that drops the package for good" in found[0].remedy
    assert system.rpm("--rebuilddb").returncode == 0
    assert b"gamma" not in system.rpm("-qa").stdout


def test_no_zeroed_page_goes_unnoticed(system: RpmSystem) -> None:
    sound = facts(system.read())
    original = system.database.read_bytes()

    for page in range(len(original) // PAGE_BYTES):
        zero_page(system.database, page)
        assert system.read().problems, page
        system.database.write_bytes(original)

    assert facts(system.read()) == sound


def test_no_flipped_bit_changes_the_manifest_unnoticed(system: RpmSystem) -> None:
    """What no check covers may be changed as long as nothing that is read is."""
    sound = facts(system.read())
    original = system.database.read_bytes()
    chance = random.Random(6)

    for _number in range(80):
        at = chance.randrange(len(original))
        flip(system.database, at, chance.randrange(8))
        manifest = system.read()
        assert manifest.problems or facts(manifest) == sound, at
        system.database.write_bytes(original)


@pytest.mark.parametrize("length", [0, 1, 99, 100, 512, 4095, 4096, 8192, 100_000])
def test_a_database_cut_off_anywhere_is_a_problem(system: RpmSystem, length: int) -> None:
    os.truncate(system.database, length)

    assert system.read().problems


@pytest.mark.parametrize(("at", "problem"), [(0, "the header of its log"), (40, "are not valid"), (5000, "not valid")])
def test_a_damaged_log_is_a_problem(system: RpmSystem, tmp_path: Path, at: int, problem: str) -> None:
    """SQLite takes a damaged page of the log for its end, and shows what was before without a word."""
    log = _leave_in_log(system, tmp_path)
    flip(log, at)

    manifest = system.read()

    assert problem in told(manifest)


def test_a_log_that_was_begun_anew_is_none(system: RpmSystem, tmp_path: Path) -> None:
    """The rest of a longer, earlier log stays behind the one that counts."""
    log = _leave_in_log(system, tmp_path)
    connection = sqlite3.connect(system.database, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    connection.execute("UPDATE sqlite_sequence SET seq = seq + 1")
    kept = log.read_bytes(), system.database.read_bytes()
    connection.close()
    log.write_bytes(kept[0])
    system.database.write_bytes(kept[1])

    assert system.read().problems == []


# --- what cannot be measured


def test_a_database_that_may_not_be_read_is_an_error(
    system: RpmSystem, nobody: Callable[[], AbstractContextManager[None]]
) -> None:
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        copy = system.copy(Path(base))
        copy.database.chmod(0o600)
        with nobody(), pytest.raises(MeasurementError, match="EACCES"):
            copy.read()


@pytest.mark.parametrize("kind", ["fifo", "directory", "device"])
def test_pitfall_29_what_is_no_file_is_never_opened(system: RpmSystem, kind: str) -> None:
    system.database.unlink()
    if kind == "fifo":
        os.mkfifo(system.database)
    elif kind == "directory":
        system.database.mkdir()
    else:
        system.database.symlink_to("/dev/zero")
        (system.root / "dev").mkdir()
        os.mkfifo(system.root / "dev/zero")

    assert "it cannot be read" in told(system.read())


def test_pitfall_27_a_link_out_of_the_root_leads_nowhere(system: RpmSystem, tmp_path: Path) -> None:
    outside = tmp_path / "outside.sqlite"
    system.database.rename(outside)
    system.database.symlink_to(outside)

    assert "it does not exist" in told(system.read())


def test_a_database_that_keeps_changing_is_an_error(system: RpmSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def touch(tree: Tree, path: str, copy: Path) -> None:
        copy_file(tree, path, copy)
        os.utime(system.database)

    copy_file = rpm_copies._copy
    monkeypatch.setattr(rpm_copies, "_copy", touch)

    with pytest.raises(MeasurementError, match="keeps changing"):
        system.read()


def test_a_database_of_no_sane_size_is_an_error(system: RpmSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm_copies, "MAX_DATABASE_BYTES", 1000)

    with pytest.raises(MeasurementError, match="larger than 1000 bytes"):
        system.read()


def test_a_python_without_sqlite_is_an_error(system: RpmSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> ModuleType:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", refuse)

    with pytest.raises(MeasurementError, match="cannot read SQLite"):
        system.read()


def test_a_reading_that_takes_too_long_ends(system: RpmSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm_sqlite, "MAX_SECONDS", -1)
    monkeypatch.setattr(rpm_sqlite, "_INSTRUCTIONS", 1)

    assert "interrupted" in told(system.read())
