# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of damage is found with its class, or counted as not covered; nothing is invented."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import witness
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import Exclusion
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_changes import Comparison

if TYPE_CHECKING:
    from .conftest import System

Nobody = Callable[[], AbstractContextManager[None]]


def classes(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["class"], finding["path"]) for finding in result["findings"]]


def gaps(result: dict[str, Any]) -> dict[str, int]:
    return {gap["reason"]: gap["files"] for gap in result["coverage"]["gaps"]}


def test_a_sound_system_is_consistent_and_covered_completely(system: System) -> None:
    result = system.check()
    assert result["summary"] == {
        "verdict": "consistent",
        "findings_total": 0,
        "by_class": {},
        "database_problems_total": 0,
    }
    assert result["coverage"]["packages"] == {"installed": 2, "verified": 2, "not_verified": 0}
    files = result["coverage"]["files"]
    assert files["listed"] == files["verified"] == 20
    assert result["coverage"]["gaps"] == result["failures"] == []
    assert result["coverage"]["bytes_read"] == 300_000 + 15_000 + 40
    assert (files["mode_not_compared"], files["owner_not_compared"]) == (files["listed"], files["listed"])
    assert result["coverage"]["other_systems"] == []


# Damage to files


def zero_a_block(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(bytes(4096))


def to_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def to_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


FILE_DAMAGE: list[tuple[Callable[[Path], object], str, str | None]] = [
    (zero_a_block, "content_changed", "file"),
    (lambda path: os.truncate(path, 4096), "content_changed", "file"),
    (lambda path: os.truncate(path, 0), "content_changed", "file"),
    (lambda path: path.write_bytes(path.read_bytes() + b"\n"), "content_changed", "file"),
    (Path.unlink, "missing", "missing"),
    (to_directory, "type_changed", "directory"),
    (to_fifo, "type_changed", "fifo"),
    (to_socket, "type_changed", "socket"),
    (to_link, "type_changed", "symlink"),
    (to_loop, "type_changed", "symlink"),
]


@pytest.mark.parametrize(("damage", "expected", "found"), FILE_DAMAGE)
def test_a_damaged_file_is_found_with_its_class(
    system: System, damage: Callable[[Path], object], expected: str, found: str
) -> None:
    damage(system.path("/usr/bin/alpha"))
    result = system.check()
    assert classes(result) == [(expected, "/usr/bin/alpha")]
    assert result["findings"][0]["actual"]["type"] == found
    assert result["findings"][0]["packages"] == ["alpha"]
    assert result["summary"]["verdict"] == "inconsistent"


def test_a_changed_file_shows_both_digests_and_the_size(system: System) -> None:
    system.path("/usr/share/alpha/a.txt").write_bytes(b"abc")
    finding = system.check()["findings"][0]
    assert finding["actual"] == {"type": "file", "size": 3, "md5": "900150983cd24fb0d6963f7d28e17f72"}
    assert finding["expected"] == {"type": "file", "md5": "9f9f90dbe3e5ee1218c86b8839db1995"}


def test_a_missing_directory_is_found_with_all_that_was_in_it(system: System) -> None:
    shutil.rmtree(system.path("/usr/share/beta"))
    paths = [(finding["path"], finding["expected"]["type"]) for finding in system.check()["findings"]]
    assert paths == [
        ("/usr/share/beta", "directory"),
        ("/usr/share/beta/data", "file"),
        ("/usr/share/beta/more", "file"),
    ]


@pytest.mark.parametrize("path", ["/var/lib/alpha/state", "/usr/share/alpha/link"])
def test_a_missing_link_or_empty_directory_is_found(system: System, path: str) -> None:
    target = system.path(path)
    target.rmdir() if target.is_dir() and not target.is_symlink() else target.unlink()
    result = system.check()
    assert classes(result) == [("missing", path)]
    assert result["findings"][0]["expected"] == {"type": "symlink_or_directory"}


def test_a_fifo_in_place_of_a_link_is_found(system: System) -> None:
    to_fifo(system.path("/usr/share/alpha/link"))
    assert classes(system.check()) == [("type_changed", "/usr/share/alpha/link")]


def test_a_file_in_place_of_a_directory_is_found(system: System) -> None:
    shutil.rmtree(system.path("/usr/share/beta"))
    system.path("/usr/share/beta").write_bytes(b"")
    assert ("type_changed", "/usr/share/beta") in classes(system.check())


# Pitfalls, by their numbers in the reference


def test_pitfall_01_usrmerge_alias_is_one_file_of_both_packages(empty_system: System) -> None:
    system = empty_system
    system.path("/usr/lib").mkdir(parents=True)
    system.path("/lib").symlink_to("usr/lib")
    system.install("old", {"/lib/shared/file": b"same"})
    system.install("new", {"/usr/lib/shared/file": b"same"})
    assert system.check()["summary"]["verdict"] == "consistent"
    system.path("/usr/lib/shared/file").write_bytes(b"other")
    result = system.check()
    assert classes(result) == [("content_changed", "/usr/lib/shared/file")]
    assert sorted(result["findings"][0]["packages"]) == ["new", "old"]


def test_pitfall_02_owners_that_disagree_are_a_conflict_and_either_content_is_right(empty_system: System) -> None:
    system = empty_system
    system.path("/usr/lib").mkdir(parents=True)
    system.path("/lib").symlink_to("usr/lib")
    system.install("old", {"/lib/shared/file": b"one"})
    system.install("new", {"/usr/lib/shared/file": b"two"})
    for content in (b"one", b"two"):
        system.path("/usr/lib/shared/file").write_bytes(content)
        result = system.check()
        assert classes(result) == [("ownership_conflict", "/usr/lib/shared/file")]
        assert gaps(result) == {"ownership_conflict": 0}
        assert result["summary"]["verdict"] == "incomplete"
    system.path("/usr/lib/shared/file").write_bytes(b"three")
    assert system.check()["summary"]["by_class"] == {"content_changed": 1, "ownership_conflict": 1}


@pytest.fixture
def diverted(empty_system: System) -> System:
    """Package divpkg has moved victim's file away and put its own in the place."""
    system = empty_system
    system.install("victim", {"/usr/bin/victim": b"victim"})
    divert = ["dpkg-divert", f"--root={system.root}", "--rename", "--add", "--divert", "/usr/bin/victim.real"]
    assert os.spawnvp(os.P_WAIT, divert[0], [*divert, "--quiet", "--package", "divpkg", "/usr/bin/victim"]) == 0
    system.install("divpkg", {"/usr/bin/victim": b"diverting"})
    return system


def test_pitfall_03_both_sides_of_a_diversion_are_verified(diverted: System) -> None:
    assert diverted.check()["summary"]["verdict"] == "consistent"
    diverted.path("/usr/bin/victim").write_bytes(b"x")
    diverted.path("/usr/bin/victim.real").write_bytes(b"y")
    result = diverted.check()
    assert classes(result) == [("content_changed", "/usr/bin/victim"), ("content_changed", "/usr/bin/victim.real")]
    assert [finding["packages"] for finding in result["findings"]] == [["divpkg"], ["victim"]]
    assert result["findings"][1]["expected"]["diverted_by"] == "divpkg"
    assert result["findings"][1]["expected"]["listed_as"] == "/usr/bin/victim"


def test_pitfall_04_missing_diverted_file_has_its_own_class(diverted: System) -> None:
    diverted.path("/usr/bin/victim.real").unlink()
    assert classes(diverted.check()) == [("diverted_target_missing", "/usr/bin/victim.real")]


def test_pitfall_05_local_diversion_leaves_the_contested_path_to_the_administrator(empty_system: System) -> None:
    system = empty_system
    system.install("victim", {"/usr/bin/victim": b"victim"})
    divert = ["dpkg-divert", f"--root={system.root}", "--rename", "--add", "--local", "--quiet", "/usr/bin/victim"]
    assert os.spawnvp(os.P_WAIT, divert[0], divert) == 0
    system.path("/usr/bin/victim").write_bytes(b"the administrator's own")
    assert system.check()["summary"]["verdict"] == "consistent"
    system.path("/usr/bin/victim.distrib").write_bytes(b"changed")
    assert classes(system.check()) == [("content_changed", "/usr/bin/victim.distrib")]


def test_pitfall_06_replaced_file_is_judged_by_its_new_owner_alone(empty_system: System) -> None:
    system = empty_system
    system.install("old", {"/usr/share/doc/file": b"old", "/usr/share/doc/kept": b"kept"})
    system.install("new", {"/usr/share/doc/file": b"new"}, fields="Replaces: old\n")
    assert b"usr/share/doc/file" in (system.info / "old.md5sums").read_bytes()
    result = system.check()
    assert result["summary"]["verdict"] == "consistent"
    assert system.check(packages=("old",))["summary"]["database_problems_total"] == 0


def test_pitfall_07_path_with_a_digest_in_nobodys_list_is_a_problem_of_the_database(system: System) -> None:
    lines = (system.info / "beta.list").read_bytes().replace(b"/usr/share/beta/more\n", b"")
    (system.info / "beta.list").write_bytes(lines)
    system.path("/usr/share/beta/more").write_bytes(b"changed")
    result = system.check()
    assert result["summary"]["verdict"] == "database_unsound"
    assert [problem["file"] for problem in result["database_problems"]] == ["/var/lib/dpkg/info/beta.list"]
    assert classes(result) == [("content_changed", "/usr/share/beta/more")]


def test_pitfall_08_conffile_with_a_digest_is_still_a_conffile(system: System) -> None:
    assert b"etc/alpha.conf" in (system.info / "alpha.md5sums").read_bytes()
    system.path("/etc/alpha.conf").write_bytes(b"setting = 2\n")
    result = system.check()
    assert classes(result) == [("config_changed", "/etc/alpha.conf")]
    assert result["summary"]["verdict"] == "consistent"


def test_pitfall_09_obsolete_conffile_is_never_a_finding(system: System) -> None:
    new = system.build("alpha", {"/usr/bin/alpha": b"2"}, version="2.0")
    system.dpkg("--install", new)
    assert b"obsolete" in system.status.read_bytes()
    assert system.check()["summary"]["findings_total"] == 0
    system.path("/etc/alpha.conf").unlink()
    system.path("/etc/alpha.d/a b.conf").write_bytes(b"changed")
    assert system.check()["summary"]["findings_total"] == 0


def test_pitfall_09_conffile_that_is_not_configured_yet_is_a_gap(system: System) -> None:
    system.dpkg("--unpack", system.build("gamma", {"/etc/gamma.conf": b"1"}, conffiles=("/etc/gamma.conf",)))
    result = system.check()
    assert gaps(result) == {"conffile_not_configured": 1}
    assert classes(result) == [("package_not_configured", "/var/lib/dpkg/status")]


def test_pitfall_11_missing_conffile_does_not_make_a_system_inconsistent(system: System) -> None:
    system.path("/etc/alpha.conf").unlink()
    result = system.check()
    assert classes(result) == [("config_missing", "/etc/alpha.conf")]
    assert result["summary"]["verdict"] == "consistent"


def test_pitfall_13_path_that_dpkg_leaves_out_may_be_absent_but_is_verified_when_present(system: System) -> None:
    system.path("/etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    rules = "path-exclude=/usr/share/alpha/*\npath-include /usr/share/alpha/b*\n"
    system.path("/etc/dpkg/dpkg.cfg.d/excludes").write_text(rules)
    for name in ("a.txt", "b.txt", "link"):
        system.path(f"/usr/share/alpha/{name}").unlink()
    system.path("/usr/share/alpha/empty").write_bytes(b"not empty")
    assert classes(system.check()) == [
        ("content_changed", "/usr/share/alpha/empty"),
        ("missing", "/usr/share/alpha/b.txt"),
    ]


@pytest.fixture
def siblings(empty_system: System) -> System:
    """The same package for two architectures, which share a file."""
    system = empty_system
    system.dpkg("--add-architecture", "i386")
    for architecture in ("amd64", "i386"):
        files = {"/usr/share/doc/msame/shared": b"shared", f"/usr/lib/{architecture}/lib.so": architecture.encode()}
        system.install("msame", files, architecture=architecture, fields="Multi-Arch: same\n")
    return system


def test_pitfall_16_siblings_share_a_file_and_have_their_own(siblings: System) -> None:
    assert (siblings.info / "msame:i386.list").exists()
    assert siblings.check()["summary"]["verdict"] == "consistent"
    siblings.path("/usr/share/doc/msame/shared").write_bytes(b"changed")
    siblings.path("/usr/lib/i386/lib.so").write_bytes(b"changed")
    assert [finding["packages"] for finding in siblings.check()["findings"]] == [
        ["msame:i386"],
        ["msame:amd64", "msame:i386"],
    ]


def test_pitfall_16_siblings_that_disagree_are_a_problem_of_the_database(siblings: System) -> None:
    sums = siblings.info / "msame:i386.md5sums"
    sums.write_bytes(sums.read_bytes().replace(b"9", b"8"))
    assert siblings.check()["summary"]["verdict"] == "database_unsound"


def test_pitfall_16_info_files_without_architecture_are_found_too(siblings: System) -> None:
    for kind in ("list", "md5sums"):
        (siblings.info / f"msame:amd64.{kind}").rename(siblings.info / f"msame.{kind}")
    result = siblings.check()
    third = "Package: msame\nStatus: purge ok not-installed\nArchitecture: armhf\nMulti-Arch: same\n\n"
    siblings.status.write_text(siblings.status.read_text() + third)
    assert siblings.check()["summary"]["verdict"] == "consistent"
    assert result["summary"]["verdict"] == "consistent"
    assert result["coverage"]["packages"]["verified"] == 2


def test_pitfall_17_unpacked_package_is_verified_and_flagged(system: System) -> None:
    system.dpkg("--unpack", system.build("gamma", {"/usr/share/gamma/file": b"gamma"}))
    system.path("/usr/share/gamma/file").write_bytes(b"changed")
    result = system.check()
    assert classes(result) == [
        ("content_changed", "/usr/share/gamma/file"),
        ("package_not_configured", "/var/lib/dpkg/status"),
    ]
    assert result["findings"][1]["actual"] == {"state": "unpacked"}


def test_pitfall_17_half_installed_package_makes_a_system_inconsistent(system: System) -> None:
    text = system.status.read_text().replace("install ok installed", "install reinstreq half-installed", 1)
    system.status.write_text(text)
    result = system.check()
    assert classes(result) == [("package_broken", "/var/lib/dpkg/status")]
    assert result["summary"]["verdict"] == "inconsistent"


def test_pitfall_17_of_a_removed_package_only_the_conffiles_are_left(system: System) -> None:
    system.dpkg("--remove", "alpha")
    result = system.check()
    assert (result["summary"]["verdict"], result["coverage"]["packages"]["installed"]) == ("consistent", 1)
    system.path("/etc/alpha.conf").write_bytes(b"changed")
    assert classes(system.check()) == [("config_changed", "/etc/alpha.conf")]


def test_pitfall_18_held_package_is_verified(system: System) -> None:
    system.status.write_text(system.status.read_text().replace("install ok installed", "hold ok installed"))
    system.path("/usr/bin/alpha").unlink()
    assert classes(system.check()) == [("missing", "/usr/bin/alpha")]


@pytest.mark.parametrize("empty", [False, True])
def test_pitfalls_20_and_21_files_without_any_digest_are_counted_and_never_consistent(
    system: System, empty: bool
) -> None:
    sums = system.info / "beta.md5sums"
    sums.write_bytes(b"") if empty else sums.unlink()
    result = system.check()
    assert gaps(result) == {"no_digest": 2}
    assert result["coverage"]["packages"] == {"installed": 2, "verified": 1, "not_verified": 1}
    assert [problem["file"] for problem in result["database_problems"]] == ["/var/lib/dpkg/info/beta.md5sums"]
    assert result["summary"]["verdict"] == "database_unsound"


def test_pitfall_22_digests_truncated_at_a_line_boundary_are_noticed(system: System) -> None:
    sums = system.info / "beta.md5sums"
    sums.write_bytes(sums.read_bytes().splitlines(keepends=True)[0])
    result = system.check()
    assert gaps(result) == {"no_digest": 1}
    assert result["summary"]["verdict"] == "database_unsound"


ODD_NAMES = ["two  words", "gl[ob]*?", "näme", "latin\udce9", "back\\slash", "tab\there", "-dash", " space"]


@pytest.mark.parametrize("generated", [True, False])
def test_pitfall_23_odd_names_are_verified_and_reported_exactly(empty_system: System, generated: bool) -> None:
    system = empty_system
    files = {f"/usr/share/odd/{name}": b"odd" for name in ODD_NAMES}
    digest = hashlib.md5(b"odd").hexdigest()
    sums = "".join(("\\" if "\\" in path else "") + f"{digest}  {path[1:]}\n".replace("\\", "\\\\") for path in files)
    system.install("odd", files, control=None if generated else {"md5sums": sums})
    assert system.check()["summary"]["verdict"] == "consistent"
    for path in files:
        system.path(path).write_bytes(b"even")
    found = system.check()["findings"]
    assert len(found) == len(files)
    exact = {base64.b64decode(finding["path_b64"]) for finding in found if "path_b64" in finding}
    assert exact == {b"/usr/share/odd/latin\xe9"}
    json.dumps(found).encode("utf-8")


def test_pitfall_25_hard_links_are_verified_and_each_name_is_reported(system: System) -> None:
    files = {"/usr/share/gamma/one": b"gamma", "/usr/share/gamma/two": b"gamma"}
    system.install("gamma", files)
    two = system.path("/usr/share/gamma/two")
    two.unlink()
    two.hardlink_to(system.path("/usr/share/gamma/one"))
    assert system.check(jobs=1)["summary"]["verdict"] == "consistent"
    two.write_bytes(b"x")
    assert len(system.check(jobs=1)["findings"]) == 2


def test_pitfall_26_file_moved_behind_a_link_is_not_damage_when_its_content_is_right(system: System) -> None:
    original = system.path("/usr/bin/alpha")
    system.path("/srv").mkdir()
    original.rename(system.path("/srv/alpha"))
    original.symlink_to("/srv/alpha")
    result = system.check()
    assert classes(result) == [("relocated_by_symlink", "/usr/bin/alpha")]
    assert result["summary"]["verdict"] == "consistent"
    system.path("/srv/alpha").write_bytes(b"changed")
    assert classes(system.check()) == [("type_changed", "/usr/bin/alpha")]


def test_pitfall_27_directory_behind_a_link_is_followed_inside_the_root_only(system: System) -> None:
    system.path("/srv").mkdir()
    system.path("/usr/share/beta").rename(system.path("/srv/beta"))
    system.path("/usr/share/beta").symlink_to("/srv/beta")
    assert system.check()["summary"]["verdict"] == "consistent"
    outside = system.base / "outside"
    system.path("/srv/beta").rename(outside)
    system.path("/usr/share/beta").unlink()
    system.path("/usr/share/beta").symlink_to(f"../../../../../../../../../../..{outside}")
    assert [category for category, _path in classes(system.check())] == ["type_changed", "missing", "missing"]


def test_pitfall_28_loop_in_a_directory_is_a_finding_and_the_rest_goes_on(system: System) -> None:
    shutil.rmtree(system.path("/usr/share/beta"))
    system.path("/usr/share/beta").symlink_to("beta")
    system.path("/usr/bin/alpha").unlink()
    result = system.check()
    assert ("missing", "/usr/bin/alpha") in classes(result)
    unreadable = [finding for finding in result["findings"] if finding["class"] == "unreadable"]
    assert [finding["actual"] for finding in unreadable] == [{"error": "ELOOP"}] * 2


def test_pitfall_31_what_another_user_may_not_read_is_a_gap_and_no_finding(system: System, nobody: Nobody) -> None:
    system.path("/usr/bin/alpha").chmod(0)
    system.path("/usr/share/beta").chmod(0)
    with nobody():
        result = system.check()
    system.path("/usr/share/beta").chmod(0o755)
    assert result["findings"] == []
    assert gaps(result) == {"permission_denied": 3}
    assert result["summary"]["verdict"] == "incomplete"


@pytest.mark.parametrize(
    ("override", "explanation", "verdict"),
    [
        ("", "package_changed", "incomplete"),
        # Its content is not known, and its mode is known to be wrong.
        ("root root 0640 /usr/share/beta/data\n", "unexplained", "unexplained"),
    ],
)
def test_pitfall_31_an_upgrade_explains_what_this_user_may_not_read_unless_it_is_known_to_be_wrong(
    system: System, nobody: Nobody, override: str, explanation: str, verdict: str
) -> None:
    (system.info.parent / "statoverride").write_text(override)
    directory = system.root.parent
    directory.chmod(0o777)
    paths = [directory / "before", directory / "after"]
    for path, version in zip(paths, ("1.0", "2.0")):
        system.install("beta", {"/usr/share/beta/data": version.encode()}, version=version)
        system.path("/usr/share/beta/data").chmod(0o600)
        with nobody():
            assert system.check(manifest_path=str(path))["manifest_path"] is not None
    with paths[0].open("rb") as first, paths[1].open("rb") as second:
        comparison = Comparison(witness.read(first, "before"), witness.read(second, "after"))
        changes = [(change.path, change.explanation) for change in comparison]
    assert changes == [(b"/usr/share/beta/data", explanation)]
    assert (comparison.contents_not_compared, comparison.verdict()) == (1, verdict)


def test_pitfall_31_unreadable_digests_are_a_gap(system: System, nobody: Nobody) -> None:
    (system.info / "beta.md5sums").chmod(0)
    with nobody():
        result = system.check()
    assert gaps(result)["permission_denied"] == 0
    assert result["coverage"]["packages"]["verified"] == 1
    assert result["summary"]["verdict"] == "incomplete"


def test_pitfall_57_result_is_capped_and_the_report_is_whole(system: System, tmp_path: Path) -> None:
    shutil.rmtree(system.path("/usr/share"))
    report = tmp_path / "report.jsonl"
    result = system.check(max_findings=3, report_path=str(report))
    assert len(result["findings"]) == 3 < result["summary"]["findings_total"]
    records = [json.loads(line) for line in report.read_text().splitlines()]
    assert records[0]["record"] == "summary"
    assert [record["record"] for record in records[1:]] == ["finding"] * result["summary"]["findings_total"]
    assert report.stat().st_mode & 0o777 == 0o600


def test_report_is_never_written_through_a_link_and_replaces_what_is_there(system: System, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    report = tmp_path / "report.jsonl"
    report.symlink_to(victim)
    system.check(report_path=str(report))
    assert victim.read_text() == "mine"
    assert not report.is_symlink() and report.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.jsonl", "victim"]


def test_report_that_cannot_be_written_hides_no_finding(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    system.path("/usr/bin/alpha").unlink()
    result = system.check(report_path=str(tmp_path / "report"))
    assert (classes(result), result["report_path"]) == ([("missing", "/usr/bin/alpha")], None)
    assert "No space left" in result["failures"][0]
    assert list(tmp_path.iterdir()) == []


# The status journal


def test_the_journal_counts_more_than_the_status_file(system: System) -> None:
    paragraphs = system.status.read_text().split("\n\n")
    removed = next(text for text in paragraphs if "Package: beta" in text).replace(
        "install ok installed", "deinstall ok config-files"
    )
    (system.root / "var/lib/dpkg/updates/0001").write_text(removed + "\n")
    (system.info / "beta.md5sums").unlink()
    shutil.rmtree(system.path("/usr/share/beta"))
    result = system.check()
    assert result["coverage"]["packages"]["installed"] == 1
    assert result["summary"]["verdict"] == "consistent"


# Damage to the database


def _zero(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(bytes(length))


DATABASE_DAMAGE: list[tuple[str, Callable[[Path], object], str]] = [
    ("status", lambda path: _zero(path, 60, 100), "NUL"),
    ("status", lambda path: os.truncate(path, path.stat().st_size - 30), "truncated"),
    ("status", lambda path: os.truncate(path, 0), "empty"),
    ("status", Path.unlink, "does not exist"),
    ("status", lambda path: path.write_bytes(os.urandom(4096) + b"\n\n"), "line"),
    ("status", to_directory, "cannot be read"),
    ("status", to_fifo, "cannot be read"),
    ("status", lambda path: path.write_text(path.read_text().replace("Status:", "Stat")), "line"),
    ("info/beta.list", lambda path: _zero(path, 10, 8), "NUL"),
    ("info/beta.list", lambda path: os.truncate(path, path.stat().st_size - 3), "truncated"),
    ("info/beta.list", lambda path: os.truncate(path, 0), "empty"),
    ("info/beta.list", Path.unlink, "does not exist"),
    ("info/beta.list", lambda path: path.write_bytes(b"garbage\n" * 9), "absolute path"),
    ("info/beta.md5sums", lambda path: _zero(path, 10, 8), "NUL"),
    ("info/beta.md5sums", lambda path: os.truncate(path, path.stat().st_size - 3), "truncated"),
    ("info/beta.md5sums", lambda path: os.truncate(path, 0), "no digest"),
    ("info/beta.md5sums", Path.unlink, "no digest"),
    ("info/beta.md5sums", lambda path: path.write_bytes(b"garbage\n"), "digest and a path"),
    ("info/format", lambda path: path.write_bytes(bytes(2)), "instead of 1"),
    ("diversions", lambda path: path.write_bytes(bytes(64)), "truncated"),
    ("info/beta.list", lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n")), "carriage return"),
    ("info/alpha.conffiles", lambda path: path.write_bytes(b"garbage\n"), "absolute path"),
    ("updates/0001", lambda path: path.write_bytes(b"Package: beta\nStatus: install ok in"), "truncated"),
    ("diversions", lambda path: path.write_bytes(b"/a\n/b\n"), "three"),
    ("statoverride", lambda path: path.write_bytes(b"root root\n"), "mode"),
    ("updates/0001", lambda path: path.write_bytes(b"rubbish\n"), "line 1"),
]


@pytest.mark.parametrize(("file", "damage", "words"), DATABASE_DAMAGE)
def test_a_damaged_database_is_unsound_and_the_rest_is_still_verified(
    system: System, file: str, damage: Callable[[Path], object], words: str
) -> None:
    damage(system.root / "var/lib/dpkg" / file)
    result = system.check()
    assert result["summary"]["verdict"] == "database_unsound"
    problems = {problem["file"]: problem["problem"] for problem in result["database_problems"]}
    assert any(words in problem["problem"] for problem in result["database_problems"]), problems
    assert f"/var/lib/dpkg/{file}" in problems
    assert all(problem["remedy"] for problem in result["database_problems"])
    if not file.startswith("status"):
        assert not [finding for finding in result["findings"] if finding["packages"] == ["alpha"]]
        assert result["coverage"]["files"]["verified"] >= 15


def test_a_lost_status_paragraph_is_noticed_by_its_file_list(system: System) -> None:
    kept = [text for text in system.status.read_text().split("\n\n") if "Package: beta" not in text]
    system.status.write_text("\n\n".join(kept))
    result = system.check()
    assert [problem["problem"] for problem in result["database_problems"]] == [
        "it has no paragraph for package beta, but /var/lib/dpkg/info/beta.list is there"
    ]
    assert "no_status" in gaps(result)


def test_a_lost_status_paragraph_is_noticed_without_its_file_list_too(system: System) -> None:
    kept = [text for text in system.status.read_text().split("\n\n") if "Package: beta" not in text]
    system.status.write_text("\n\n".join(kept))
    (system.info / "beta.list").unlink()
    problems = system.check()["database_problems"]
    assert [problem["problem"] for problem in problems] == [
        "it has no paragraph for package beta, but /var/lib/dpkg/info/beta.md5sums is there"
    ]


@pytest.mark.parametrize("state", ["deinstall ok config-files", "purge ok not-installed"])
def test_a_paragraph_that_denies_an_installed_package_is_noticed(system: System, state: str) -> None:
    before, _mark, after = system.status.read_text().rpartition("install ok installed")
    system.status.write_text(before + state + after)
    result = system.check()
    assert result["summary"]["verdict"] == "database_unsound"
    assert "which has /var/lib/dpkg/info/beta.md5sums all the same" in result["database_problems"][0]["problem"]


def test_a_database_without_any_installed_package_is_never_consistent(system: System) -> None:
    system.dpkg("--remove", "alpha", "beta")
    assert [problem["problem"] for problem in system.check()["database_problems"]] == ["it holds no installed package"]


def test_a_lost_field_of_conffiles_is_noticed_by_the_packages_own_list_of_them(system: System) -> None:
    system.status.write_text(system.status.read_text().replace("Conffiles:\n", ""))
    result = system.check()
    assert any("lacks 2 of the conffiles" in problem["problem"] for problem in result["database_problems"])


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 0)])
@pytest.mark.parametrize("file", ["diversions", "statoverride"])
def test_a_lost_small_file_is_told_by_its_old_version(
    diverted: System, file: str, damage: Callable[[Path], object]
) -> None:
    for name in ("one", "two"):
        divert = ["dpkg-divert", f"--root={diverted.root}", "--add", "--local", "--no-rename", "--quiet"]
        assert os.spawnvp(os.P_WAIT, divert[0], [*divert, f"/usr/bin/{name}"]) == 0
        override = ["dpkg-statoverride", f"--root={diverted.root}", "--add", "root", "root", "755", f"/usr/bin/{name}"]
        assert os.spawnvp(os.P_WAIT, override[0], override) == 0
    old = diverted.root / f"var/lib/dpkg/{file}-old"
    if file == "statoverride":
        old.write_bytes(old.read_bytes() * 2)
    assert diverted.check()["summary"]["verdict"] == "consistent"
    damage(diverted.root / "var/lib/dpkg" / file)
    problems = diverted.check()["database_problems"]
    assert [problem["file"] for problem in problems] == [f"/var/lib/dpkg/{file}"]
    assert f"{file}-old" in problems[0]["problem"]


def test_a_lost_file_list_is_one_problem_and_not_one_for_each_conffile(system: System) -> None:
    (system.info / "alpha.list").unlink()
    problems = system.check()["database_problems"]
    assert [problem["problem"] for problem in problems][:1] == ["it does not exist"]
    assert not [problem for problem in problems if "conffile" in problem["problem"]]


def test_a_paragraph_for_another_architecture_that_is_not_installed_is_no_contradiction(empty_system: System) -> None:
    system = empty_system
    system.install("foo", {"/usr/bin/foo": b"foo"}, architecture="amd64")
    other = "Package: foo\nStatus: purge ok not-installed\nArchitecture: i386\n\n"
    system.status.write_text(system.status.read_text() + other)
    result = system.check()
    assert (result["summary"]["verdict"], result["coverage"]["packages"]["installed"]) == ("consistent", 1)
    system.status.write_text(system.status.read_text().replace(other, "").replace(": amd64", ": i386", 1) * 2)
    assert "more than one paragraph for foo" in system.check()["database_problems"][0]["problem"]
    system.status.write_text(system.status.read_text().replace(": i386", ": amd64", 1))
    assert "more than one paragraph for foo" in system.check()["database_problems"][0]["problem"]


def test_a_package_whose_first_unpacking_broke_off_is_broken_and_the_database_is_not(system: System) -> None:
    system.dpkg("--unpack", system.build("gamma", {"/usr/share/gamma/file": b"gamma"}))
    system.status.write_text(system.status.read_text().replace("ok unpacked", "reinstreq half-installed"))
    for kind in ("list", "md5sums"):
        (system.info / f"gamma.{kind}").unlink()
    result = system.check()
    assert result["summary"]["verdict"] == "inconsistent"
    assert classes(result) == [("package_broken", "/var/lib/dpkg/status")]
    assert gaps(result) == {"no_file_list": 0}


def test_a_sibling_whose_list_has_lost_a_shared_file_is_a_problem_of_the_database(siblings: System) -> None:
    path = siblings.info / "msame:i386.list"
    path.write_bytes(path.read_bytes().replace(b"/usr/share/doc/msame/shared\n", b""))
    result = siblings.check()
    assert [problem["file"] for problem in result["database_problems"]] == ["/var/lib/dpkg/info/msame:i386.list"]


def test_a_package_name_that_is_a_path_leads_nowhere(system: System) -> None:
    system.status.write_text(system.status.read_text().replace("Package: beta", "Package: ../../../../etc/beta"))
    result = system.check()
    assert "valid package name" in result["database_problems"][0]["problem"]


# Options


def test_packages_limits_what_is_verified_and_says_so(system: System) -> None:
    system.path("/usr/bin/alpha").unlink()
    result = system.check(packages=("bet*", "nothing"))
    assert result["findings"] == []
    assert set(gaps(result)) == {"not_selected", "no_such_package"}
    assert result["coverage"]["packages"] == {"installed": 2, "verified": 1, "not_verified": 1}


def test_exclude_is_counted_with_its_reason(system: System) -> None:
    system.path("/usr/bin/alpha").unlink()
    result = system.check(exclude=(Exclusion("/usr/bin/*", "rewritten by an agent"),))
    assert result["findings"] == []
    assert [(gap["reason"], gap["detail"], gap["files"]) for gap in result["coverage"]["gaps"]] == [
        ("excluded", "rewritten by an agent", 1)
    ]
    assert result["summary"]["verdict"] == "incomplete"


def test_conffiles_can_be_ignored_and_are_counted(system: System) -> None:
    system.path("/etc/alpha.conf").write_bytes(b"changed")
    result = system.check(conffiles="ignore")
    assert result["findings"] == []
    assert gaps(result) == {"conffiles_ignored": 2}


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_the_result_does_not_depend_on_the_number_of_jobs(system: System, jobs: int) -> None:
    files = {f"/usr/share/many/{number}": str(number).encode() for number in range(600)}
    system.install("many", files)
    for number in range(0, 600, 7):
        system.path(f"/usr/share/many/{number}").write_bytes(b"changed")
    result = system.check(jobs=jobs, max_findings=1000)
    assert {finding["path"] for finding in result["findings"]} == {
        f"/usr/share/many/{number}" for number in range(0, 600, 7)
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"root": "/nonexistent"}, "no such file or directory"),
        ({"root": "/etc/passwd"}, "not a directory"),
        ({"root": "/proc"}, "no dpkg database"),
        ({"jobs": 0}, "jobs 0"),
        ({"max_findings": -1}, "max_findings -1"),
        ({"report_path": "/nonexistent/report"}, "directory does not exist"),
        ({"report_path": "/etc"}, "it is a directory"),
        ({"root": "/\0"}, "embedded null"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_with_reason_and_remedy(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        check(Options(**options))
    assert caught.value.value and caught.value.reason and caught.value.remedy
