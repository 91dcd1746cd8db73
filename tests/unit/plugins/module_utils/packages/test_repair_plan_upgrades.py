# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where upgrades have their place in the plan, and what they make needless."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FILE,
    Entry,
    Finding,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair import make_plan
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Facts, Upgrade
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    Plan,
    Policy,
    VersionChange,
    describe_plan,
)

from .test_repair_plan import entry, finding, member, package

GONE = "no archive has it"
PATHS = {"it": b"/usr/bin/it", "with": b"/usr/lib/with/data"}


def upgrade(*labels: str) -> Upgrade:
    packages = {
        label: package(member(PATHS.get(label, b"/usr/bin/other")), name=label, version="2") for label in labels
    }
    places = {(label, path): path for label, each in packages.items() for path in each.members}
    return Upgrade(tuple(VersionChange(label, "1", "2") for label in labels), packages, places)


def plan(
    *findings: Finding,
    entries: tuple[Entry, ...],
    upgrades: dict[str, Upgrade | str],
    references: dict[str, VerifiedPackage | str] | None = None,
    conffiles: str = "keep",
    unsuited: dict[str, tuple[str, str]] | None = None,
) -> Plan:
    known = {**dict.fromkeys(upgrades, GONE), **(references or {})}
    places = {
        (label, path): path for label, each in known.items() if not isinstance(each, str) for path in each.members
    }
    by_path = {each.path: each for each in entries}
    facts = Facts(by_path, known, {}, {}, {}, places, [], (), {}, upgrades)
    return make_plan(findings, [], facts, Policy(conffiles=conffiles, allow_upgrade=True), unsuited)


def of(label: str, path: bytes, kind: str = FILE) -> Entry:
    return entry(path, kind, label)


def test_upgrade_has_the_stage_of_what_is_needed_first_of_it() -> None:
    paths = {"libc6": b"/usr/lib/libc.so.6", "other": b"/usr/bin/other", "linux-image-6": b"/boot/vmlinuz-6"}
    made = plan(
        *(finding("content_changed", path, label) for label, path in paths.items()),
        entries=tuple(of(label, path) for label, path in paths.items()),
        upgrades={label: upgrade(label) for label in paths},
    )
    assert [(step.package, step.stage) for step in made.steps] == [
        ("libc6", "toolchain"),
        ("other", "rest"),
        ("linux-image-6", "kernel"),
    ]


@pytest.mark.parametrize(("label", "stage"), [("libc6", "toolchain"), ("linux-image-6", "kernel")])
def test_upgrade_has_the_stage_of_what_changes_with_it(label: str, stage: str) -> None:
    made = plan(finding("content_changed"), entries=(of("it", PATHS["it"]),), upgrades={"it": upgrade("it", label)})
    assert [step.stage for step in made.steps] == [stage]


def test_what_changes_together_is_one_step() -> None:
    both = upgrade("with", "it")
    made = plan(
        finding("content_changed"),
        finding("missing", PATHS["with"], "with"),
        entries=tuple(of(label, path) for label, path in PATHS.items()),
        upgrades={"it": both, "with": both},
    )
    (step,) = made.steps
    assert step.labels == ("with", "it")
    assert set(step.damaged) == set(PATHS.values())
    (described,) = describe_plan(made)["steps"]
    assert described["path"] is None
    assert described["before"]["versions"] == ["with 1", "it 1"]  # type: ignore[index]


def test_installed_version_of_what_changes_with_it_is_not_repaired_besides() -> None:
    directory, conffile = b"/var/lib/with", b"/etc/with.conf"
    reference = package(
        member(PATHS["with"]),
        member(conffile),
        member(directory, DIRECTORY),
        member(b"/usr/with", DIRECTORY),
        name="with",
    )
    made = plan(
        finding("content_changed"),
        finding("content_changed", PATHS["with"], "with"),
        finding("config_changed", conffile, "with"),
        finding("mode_changed", directory, "with"),
        finding("missing", b"/usr/with", "with"),
        entries=(
            *(of(label, path) for label, path in PATHS.items()),
            of("with", conffile, CONFFILE),
            of("with", directory, DIRECTORY),
            of("with", b"/usr/with", DIRECTORY),
        ),
        upgrades={"it": upgrade("with", "it")},
        references={"with": reference},
        conffiles="restore",
    )
    assert [step.kind for step in made.steps] == ["make_directory", "upgrade_packages"]
    assert set(made.steps[1].damaged) == set(PATHS.values())
    assert {(each.path, each.remedy) for each in made.not_repaired} == {
        (conffile, "Repair again"),
        (directory, "Repair again"),
    }


def test_upgrade_that_must_not_be_done_says_why_of_each_path() -> None:
    made = plan(
        finding("content_changed"),
        entries=(of("it", PATHS["it"]),),
        upgrades={"it": upgrade("it")},
        unsuited={"it": ("it is excluded", "Remove it")},
    )
    assert made.steps == []
    assert [(each.reason, each.remedy) for each in made.not_repaired] == [("it is excluded", "Remove it")]


def test_mode_of_a_directory_is_no_reason_to_upgrade() -> None:
    made = plan(
        finding("mode_changed", b"/usr/it"), entries=(of("it", b"/usr/it", DIRECTORY),), upgrades={"it": upgrade("it")}
    )
    assert made.steps == []
    assert [each.reason for each in made.not_repaired] == [GONE]


def test_paths_that_another_package_may_lose_count_as_both_packages() -> None:
    new = package(member(PATHS["it"]), member(PATHS["with"]), name="it", version="2")
    change = Upgrade((VersionChange("it", "1", "2"),), {"it": new}, {("it", path): path for path in new.members})
    entries = {path: of(label, path) for label, path in PATHS.items()}
    facts = Facts(entries, {"it": GONE}, {}, {}, {}, {}, [], (), {}, {"it": change})
    (step,) = make_plan([finding("missing")], [], facts, Policy(allow_upgrade=True)).steps
    assert facts.of(step).entries[PATHS["with"]].packages == ["with", "it"]
    assert entries[PATHS["with"]].packages == ["with"]


def test_new_version_is_what_is_written() -> None:
    new, reference = upgrade("with", "it"), package(name="with")
    facts = Facts({}, {"it": GONE, "with": reference}, {}, {}, {}, {}, [], (), {}, {"it": new, "other": GONE})
    assert facts.to_be_written() == dict(new.packages)
