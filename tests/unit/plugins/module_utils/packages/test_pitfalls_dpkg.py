# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pitfalls of dpkg systems beside those in test_check.py, by their numbers in the reference."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import dpkg
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Entry, Recorded
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.dpkg_system import System


def classes(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["class"], finding["path"]) for finding in result["findings"]]


def gaps(result: dict[str, Any]) -> dict[str, int]:
    return {gap["reason"]: gap["files"] for gap in result["coverage"]["gaps"]}


def entry_of(system: System, path: str) -> Entry:
    entries = dpkg.read_manifest(Tree(str(system.root))).entries
    return next(entry for entry in entries if entry.path == path.encode())


def test_pitfall_09_file_to_be_removed_on_upgrade_is_never_a_finding(system: System) -> None:
    row = " /etc/gone newconffile remove-on-upgrade\n"
    system.status.write_text(system.status.read_text().replace("Conffiles:\n", "Conffiles:\n" + row, 1))
    result = system.check()
    assert (result["summary"]["verdict"], result["coverage"]["gaps"]) == ("consistent", [])


def test_pitfall_10_changed_conffile_has_a_class_of_its_own(system: System) -> None:
    system.path("/etc/alpha.conf").write_bytes(b"setting = 2\n")
    result = system.check()
    assert classes(result) == [("config_changed", "/etc/alpha.conf")]
    assert result["summary"]["verdict"] == "consistent"


# 12: ucf


@pytest.fixture
def managed(system: System) -> System:
    """Package beta has made a configuration file with ucf."""
    system.path("/var/lib/ucf").mkdir(parents=True)
    digest = hashlib.md5(b"made\n").hexdigest()
    system.path("/var/lib/ucf/hashfile").write_text(f"{digest}  /etc/beta.conf\n")
    system.path("/var/lib/ucf/registry").write_text("beta \t /etc/beta.conf\nnobody \t /etc/other\n")
    system.path("/etc/beta.conf").write_bytes(b"made\n")
    return system


def test_pitfall_12_file_made_with_ucf_is_dealt_with_like_a_conffile(managed: System) -> None:
    result = managed.check()
    assert (result["summary"]["verdict"], result["coverage"]["files"]["verified"]) == ("consistent", 21)
    managed.path("/etc/beta.conf").write_bytes(b"changed\n")
    result = managed.check()
    assert classes(result) == [("config_changed", "/etc/beta.conf")]
    assert (result["findings"][0]["packages"], result["summary"]["verdict"]) == (["beta"], "consistent")
    managed.path("/etc/beta.conf").unlink()
    assert classes(managed.check()) == [("config_missing", "/etc/beta.conf")]


def test_pitfall_12_file_made_with_ucf_goes_with_its_package_and_with_the_conffiles(managed: System) -> None:
    managed.path("/etc/beta.conf").unlink()
    assert managed.check(packages=("alpha",))["findings"] == []
    assert gaps(managed.check(conffiles="ignore"))["conffiles_ignored"] == 3
    managed.dpkg("--purge", "beta")
    assert managed.check()["findings"] == []


@pytest.mark.parametrize("file", ["hashfile", "registry"])
@pytest.mark.parametrize("content", [bytes(64), b"rubbish\n", b"beta \t /etc/be"])
def test_pitfall_12_damaged_database_of_ucf_is_a_problem(managed: System, file: str, content: bytes) -> None:
    managed.path(f"/var/lib/ucf/{file}").write_bytes(content)
    assert {problem["file"] for problem in managed.check()["database_problems"]} == {f"/var/lib/ucf/{file}"}


def test_pitfall_14_locale_that_localepurge_took_may_be_absent_but_is_verified_when_present(system: System) -> None:
    files = {f"/usr/share/locale/{name}/LC_MESSAGES/x.mo": name.encode() for name in ("de", "fr", "it")}
    system.install("gamma", files)
    system.path("/etc/locale.nopurge").write_text("MANDELETE\nde\n")
    system.path("/usr/share/locale/fr/LC_MESSAGES/x.mo").unlink()
    system.path("/usr/share/locale/it/LC_MESSAGES/x.mo").write_bytes(b"changed")
    assert classes(system.check()) == [("content_changed", "/usr/share/locale/it/LC_MESSAGES/x.mo")]
    system.path("/usr/share/locale/de/LC_MESSAGES/x.mo").unlink()
    assert ("missing", "/usr/share/locale/de/LC_MESSAGES/x.mo") in classes(system.check())


