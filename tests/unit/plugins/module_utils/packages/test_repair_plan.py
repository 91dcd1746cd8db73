# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a repair: what is done, in which order, by which means; what is not, and why."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import Contents, Member, VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CHARACTER_DEVICE,
    CONFFILE,
    DIRECTORY,
    FILE,
    SYMLINK,
    DatabaseProblem,
    Entry,
    Finding,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair import concerned, make_plan
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Facts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_order import (
    STAGES,
    installation_stage,
    stage,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    Plan,
    Policy,
    describe_plan,
    difference,
)

PATH = b"/usr/bin/it"


def member(path: bytes, kind: str = FILE, **more: object) -> Member:
    known = {"mode": 0o755, "uid": 0, "gid": 0, "owner": "root", "group": "root", "size": 3, "modified": 1}
    fields = {**known, "target": None, "linked_to": None, "device": None, "sha256": b"0" * 64, **more}
    return Member(path, kind, **fields)  # type: ignore[arg-type]


def package(*members: Member, name: str = "it", version: str = "1", trust: str = "signed") -> VerifiedPackage:
    by_path = {each.path: each for each in members or (member(PATH),)}
    contents = Contents(
        name=name,
        version=version,
        architecture="all",
        members=by_path,
        conffiles=(),
        md5sums={},
        control={},
        scripts=(),
        members_md5={},
    )
    return VerifiedPackage(contents, trust, "a test", "/nonexistent.deb")


def entry(path: bytes, kind: str = FILE, package: str = "it", recorded: Recorded | None = None) -> Entry:
    made = Entry(path, path, kind, package)
    made.recorded = recorded
    return made


def finding(category: str, path: bytes = PATH, *packages: str) -> Finding:
    return Finding(category, path, packages or ("it",), {}, {"type": "file"})


def plan(
    *findings: Finding,
    entries: tuple[Entry, ...] = (),
    references: Mapping[str, VerifiedPackage | str] | None = None,
    scripts: Mapping[str, bytes] | None = None,
    obstacles: Mapping[bytes, str] | None = None,
    problems: tuple[DatabaseProblem, ...] = (),
    moved: Mapping[tuple[str, bytes], bytes] | None = None,
    unsuited: Mapping[str, tuple[str, str]] | None = None,
    **policy: str,
) -> Plan:
    by_path = {each.path: each for each in entries or (entry(PATH),)}
    known = references if references is not None else {"it": package()}
    places = {
        (label, path): path for label, each in known.items() if not isinstance(each, str) for path in each.members
    }
    places.update(moved or {})
    facts = Facts(by_path, known, scripts or {}, obstacles or {}, {}, places, [], (), {})
    return make_plan(findings, problems, facts, Policy(**policy), unsuited)


CLASSES = {
    # class: what is done by single files where that is enough
    "content_changed": "replace_file",
    "unreadable": "replace_file",
    "type_changed": "replace_file",
    "missing": "replace_file",
    "diverted_target_missing": "replace_file",
    "cached_good_disk_bad": "replace_file",
    "mode_changed": "set_metadata",
    "owner_changed": "set_metadata",
    "capabilities_changed": "install_package",
    "ownership_conflict": None,
    "relocated_by_symlink": None,
    "package_not_configured": None,
    "cached_bad_disk_good": None,
    "what a heuristic suspects": None,
}


@pytest.mark.parametrize("category", CLASSES)
def test_each_class(category: str) -> None:
    made = plan(finding(category))
    kind = CLASSES[category]
    assert [step.kind for step in made.steps] == ([kind] if kind else [])
    assert len(made.not_repaired) == (kind is None)
    assert all(each.reason and each.remedy for each in made.not_repaired)


@pytest.mark.parametrize(
    ("kind", "done"), [(DIRECTORY, "make_directory"), (SYMLINK, "replace_link"), (FILE, "replace_file")]
)
def test_each_kind_of_member(kind: str, done: str) -> None:
    made = plan(finding("missing"), references={"it": package(member(PATH, kind, target=b"x"))})
    assert [step.kind for step in made.steps] == [done]


