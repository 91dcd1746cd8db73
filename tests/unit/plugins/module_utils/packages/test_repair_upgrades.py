# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A package whose installed version is gone is upgraded where that is allowed, with what must change with it alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check, repair_packages, repairing
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.bystanders import Bystanders
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_packages import PackageRepair
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_record import (
    Attempt,
    Done,
    RepairOptions,
)

from .....peers.dpkg_system import _run
from .....peers.repairable import photograph
from .....peers.upgradable import CONFFILES, NEW, OLD, PROGRAM, Site, kept
from .test_repair_killed import MAX_CALLS, STEP, run_until_call

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files back their owners")


@pytest.fixture
def site(upgradable_site: Site) -> Site:
    return upgradable_site


def test_package_is_upgraded_and_the_second_run_changes_nothing(site: Site) -> None:
    site.publish(site.new_tool())
    site.damage()
    result = site.repair()
    assert result["failures"] == []
    assert result["refusals"] == []
    assert result["changed"]
    assert result["upgraded"] == [{"label": "tool", "from": "1.0", "to": "1.1"}]
    (step,) = result["steps"]
    assert (step["kind"], step["trust"], step["status"]) == ("upgrade_packages", "signed", "done")
    assert (result["after"]["verdict"], result["after"]["findings_total"]) == ("consistent", 0)
    assert site.version() == "1.1"
    assert {path: site.read(path) for path in NEW} == NEW
    assert not site.system.path("/usr/share/tool/gone").exists()

    again = site.repair()
    assert not again["changed"]
    assert (again["upgraded"], again["plan_totals"]) == ([], {"steps": 0, "not_repaired": 0})


def test_check_mode_shows_the_versions_and_changes_nothing(site: Site) -> None:
    site.publish(site.new_tool("Depends: part (>= 1.1)\n"), site.new_part())
    site.damage()
    before = photograph(site.system.root, without=("run",))
    planned = site.repair(dry_run=True)
    assert photograph(site.system.root, without=("run",)) == before
    assert planned["changed"]
    assert planned["steps"] == []
    assert [change["label"] for change in planned["upgraded"]] == ["part", "tool"]
    (step,) = planned["plan"]["steps"]
    assert step["before"]["versions"] == ["part 1.0", "tool 1.0"]
    assert step["before"]["damaged"] == [PROGRAM]
    assert step["after"]["versions"] == ["part 1.1", "tool 1.1"]
    assert "part 1.0" in planned["diff"]["before"]
    assert "part 1.1" in planned["diff"]["after"]

    done = site.repair()
    described = [{key: each[key] for key in step} for each in done["steps"]]
    assert described == [step]
    assert done["diff"] == planned["diff"]


def test_everything_that_is_replaced_or_removed_is_kept(site: Site) -> None:
    site.publish(site.new_tool())
    site.damage()
    site.damage("/usr/share/tool/gone")
    result = site.repair()
    assert result["failures"] == []
    found = kept(site, result)
    assert found[PROGRAM] == found["/usr/share/tool/gone"] == b"damaged"
    assert found["/usr/share/tool/changed"] == OLD["/usr/share/tool/changed"]
    assert found["/etc/tool.conf"] == OLD["/etc/tool.conf"]
    assert "/usr/share/tool/same" not in found


@pytest.mark.parametrize("damage", ["content", "lost", "full directory", "link"])
def test_path_that_the_new_version_no_longer_has_is_gone(site: Site, damage: str) -> None:
    site.publish(site.new_tool())
    place = site.system.path("/usr/share/tool/gone")
    place.unlink()
    if damage == "content":
        place.write_bytes(b"x")
    elif damage == "full directory":
        place.mkdir()
        (place / "inner").write_bytes(b"not to be lost")
    elif damage == "link":
        place.symlink_to("nowhere")
    result = site.repair()
    assert result["failures"] == []
    assert site.version() == "1.1"
    assert result["after"]["findings_total"] == 0
    assert not os.path.lexists(place)
    if damage == "full directory":
        (inner,) = site.system.path(result["quarantine"]).rglob("inner")
        assert inner.read_bytes() == b"not to be lost"