# 15: images


def test_pitfall_15_what_a_base_image_leaves_out_is_no_finding(system: System) -> None:
    files = ["/usr/share/doc/gamma/copyright", "/usr/share/doc/gamma/README", "/usr/share/man/man1/gamma.1.gz"]
    system.install("gamma", dict.fromkeys(files, b"gamma"))
    system.path("/etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    rules = "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\npath-exclude /usr/share/man/*\n"
    system.path("/etc/dpkg/dpkg.cfg.d/excludes").write_text(rules)
    for file in files:
        system.path(file).unlink()
    assert classes(system.check()) == [("missing", "/usr/share/doc/gamma/copyright")]


@pytest.fixture
def distroless(tmp_path: Path) -> System:
    """An image without dpkg: one file a package in status.d, its digests beside it."""
    system = System(tmp_path)
    directory = system.root / "var/lib/dpkg/status.d"
    directory.mkdir(parents=True)
    for name in ("base-files", "tzdata"):
        path = system.path(f"/usr/share/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        paragraph = f"Package: {name}\nVersion: 1\nArchitecture: amd64\nDescription: a test\n long\n"
        (directory / name).write_text(paragraph)
        digest = hashlib.md5(name.encode()).hexdigest()
        (directory / f"{name}.md5sums").write_text(f"{digest}  usr/share/{name}\n")
    return system


def test_pitfall_15_image_with_its_database_in_parts_is_verified_by_its_digests(distroless: System) -> None:
    result = distroless.check()
    assert result["findings"] == result["database_problems"] == []
    assert result["coverage"]["packages"] == {"installed": 2, "verified": 2, "not_verified": 0}
    assert (gaps(result), result["summary"]["verdict"]) == ({"no_file_list": 0}, "incomplete")
    distroless.path("/usr/share/tzdata").write_bytes(b"changed")
    distroless.path("/usr/share/base-files").unlink()
    assert classes(distroless.check()) == [
        ("content_changed", "/usr/share/tzdata"),
        ("missing", "/usr/share/base-files"),
    ]


def test_pitfall_15_package_of_such_an_image_without_digests_is_not_verified(distroless: System) -> None:
    (distroless.root / "var/lib/dpkg/status.d/tzdata.md5sums").unlink()
    result = distroless.check()
    assert result["database_problems"] == []
    assert result["coverage"]["packages"] == {"installed": 2, "verified": 1, "not_verified": 1}


@pytest.mark.parametrize(("file", "content"), [("tzdata", b""), ("tzdata", bytes(64)), ("tzdata.md5sums", bytes(64))])
def test_pitfall_15_damage_to_a_part_is_a_problem(distroless: System, file: str, content: bytes) -> None:
    (distroless.root / "var/lib/dpkg/status.d" / file).write_bytes(content)
    files = {problem["file"] for problem in distroless.check()["database_problems"]}
    assert files == {f"/var/lib/dpkg/status.d/{file}"}


def test_pitfall_15_dpkg_in_such_an_image_knows_better_what_it_has_installed(distroless: System) -> None:
    for name in ("info", "updates", "triggers"):
        (distroless.root / "var/lib/dpkg" / name).mkdir()
    distroless.status.write_bytes(b"")
    distroless.install("tzdata", {"/usr/share/tzdata": b"newer"}, version="2", architecture="amd64")
    result = distroless.check()
    assert (result["findings"], result["database_problems"]) == ([], [])
    assert result["coverage"]["packages"]["installed"] == 2


def test_pitfall_19_package_of_no_archive_is_verified_by_its_digests(system: System) -> None:
    system.install("local-only", {"/opt/local": b"local"}, version="0~built.here")
    (system.base / "local-only_0~built.here_all.deb").unlink()
    system.path("/opt/local").write_bytes(b"changed")
    assert classes(system.check()) == [("content_changed", "/opt/local")]


def test_pitfall_24_newline_in_a_name_cannot_be_in_a_list_and_is_noticed(system: System) -> None:
    digest = hashlib.md5(b"odd").hexdigest()
    system.path("/usr/share/beta/new\nline").write_bytes(b"odd")
    with (system.info / "beta.list").open("ab") as stream:
        stream.write(b"/usr/share/beta/new\nline\n")
    with (system.info / "beta.md5sums").open("ab") as stream:
        stream.write(f"\\{digest}  usr/share/beta/new\\nline\n".encode())
    problems = [problem["problem"] for problem in system.check()["database_problems"]]
    assert any(problem.endswith("is not an absolute path") for problem in problems)
    assert any("neither in it nor in another package's list" in problem for problem in problems)


# 39: what is changed on purpose


def override(system: System, *arguments: str) -> None:
    command = ["dpkg-statoverride", f"--root={system.root}", *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})


def test_pitfall_39_override_is_what_mode_and_owner_are_compared_with(system: System) -> None:
    (system.root / "var/lib/dpkg/statoverride").write_bytes(b"#0 #8 4710 /usr/bin/alpha\n")
    assert entry_of(system, "/usr/bin/alpha").recorded == Recorded(mode=0o4710, owner=0, group=8)
    assert entry_of(system, "/usr/share/alpha/a.txt").recorded is None
    if os.geteuid() == 0:
        os.chown(system.path("/usr/bin/alpha"), 0, 8)
        system.path("/usr/bin/alpha").chmod(0o4710)
        assert system.check()["findings"] == []
        os.chown(system.path("/usr/bin/alpha"), 0, 9)
        system.path("/usr/bin/alpha").chmod(0o755)
        assert sorted(classes(system.check())) == [
            ("mode_changed", "/usr/bin/alpha"),
            ("owner_changed", "/usr/bin/alpha"),
        ]


def test_pitfall_39_override_with_names_of_accounts(system: System) -> None:
    statoverride = system.root / "var/lib/dpkg/statoverride"
    statoverride.write_bytes(b"root messagebus 4754 /usr/bin/alpha\nroot ssl-cert 710 /usr/share/beta\n")
    assert entry_of(system, "/usr/bin/alpha").recorded == Recorded(mode=0o4754, owner="root", group="messagebus")
    assert entry_of(system, "/usr/share/beta").recorded == Recorded(mode=0o710, owner="root", group="ssl-cert")


def test_pitfall_39_override_for_a_path_of_no_package_is_no_problem(system: System) -> None:
    override(system, "--add", "#0", "#0", "755", "/opt/own")
    result = system.check()
    assert (result["summary"]["verdict"], result["coverage"]["gaps"]) == ("consistent", [])


def test_pitfall_39_override_follows_the_name_that_the_package_lists(empty_system: System) -> None:
    """As dpkg does: the diverted file gets what is set for the contested name, not for the name that it has."""
    system = empty_system
    divert = ["dpkg-divert", f"--root={system.root}", "--add", "--no-rename", "--package", "other", "--quiet"]
    subprocess.run([*divert, "--divert", "/usr/bin/victim.real", "/usr/bin/victim"], check=True)
    override(system, "--add", "#0", "#0", "4711", "/usr/bin/victim")
    override(system, "--add", "#0", "#0", "2750", "/usr/bin/victim.real")
    system.install("victim", {"/usr/bin/victim": b"victim"})
    assert system.path("/usr/bin/victim.real").stat().st_mode & 0o7777 == 0o4711
    recorded = entry_of(system, "/usr/bin/victim.real").recorded
    assert recorded is not None and recorded.mode == 0o4711


def test_pitfall_39_generated_files_belong_to_no_package(system: System) -> None:
    for name in ("mime.cache", "__pycache__/alpha.cpython-39.pyc"):
        path = system.path("/usr/share/alpha") / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"generated")
    assert system.check()["summary"]["verdict"] == "consistent"


def test_pitfall_55_nothing_below_the_root_is_written(system: System) -> None:
    def state() -> list[tuple[str, int, int]]:
        found = [(str(path), path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in system.root.rglob("*")]
        return sorted(found)

    before = state()
    system.check()
    assert state() == before
