# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An upgrade that is not allowed, or would do more than it should, is refused with the reason and changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Unavailable
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Identity
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import Exclusion

from .....peers.repairable import photograph
from .....peers.upgradable import CONFFILES, NEW, OLD, PROGRAM, Site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files back their owners")


@pytest.fixture
def site(upgradable_site: Site) -> Site:
    return upgradable_site


def refused(site: Site, exclude: tuple[Exclusion, ...] = (), **policy: object) -> dict[str, Any]:
    """Repair, and return what was said of the damaged program, which stays as it is like everything else."""
    before = photograph(site.system.root, without=("run",))
    result = site.repair(exclude=exclude, **policy)
    assert photograph(site.system.root, without=("run",)) == before
    assert not result["changed"]
    assert result["upgraded"] == []
    (found,) = [each for each in result["plan"]["not_repaired"] if each["path"] == PROGRAM]
    return dict(found)


def test_version_that_is_gone_is_not_replaced_by_another_unasked(site: Site) -> None:
    site.publish(site.new_tool())
    site.damage()
    found = refused(site, allow_upgrade=False)
    assert "no archive that can be verified has this version" in found["reason"]
    assert "allow its upgrade to 1.1 with allow_upgrade" in found["remedy"]


@pytest.mark.parametrize("policy", ["keep", "restore"])
def test_conffile_alone_is_no_reason_to_upgrade(site: Site, policy: str) -> None:
    site.publish(site.new_tool())
    site.system.path("/etc/tool.conf").write_bytes(b"setting = 3\n")
    result = site.repair(conffiles=policy)
    assert not result["changed"]
    assert "allow_upgrade" not in result["plan"]["not_repaired"][0]["remedy"]
    assert site.version() == "1.0"