@pytest.mark.parametrize("old", ["Depends: part (= 1.0)\n", ""])
@pytest.mark.parametrize("breaks", [True, False])
def test_packages_that_need_each_other_are_upgraded_together(site: Site, old: str, breaks: bool) -> None:
    site.system.install("tool", OLD, conffiles=CONFFILES, fields=old)
    of_tool, of_part = ("Breaks: part (<< 1.1)\n", "Breaks: tool (<< 1.1)\n") if breaks else ("", "")
    site.publish(site.new_tool(f"Depends: part (= 1.1)\n{of_tool}"), site.new_part(of_part))
    site.damage()
    site.damage("/usr/lib/part/data")
    result = site.repair()
    assert result["failures"] == []
    (step,) = result["steps"]
    assert sorted(change["label"] for change in result["upgraded"]) == ["part", "tool"]
    assert sorted(step["before"]["damaged"]) == [PROGRAM, "/usr/lib/part/data"]
    assert (site.version("tool"), site.version("part")) == ("1.1", "1.1")
    assert site.read("/usr/lib/part/data") == b"part 2\n"
    assert result["after"]["findings_total"] == 0


def test_upgrade_takes_the_place_of_what_the_installed_version_could_repair(site: Site) -> None:
    cache = site.system.path("/var/cache/apt/archives")
    cache.mkdir(parents=True)
    shutil.copy(site.system.base / "part_1.0_all.deb", cache)
    site.publish(site.system.base / "part_1.0_all.deb", site.new_tool("Depends: part (= 1.1)\n"), site.new_part())
    site.damage()
    site.damage("/usr/lib/part/data")
    result = site.repair()
    assert result["failures"] == []
    assert [step["kind"] for step in result["steps"]] == ["upgrade_packages"]
    assert site.read("/usr/lib/part/data") == b"part 2\n"
    assert kept(site, result)["/usr/lib/part/data"] == b"damaged"


def _file_for_directory(site: Site) -> None:
    place = site.system.path("/usr/share/tool/deep")
    shutil.rmtree(place)
    place.write_bytes(b"x")


def _directory_for_file(site: Site) -> None:
    place = site.system.path(PROGRAM)
    place.unlink()
    place.mkdir()
    (place / "inner").write_bytes(b"not to be lost")


def _lost(site: Site) -> None:
    shutil.rmtree(site.system.path("/usr/share/tool"))


@pytest.mark.parametrize("damage", [_file_for_directory, _directory_for_file, _lost])
def test_other_damage_is_repaired_by_an_upgrade_too(site: Site, damage: Callable[[Site], None]) -> None:
    site.publish(site.new_tool())
    damage(site)
    result = site.repair()
    assert result["failures"] == []
    assert result["after"]["findings_total"] == 0
    assert {path: site.read(path) for path in NEW} == NEW


def test_run_that_is_killed_leaves_the_old_or_the_new_and_the_next_goes_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "WORK_DIRECTORY", str(tmp_path))
    site.publish(site.new_tool("Depends: part (= 1.1)\n"), site.new_part())
    site.damage()
    numbers, killed = range(1, MAX_CALLS, STEP * 2), True
    for number in numbers:
        copied = site.copy(site.system.base / str(number))
        killed = run_until_call(copied.repair, number)
        assert copied.read("/usr/share/tool/changed") in (
            OLD["/usr/share/tool/changed"],
            NEW["/usr/share/tool/changed"],
        )
        result = copied.repair()
        assert result["failures"] == []
        assert (copied.version("tool"), copied.version("part")) == ("1.1", "1.1")
        assert {path: copied.read(path) for path in NEW} == NEW
        if not killed:
            break
    assert not killed


def test_conffiles_are_kept_as_they_are(site: Site) -> None:
    site.publish(site.new_tool())
    site.system.path("/etc/tool.d/mine.conf").write_bytes(b"mine = 3\n")
    site.damage()
    result = site.repair()
    assert result["failures"] == []
    assert site.read("/etc/tool.d/mine.conf") == b"mine = 3\n"
    assert [each["path"] for each in result["plan"]["not_repaired"]] == ["/etc/tool.d/mine.conf"]
    assert result["after"]["by_class"] == {"config_changed": 1}
    assert kept(site, result)["/etc/tool.d/mine.conf"] == b"mine = 3\n"
    again = site.repair()
    assert not again["changed"]