def test_device_comes_with_its_package() -> None:
    made = plan(finding("missing"), references={"it": package(member(PATH, CHARACTER_DEVICE))})
    assert [step.kind for step in made.steps] == ["install_package"]


TRUSTS = [
    ("signed", "signed", True),
    ("digest", "signed", False),
    ("digest", "digest", True),
    ("signed", "digest", True),
]


@pytest.mark.parametrize(("trust", "minimum", "enough"), TRUSTS)
def test_source_must_be_trusted_enough(trust: str, minimum: str, enough: bool) -> None:
    made = plan(finding("missing"), references={"it": package(trust=trust)}, minimum_trust=minimum)
    assert [step.trust for step in made.steps] == [trust] * enough
    assert ["trust" in each.reason for each in made.not_repaired] == [True] * (not enough)


def test_second_owner_serves_where_the_first_cannot() -> None:
    shared = entry(PATH, package="it:amd64")
    shared.packages.append("it:i386")
    references: dict[str, VerifiedPackage | str] = {"it:amd64": "no archive has it", "it:i386": package()}
    made = plan(finding("missing", PATH, "it:amd64", "it:i386"), entries=(shared,), references=references)
    assert [step.package for step in made.steps] == ["it:i386"]


CONFFILES = [
    ("config_changed", "keep", False),
    ("config_changed", "restore_missing", False),
    ("config_changed", "restore", True),
    ("config_missing", "keep", False),
    ("config_missing", "restore_missing", True),
    ("config_missing", "restore", True),
    ("mode_changed", "keep", False),
    ("type_changed", "restore_missing", False),
    ("unreadable", "keep", False),
]


@pytest.mark.parametrize("strategy", ["file", "package", "auto"])
@pytest.mark.parametrize(("category", "policy", "touched"), CONFFILES)
def test_conffile_is_touched_on_request_alone(category: str, policy: str, touched: bool, strategy: str) -> None:
    made = plan(finding(category), entries=(entry(PATH, CONFFILE),), conffiles=policy, strategy=strategy)
    assert len(made.steps) == touched
    assert not any(step.kind == "install_package" for step in made.steps)


def test_old_owner_and_mode_stay_where_only_the_content_is_damaged() -> None:
    (step,) = plan(finding("content_changed")).steps
    assert (step.mode, step.owner, step.group) == (None, None, None)


def test_statoverride_wins_over_the_package() -> None:
    overridden = entry(PATH, recorded=Recorded(mode=0o4750, owner="games", group=12))
    (step,) = plan(finding("missing"), entries=(overridden,)).steps
    assert (step.mode, step.owner, step.group) == (0o4750, "games", 12)


def test_of_a_mode_that_a_script_sets_only_the_bits_go_that_nobody_asks_for() -> None:
    scripted = entry(PATH, recorded=Recorded(denied=0o4002))
    found = Finding("mode_changed", PATH, ("it",), {"mode_without": "4002"}, {"mode": "6757"})
    (step,) = plan(found, entries=(scripted,)).steps
    assert (step.kind, step.mode) == ("set_metadata", 0o2755)


def test_several_findings_of_a_path_are_one_step() -> None:
    (step,) = plan(finding("content_changed"), finding("mode_changed")).steps
    assert (step.kind, step.mode, step.why) == ("replace_file", 0o755, "content_changed, mode_changed")


def test_names_of_one_file_are_one_step() -> None:
    names = (PATH, b"/usr/bin/two", b"/usr/bin/three")
    members = [member(PATH), *(member(name, linked_to=PATH) for name in names[1:])]
    entries = tuple(entry(name) for name in names)
    found = [finding("content_changed", name) for name in names[:2]]
    (step,) = plan(*found, entries=entries, references={"it": package(*members)}).steps
    assert {step.path, *(path for path, _member in step.links)} == set(names)
    assert set(step.damaged) == set(names[:2])