def test_nothing_is_asked_or_fetched_for_a_conffile(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(site.new_tool())
    site.system.path("/etc/tool.conf").write_bytes(b"setting = 3\n")
    monkeypatch.delattr(Archive, "simulate_upgrade")
    assert not site.repair()["changed"]


def test_nothing_is_fetched_for_an_upgrade_that_is_not_allowed(site: Site) -> None:
    _package_gone(site)
    site.damage()
    assert "allow its upgrade to 1.1" in refused(site, allow_upgrade=False)["remedy"]


def _held(site: Site) -> None:
    site.publish(site.new_tool())
    site.set_hold("tool")


def _held_part(site: Site) -> None:
    site.publish(site.new_tool("Depends: part (= 1.1)\n"), site.new_part())
    site.set_hold("part")


def _comes_first(site: Site) -> None:
    site.publish(site.new_tool("Pre-Depends: part (= 1.1)\n"), site.new_part())


def _removes(site: Site) -> None:
    site.publish(site.new_tool("Conflicts: part\n"))


def _adds(site: Site) -> None:
    more = site.system.build("more", {"/usr/share/more": b"more\n"})
    site.publish(site.new_tool("Depends: more\n"), more)


def _needs_what_is_nowhere(site: Site) -> None:
    site.publish(site.new_tool("Depends: nowhere\n"))


def _older(site: Site) -> None:
    site.publish(site.new_tool(version="0.9"))


def _older_is_preferred(site: Site) -> None:
    site.publish(site.new_tool(version="0.9"))
    site.system.path("/etc/apt/preferences").write_text("Package: tool\nPin: version 0.9\nPin-Priority: 1001\n")


def _not_preferred(site: Site) -> None:
    site.publish(site.new_tool())
    site.system.path("/etc/apt/preferences.d").mkdir()
    site.system.path("/etc/apt/preferences.d/mine.pref").write_text("Package: tool\nPin: release *\nPin-Priority: -1\n")


def _release_preferred_that_is_nowhere(site: Site) -> None:
    site.publish(site.new_tool())
    site.system.path("/etc/apt/apt.conf").write_text('APT::Default-Release "nowhere";\n')


def _unsigned(site: Site) -> None:
    site.publish(site.new_tool())
    (site.archive.release / "Release").write_bytes(b"Suite: test\n")
    (site.archive.release / "InRelease").unlink()
    site.archive.use_in(site.system.root, "trusted=yes")


def _package_gone(site: Site) -> None:
    package = site.new_tool()
    site.publish(package)
    (site.archive.base / "pool" / package.name).unlink()


def _package_changed(site: Site) -> None:
    package = site.new_tool()
    site.publish(package)
    place = site.archive.base / "pool" / package.name
    data = bytearray(place.read_bytes())
    data[-700] ^= 1
    place.write_bytes(bytes(data))


SHARED = "/usr/lib/other/file"


def _brings_what_another_has(site: Site, fields: str = "", *, extra: bool = True) -> None:
    more = {"/usr/lib/other/more": b"more\n"} if extra else {}
    site.system.install("other", {SHARED: b"other's\n", **more})
    files = {**NEW, SHARED: b"tool's\n"}
    site.publish(site.system.build("tool", files, version="1.1", fields=fields, conffiles=CONFFILES))


def _makes_another_disappear(site: Site) -> None:
    _brings_what_another_has(site, "Replaces: other\n", extra=False)
    site.set_hold("other")


def _makes_another_disappear_together(site: Site) -> None:
    site.system.install("other", {SHARED: b"other's\n", "/usr/lib/other/more": b"more\n"})
    fields = "Replaces: other\n"
    tool = {**NEW, SHARED: b"tool's\n"}
    part = {"/usr/lib/part/data": b"part 2\n", "/usr/lib/other/more": b"part's\n"}
    site.publish(
        site.system.build("tool", tool, version="1.1", fields=f"{fields}Depends: part (= 1.1)\n", conffiles=CONFFILES),
        site.system.build("part", part, version="1.1", fields=fields),
    )


def _makes_one_of_directories_disappear(site: Site) -> None:
    site.system.install("other", {}, directories=("/usr/share/tool",))
    site.publish(site.new_tool())


def _replaces_another_version(site: Site) -> None:
    _brings_what_another_has(site, "Replaces: nobody, other (<< 1.0)\n")


def _file_for_a_shared_directory(site: Site) -> None:
    site.system.install("other", {"/usr/share/tool/deep/other": b"other's\n"})
    files = {path: content for path, content in NEW.items() if path != "/usr/share/tool/deep/same"}
    files["/usr/share/tool/deep"] = b"a file\n"
    site.publish(site.system.build("tool", files, version="1.1", fields="Replaces: other\n", conffiles=CONFFILES))


REFUSED: dict[str, tuple[Callable[[Site], None], str]] = {
    "held": (_held, "tool is held"),
    "held with it": (_held_part, "apt would upgrade part with it, which is held"),
    "removes": (_removes, "apt would remove part"),
    "adds": (_adds, "apt would install more, which is not there"),
    "depends on nothing": (_needs_what_is_nowhere, "apt finds no way to do it"),
    "older": (_older, "apt knows no newer version of tool"),
    "older is preferred": (_older_is_preferred, "apt would go back from version 1.0 of tool to 0.9"),
    "not preferred": (_not_preferred, "apt finds no way to do it (Package 'tool' has no installation candidate"),
    "release that is nowhere": (_release_preferred_that_is_nowhere, "apt finds no way to do it (The value 'nowhere'"),
    "must come first": (_comes_first, "tool cannot be unpacked before part 1.1 is configured"),
    "another disappears": (_makes_another_disappear, "dpkg would remove other, all of whose paths tool would have"),
    "another disappears for two": (
        _makes_another_disappear_together,
        "dpkg would remove other, all of whose paths part, tool would have",
    ),
    "another of directories disappears": (_makes_one_of_directories_disappear, "dpkg would remove other"),
    "has what is another's": (_brings_what_another_has, f"tool would have {SHARED}, which is other's"),
    "replaces another version": (_replaces_another_version, f"tool would have {SHARED}, which is other's"),
    "file for a shared directory": (
        _file_for_a_shared_directory,
        "tool would have a file in place of the directory /usr/share/tool/deep, which other has too",
    ),
    "unsigned": (_unsigned, "apt knows no newer version of tool"),
    "gone": (_package_gone, "tool 1.1 cannot be had"),
    "changed": (_package_changed, "tool 1.1 cannot be had"),
}


@pytest.mark.parametrize(("arrange", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_upgrade_is_refused_with_the_reason(site: Site, arrange: Callable[[Site], None], reason: str) -> None:
    arrange(site)
    site.damage()
    found = refused(site)
    assert f"it is not upgraded instead: {reason}" in found["reason"]
    assert "Add a source that has it" in found["remedy"]


@pytest.mark.parametrize("arrange", [_held, _held_part, _removes, _adds, _older, _unsigned])
def test_option_is_not_named_where_it_would_not_help(site: Site, arrange: Callable[[Site], None]) -> None:
    arrange(site)
    site.damage()
    assert "allow_upgrade" not in refused(site, allow_upgrade=False)["remedy"]


@pytest.mark.parametrize("is_held", [True, False])
def test_each_package_is_told_its_version(site: Site, is_held: bool) -> None:
    site.publish(site.new_tool(), site.new_part(version="1.2"))
    if is_held:
        site.set_hold("part")
    site.damage()
    site.damage("/usr/lib/part/data")
    found = {each["path"]: each["remedy"] for each in site.repair(allow_upgrade=False)["plan"]["not_repaired"]}
    assert "to 1.1 with allow_upgrade" in found[PROGRAM]
    assert ("to 1.2 with allow_upgrade" in found["/usr/lib/part/data"]) != is_held


def test_package_that_has_no_way_does_not_hide_that_of_another(site: Site) -> None:
    site.publish(site.new_tool(), site.new_part("Depends: nowhere\n"))
    site.damage()
    site.damage("/usr/lib/part/data")
    assert "allow its upgrade to 1.1" in refused(site, allow_upgrade=False)["remedy"]
    result = site.repair()
    assert [change["label"] for change in result["upgraded"]] == ["tool"]


def test_strategy_file_upgrades_nothing(site: Site) -> None:
    site.publish(site.new_tool())
    site.damage()
    found = refused(site, strategy="file")
    assert "one file is not enough for an upgrade" in found["reason"]
    assert "auto" in found["remedy"]


def test_trust_must_be_that_of_a_signature(site: Site) -> None:
    cache = site.system.path("/var/cache/apt/archives")
    cache.mkdir(parents=True)
    shutil.copy(site.new_tool(), cache)
    site.publish(site.new_part())
    site.damage()
    assert "apt knows no newer version" in refused(site, minimum_trust="digest")["reason"]


def test_new_version_that_no_signed_index_has_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(site.new_tool())
    site.damage()
    monkeypatch.setattr(Archive, "records", lambda _source, _wanted: [])
    assert "tool 1.1 cannot be had: no archive that can be verified" in refused(site)["reason"]
    assert "allow_upgrade" not in refused(site, allow_upgrade=False)["remedy"]


def test_new_version_that_is_not_signed_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(site.new_tool())
    site.damage()
    packages = Archive.packages

    def unsigned(
        source: Archive, wanted: Sequence[Identity]
    ) -> Iterator[tuple[Identity, VerifiedPackage | Unavailable]]:
        for identity, found in packages(source, wanted):
            if isinstance(found, VerifiedPackage):
                found.trust = "digest"
            yield identity, found

    monkeypatch.setattr(Archive, "packages", unsigned)
    assert "tool 1.1 is not signed" in refused(site, minimum_trust="digest")["reason"]


@pytest.mark.parametrize("path", ["/usr/share/tool/new", "/usr/share/tool/gone", "/etc/tool.conf"])
def test_upgrade_that_would_replace_what_is_excluded_is_refused(site: Site, path: str) -> None:
    site.publish(site.new_tool())
    site.damage()
    found = refused(site, exclude=(Exclusion(path, "mine"),))
    assert f"installing it would replace {path}" in found["reason"]


def test_what_an_excluded_upgrade_would_have_taken_with_it_is_repaired_alone(site: Site) -> None:
    part = site.system.base / "part_1.0_all.deb"
    site.publish(part, site.new_tool("Depends: part (= 1.1)\n"), site.new_part())
    site.damage()
    site.damage("/usr/lib/part/data")
    result = site.repair(strategy="package", exclude=(Exclusion("/usr/share/tool/*", "mine"),))
    assert [(step["kind"], step["package"]) for step in result["steps"]] == [("install_package", "part")]
    assert site.read("/usr/lib/part/data") == b"part 1\n"
    assert (site.version("tool"), site.version("part")) == ("1.0", "1.0")


@pytest.mark.parametrize("change", ["content", "link"])
def test_upgrade_that_would_write_over_a_conffile_that_was_changed_is_refused(site: Site, change: str) -> None:
    conffile = site.system.path("/etc/tool.d/mine.conf")
    conffile.unlink()
    if change == "content":
        conffile.write_bytes(b"mine = 3\n")
    else:
        conffile.symlink_to("elsewhere")
    site.publish(site.system.build("tool", NEW, version="1.1", conffiles=CONFFILES[:1]))
    site.damage()
    found = refused(site)
    assert "dpkg would write over /etc/tool.d/mine.conf, a conffile that was changed" in found["reason"]
    assert "move it away" in found["remedy"]


@pytest.mark.parametrize("content", [OLD["/etc/tool.d/mine.conf"], NEW["/etc/tool.d/mine.conf"], None])
def test_conffile_in_which_nothing_would_be_lost_is_no_reason_to_refuse(site: Site, content: bytes | None) -> None:
    conffile = site.system.path("/etc/tool.d/mine.conf")
    conffile.unlink()
    if content is not None:
        conffile.write_bytes(content)
    site.publish(site.system.build("tool", NEW, version="1.1", conffiles=CONFFILES[:1]))
    site.damage()
    assert site.repair()["upgraded"] == [{"label": "tool", "from": "1.0", "to": "1.1"}]
    assert site.read("/etc/tool.d/mine.conf") == NEW["/etc/tool.d/mine.conf"]