@pytest.mark.parametrize("option", ["confnew", "confmiss", "confask", "confdef"])
@pytest.mark.parametrize("is_lost", [False, True])
def test_conffiles_are_kept_whatever_the_configuration_of_dpkg_says(
    site: Site, monkeypatch: pytest.MonkeyPatch, option: str, is_lost: bool
) -> None:
    (site.system.base / ".dpkg.cfg").write_text(f"force-{option}\n")
    monkeypatch.setitem(repair_packages._ENVIRONMENT, "HOME", str(site.system.base))
    site.publish(site.new_tool())
    conffile = site.system.path("/etc/tool.d/mine.conf")
    conffile.write_bytes(b"mine = 3\n")
    if is_lost:
        conffile.unlink()
    site.damage()
    result = site.repair()
    assert result["failures"] == []
    assert (conffile.read_bytes() if conffile.exists() else None) == (None if is_lost else b"mine = 3\n")


def test_file_that_is_taken_over_from_another_package_is_kept(site: Site) -> None:
    files = {**NEW, "/usr/lib/other/file": b"tool's\n"}
    site.system.install("other", {"/usr/lib/other/file": b"other's\n", "/usr/lib/other/more": b"more\n"})
    new = site.system.build("tool", files, version="1.1", fields="Replaces: other\n", conffiles=CONFFILES)
    site.publish(new)
    site.damage()
    result = site.repair()
    assert result["failures"] == []
    assert site.read("/usr/lib/other/file") == b"tool's\n"
    assert kept(site, result)["/usr/lib/other/file"] == b"other's\n"
    assert site.version("other") == "1.0"