SCRIPTS = [
    (b"chgrp _ssh /usr/bin/it", "missing", "install_package"),
    (b"setcap cap_net_raw+ep /bin/it", "content_changed", "install_package"),
    (b"setcap cap_net_raw+ep /bin/it", "mode_changed", "set_metadata"),
    (b"setcap cap_net_raw+ep /bin/it", "missing", "install_package"),
    (b"chgrp _ssh /usr/bin/it", "content_changed", "replace_file"),
    (b"chgrp _ssh /usr/bin/another", "missing", "replace_file"),
    (b"echo /usr/bin/it", "missing", "replace_file"),
]


@pytest.mark.parametrize(("script", "category", "kind"), SCRIPTS)
def test_script_that_sets_owner_or_mode_of_a_lost_file_must_run(script: bytes, category: str, kind: str) -> None:
    assert [step.kind for step in plan(finding(category), scripts={"it": script}).steps] == [kind]


def test_file_strategy_says_where_it_is_not_enough() -> None:
    made = plan(finding("missing"), scripts={"it": b"chmod 4755 /usr/bin/it"}, strategy="file")
    assert made.steps == []
    assert "one file is not enough" in made.not_repaired[0].reason


def test_whole_package_makes_its_single_steps_needless_but_not_its_directories() -> None:
    directory = b"/usr/share/it"
    members = [member(PATH), member(b"/usr/bin/two"), member(directory, DIRECTORY)]
    made = plan(
        finding("capabilities_changed"),
        finding("content_changed", b"/usr/bin/two"),
        finding("mode_changed", directory),
        entries=(entry(PATH), entry(b"/usr/bin/two"), entry(directory, DIRECTORY)),
        references={"it": package(*members)},
    )
    assert [step.kind for step in made.steps] == ["install_package", "set_metadata"]
    assert set(made.steps[0].damaged) == {PATH, b"/usr/bin/two"}


def test_package_that_must_not_be_installed_leaves_what_single_files_can_do() -> None:
    members = [member(PATH), member(b"/usr/bin/two")]
    made = plan(
        finding("capabilities_changed"),
        finding("content_changed", b"/usr/bin/two"),
        entries=(entry(PATH), entry(b"/usr/bin/two")),
        references={"it": package(*members)},
        unsuited={"it": ("a file is excluded", "Remove the exclusion")},
    )
    assert [(step.kind, step.path) for step in made.steps] == [("replace_file", b"/usr/bin/two")]
    (refused,) = made.not_repaired
    assert (refused.path, refused.reason, refused.remedy) == (PATH, "a file is excluded", "Remove the exclusion")


def test_half_installed_package_is_installed_again() -> None:
    made = plan(finding("package_broken", b"/var/lib/dpkg/status"))
    assert [step.kind for step in made.steps] == ["install_package"]
    refused = plan(finding("package_broken", b"/var/lib/dpkg/status"), strategy="file")
    assert refused.steps == []


def test_obstacle_is_told_before_anything_is_done() -> None:
    made = plan(finding("missing"), obstacles={PATH: "it is immutable"})
    assert made.steps == []
    assert made.not_repaired[0].reason == "it is immutable"


@pytest.mark.parametrize("file", ["/var/lib/dpkg/status", "/var/lib/dpkg/diversions", "/var/lib/dpkg/info/gone.list"])
def test_database_file_that_no_package_holds_stays(file: str) -> None:
    made = plan(problems=(DatabaseProblem(file, "damaged", "restore it"),))
    assert made.steps == []
    assert [(each.category, each.remedy) for each in made.not_repaired] == [("database_problem", "restore it")]


def test_list_is_written_without_what_another_package_took_over() -> None:
    taken = entry(b"/usr/bin/taken", package="other")
    made = plan(
        entries=(entry(PATH), taken),
        references={"it": package(member(PATH), member(b"/usr/bin/taken"), member(b"/usr", DIRECTORY))},
        problems=(DatabaseProblem("/var/lib/dpkg/info/it.list", "damaged", "restore it"),),
    )
    assert [step.content for step in made.steps] == [b"/.\n/usr/bin/it\n/usr\n"]