def test_package_that_is_gone_afterwards_is_a_failure(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.system.install("other", {"/usr/lib/other/file": b"other's\n"})
    files = {**NEW, "/usr/lib/other/file": b"tool's\n"}
    site.publish(site.system.build("tool", files, version="1.1", fields="Replaces: other\n", conffiles=CONFFILES))
    site.damage()
    monkeypatch.setattr(Bystanders, "harm", lambda _self, _packages: "")
    assert "other: it was installed before the repair, and is not any more" in " ".join(site.repair()["failures"])


def test_file_that_another_package_of_the_set_brings_is_not_removed(site: Site) -> None:
    moved = "/usr/share/tool/gone"
    part = site.system.build(
        "part", {moved: OLD[moved]}, version="1.1", fields="Replaces: tool\nBreaks: tool (<< 1.1)\n"
    )
    site.publish(site.new_tool("Depends: part (= 1.1)\n"), part)
    site.damage()
    result = site.repair()
    assert result["failures"] == []
    assert site.read(moved) == OLD[moved]
    assert moved not in kept(site, result)


def test_upgrade_that_changed_no_version_is_a_failure(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(site.new_tool())
    site.damage()
    monkeypatch.setattr(PackageRepair, "perform", lambda _self, _step: None)
    assert "it was upgraded to 1.1, and is 1.0" in " ".join(site.repair()["failures"])


def test_upgrade_that_dpkg_refuses_is_a_failure(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bystanders, "harm", lambda _self, _packages: "")
    site.system.install("other", {"/usr/lib/other/file": b"other's\n"})
    files = {**NEW, "/usr/lib/other/file": b"tool's\n"}
    site.publish(site.system.build("tool", files, version="1.1", conffiles=CONFFILES))
    site.damage()
    result = site.repair()
    assert "dpkg ended with status 1" in result["failures"][0]
    assert "install tool 1.1 by hand" in result["failures"][0]
    assert site.read("/usr/lib/other/file") == b"other's\n"
    assert site.version() == "1.0"
    assert [step["status"] for step in result["steps"]] == ["failed"]
    assert result["upgraded"] == []


def test_what_nobody_looked_at_is_kept_as_well(site: Site) -> None:
    site.publish(site.new_tool("Depends: part (= 1.1)\n"), site.new_part())
    site.damage()
    site.damage("/usr/lib/part/data")
    result = site.repair(packages=("tool",))
    assert result["failures"] == []
    assert kept(site, result)["/usr/lib/part/data"] == b"damaged"
    assert site.read("/usr/lib/part/data") == b"part 2\n"


def _replaced_by_another(site: Site) -> Path:
    site.system.install("other", {"/usr/share/tool/same": b"other's\n", "/x": b"x"}, fields="Replaces: tool\n")
    return site.new_tool()


def _diverted_by_another(site: Site) -> Path:
    path = "/usr/share/tool/same"
    names = ("--divert", f"{path}.real", "--rename", path)
    _run("dpkg-divert", f"--root={site.system.root}", "--package", "other", "--add", *names)
    site.system.install("other", {path: b"other's\n", "/x": b"x"})
    return site.new_tool()


def _link_for_a_shared_directory(site: Site) -> Path:
    site.system.install("other", {"/usr/share/tool/deep/other": b"other's\n"})
    files = {path: content for path, content in NEW.items() if path != "/usr/share/tool/deep/same"}
    links = (("/usr/share/tool/deep", "elsewhere"),)
    return site.system.build("tool", files, version="1.1", links=links, conffiles=CONFFILES)


def _replaces_in_this_version(site: Site) -> Path:
    site.system.install("other", {"/usr/share/tool/new": b"other's\n", "/x": b"x"})
    fields = "Replaces: more, other (<< 1.1)\n"
    return site.system.build("tool", NEW, version="1.1", fields=fields, conffiles=CONFFILES)


@pytest.mark.parametrize(
    "arrange",
    [_replaced_by_another, _diverted_by_another, _link_for_a_shared_directory, _replaces_in_this_version],
)
def test_what_dpkg_does_with_paths_of_two_packages_is_no_reason_to_refuse(
    site: Site, arrange: Callable[[Site], Path]
) -> None:
    site.publish(arrange(site))
    site.damage()
    result = site.repair()
    assert [step["status"] for step in result["steps"]] == ["done"]
    assert (site.version(), site.version("other")) == ("1.1", "1.0")


def test_what_a_step_that_failed_has_upgraded_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bystanders, "harm", lambda _self, _packages: "")
    replaced: list[set[bytes]] = []
    make = repairing.make_result

    def note(options: RepairOptions, attempt: Attempt, done: Done, quarantine: str | None) -> dict[str, Any]:
        replaced.append(done.replaced)
        return make(options, attempt, done, quarantine)

    monkeypatch.setattr(repairing, "make_result", note)
    site.system.install("other", {"/usr/lib/other/file": b"other's\n"})
    files = {**NEW, "/usr/lib/other/file": b"tool's\n"}
    fields = "Depends: part (= 1.1)\n"
    new = site.system.build("tool", files, version="1.1", fields=fields, conffiles=CONFFILES)
    site.publish(new, site.new_part())
    site.damage()
    result = site.repair()
    assert (site.version("part"), site.version("tool")) == ("1.1", "1.0")
    assert [step["status"] for step in result["steps"]] == ["failed"]
    assert result["upgraded"] == [{"label": "part", "from": "1.0", "to": "1.1"}]
    assert b"/usr/lib/part/data" in replaced[0]


def test_file_that_becomes_a_conffile_stays_as_it_is_and_is_no_damage(site: Site) -> None:
    conffiles = (*CONFFILES, "/usr/share/tool/changed")
    site.publish(site.system.build("tool", NEW, version="1.1", conffiles=conffiles))
    site.damage()
    result = site.repair()
    assert result["failures"] == []
    assert site.version() == "1.1"
    assert site.read("/usr/share/tool/changed") == OLD["/usr/share/tool/changed"]


def test_damaged_file_that_becomes_a_conffile_is_no_reason_to_upgrade(site: Site) -> None:
    conffiles = (*CONFFILES, "/usr/share/tool/changed")
    site.publish(site.system.build("tool", NEW, version="1.1", conffiles=conffiles))
    site.damage("/usr/share/tool/changed")
    result = site.repair()
    assert (result["changed"], result["upgraded"], site.version()) == (False, [], "1.0")
    (found,) = result["plan"]["not_repaired"]
    assert "the new version has it as a conffile, which dpkg would leave as it is" in found["reason"]


def test_damage_of_what_changes_with_it_that_becomes_a_conffile_is_told(site: Site) -> None:
    data = "/usr/lib/part/data"
    cache = site.system.path("/var/cache/apt/archives")
    cache.mkdir(parents=True)
    shutil.copy(site.system.base / "part_1.0_all.deb", cache)
    new = site.system.build("part", {data: b"part 2\n"}, version="1.1", conffiles=(data,))
    site.publish(site.system.base / "part_1.0_all.deb", site.new_tool("Depends: part (= 1.1)\n"), new)
    site.damage()
    site.damage(data)
    result = site.repair()
    assert result["failures"] == []
    assert [step["before"]["damaged"] for step in result["steps"]] == [[PROGRAM]]
    assert [each["path"] for each in result["plan"]["not_repaired"]] == [data]