def test_list_has_the_name_of_a_diverted_file_and_not_that_of_who_diverted_it() -> None:
    made = plan(
        entries=(entry(PATH, package="other"), entry(PATH + b".real")),
        references={"it": package(member(PATH))},
        problems=(DatabaseProblem("/var/lib/dpkg/info/it.list", "damaged", "restore it"),),
        moved={("it", PATH): PATH + b".real"},
    )
    assert [step.content for step in made.steps] == [b"/.\n/usr/bin/it\n"]


def test_names_of_one_file_that_are_not_looked_at_are_left_alone() -> None:
    members = [member(PATH), member(b"/usr/bin/two", linked_to=PATH)]
    (step,) = plan(finding("content_changed"), references={"it": package(*members)}).steps
    assert step.links == ()


ORDER = [
    ("accounts", b"/etc/passwd", "base"),
    ("archive", b"/usr/share/keyrings/debian.gpg", "debian-archive-keyring"),
    ("toolchain", b"/lib/x86_64-linux-gnu/libc.so.6", "libc6:amd64"),
    ("toolchain", b"/usr/bin/ls", "coreutils"),
    ("toolchain", b"/usr/bin/tar", "tar"),
    ("toolchain", b"/usr/bin/dpkg", "dpkg"),
    ("toolchain", b"/usr/bin/apt-get", "apt"),
    ("toolchain", b"/usr/bin/python3.11", "python3.11-minimal"),
    ("boot", b"/lib/systemd/systemd", "systemd"),
    ("libraries", b"/usr/lib/x86_64-linux-gnu/libpng.so.6", "libpng16-16:amd64"),
    ("rest", b"/usr/sbin/nginx", "nginx"),
]


def test_order_is_that_of_need() -> None:
    found = [finding("content_changed", path, name) for _stage, path, name in reversed(ORDER)]
    entries = tuple(entry(path, package=name) for _stage, path, name in ORDER)
    references = {name: package(member(path), name=name) for _stage, path, name in ORDER}
    made = plan(*found, entries=entries, references=references)
    assert [(step.stage, step.path, step.package) for step in made.steps] == ORDER


def test_directories_come_before_what_lies_in_them() -> None:
    above, below = b"/usr/share/it", b"/usr/share/it/below"
    members = [member(above, DIRECTORY), member(below, DIRECTORY), member(PATH)]
    entries = (entry(PATH), entry(below, DIRECTORY), entry(above, DIRECTORY))
    found = [finding("missing", path) for path in (PATH, below, above)]
    made = plan(*found, entries=entries, references={"it": package(*members)})
    assert [step.path for step in made.steps] == [above, below, PATH]


def test_kernel_that_makes_an_initramfs_comes_last() -> None:
    assert installation_stage([b"/boot/vmlinuz-6.1"], "linux-image-6.1-amd64:amd64") == STAGES[-1]
    assert installation_stage([b"/usr/bin/kmod"], "kmod") == stage(b"/usr/bin/kmod", "kmod")


def test_every_stage_is_known() -> None:
    assert {stage(path, name) for _stage, path, name in ORDER} < set(STAGES)


def test_plan_and_difference_are_text() -> None:
    made = plan(finding("missing", b"/usr/bin/\xff"), entries=(entry(b"/usr/bin/\xff"),), references={"it": "none"})
    assert describe_plan(made)["not_repaired"][0]["path"] == "/usr/bin/\\xff"
    shown = difference(plan(finding("content_changed")).steps)
    assert shown["before"] == "/usr/bin/it: type file (content_changed)\n"
    assert "signed, a test" in shown["after"]


def test_packages_that_are_asked_for_are_those_of_findings_and_problems() -> None:
    problems = [DatabaseProblem("/var/lib/dpkg/info/a.list", "", ""), DatabaseProblem("/var/lib/dpkg/status", "", "")]
    found = [finding("missing", PATH, "b"), finding("relocated_by_symlink", PATH, "c")]
    assert concerned(found, problems) == ["a", "b"]
