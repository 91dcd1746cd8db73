# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a repair: its steps, what is not repaired, and both as a result and as a diff. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text

#: Kinds of steps. The order is that within one stage and package.
RESTORE_LIST = "restore_list"
RESTORE_DIGESTS = "restore_digests"
INSTALL_PACKAGE = "install_package"
UPGRADE_PACKAGES = "upgrade_packages"
MAKE_DIRECTORY = "make_directory"
REPLACE_FILE = "replace_file"
REPLACE_LINK = "replace_link"
SET_METADATA = "set_metadata"
KINDS = (
    *(RESTORE_LIST, RESTORE_DIGESTS, MAKE_DIRECTORY, INSTALL_PACKAGE, UPGRADE_PACKAGES),
    *(REPLACE_FILE, REPLACE_LINK, SET_METADATA),
)
#: Those that the package manager itself does, with all that is in a package.
WHOLE_PACKAGES = (INSTALL_PACKAGE, UPGRADE_PACKAGES)

#: How far a source is trusted, the least first.
TRUSTS = ("digest", "signed")


class Policy(NamedTuple):
    """What the administrator allows; the module's options of the same names."""

    strategy: str = "auto"
    minimum_trust: str = "signed"
    conffiles: str = "keep"
    allow_upgrade: bool = False


class VersionChange(NamedTuple):
    """A package, by its label, that is upgraded, from one version to another."""

    label: str
    before: str
    after: str


class Step(NamedTuple):
    """One step. ``links`` are the further names of the same inode, each with the finding or without.

    ``member`` is the name in the package. ``mode``, ``owner`` and ``group`` are what the path gets; `None` leaves it
    what the old file has. ``capabilities`` are those of a file in their text form, empty for none; `None` leaves them
    as ``mode``. ``damaged`` are the paths with findings that the step makes good. ``before`` and ``after`` say it to a
    person. ``content`` is that of a file of the database. ``upgrades`` are the packages that are upgraded together, in
    the order in which they are unpacked.
    """

    kind: str
    path: bytes
    package: str
    stage: str
    why: str
    source: str
    trust: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    member: bytes = b""
    links: tuple[tuple[bytes, bytes], ...] = ()
    mode: int | None = None
    owner: str | int | None = None
    group: str | int | None = None
    damaged: tuple[bytes, ...] = ()
    content: bytes = b""
    capabilities: str | None = None
    upgrades: tuple[VersionChange, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The packages that the step changes, by their labels."""
        return tuple(each.label for each in self.upgrades) or (self.package,)


class NotRepaired(NamedTuple):
    """A finding, or a problem of the database, that stays as it is, why, and what a person can do."""

    path: bytes
    packages: tuple[str, ...]
    category: str
    reason: str
    remedy: str


class Plan(NamedTuple):
    """The steps in their order, and what is not repaired."""

    steps: list[Step]
    not_repaired: list[NotRepaired]


def describe_plan(plan: Plan) -> dict[str, list[dict[str, object]]]:
    """Return a plan as the result holds it."""
    return {
        "steps": [describe_step(step) for step in plan.steps],
        "not_repaired": [
            {
                "path": text(each.path),
                "packages": list(each.packages),
                "class": each.category,
                "reason": each.reason,
                "remedy": each.remedy,
            }
            for each in plan.not_repaired
        ],
    }


def describe_step(step: Step) -> dict[str, object]:
    """Return a step as the result holds it."""
    return {
        "kind": step.kind,
        "path": None if step.kind in WHOLE_PACKAGES else text(step.path),
        "links": [text(path) for path, _member in step.links],
        "package": step.package,
        "stage": step.stage,
        "why": step.why,
        "source": step.source,
        "trust": step.trust,
        "before": dict(step.before),
        "after": dict(step.after),
    }


def difference(steps: Iterable[Step]) -> dict[str, str]:
    """Return steps as a diff: what is at each path, and what will be, with where it comes from."""
    before, after = [], []
    for step in steps:
        subject = f"package {', '.join(step.labels)}" if step.kind in WHOLE_PACKAGES else text(step.path)
        before.append(f"{subject}: {_phrase(step.before)} ({step.why})\n")
        after.append(f"{subject}: {_phrase(step.after)} ({step.kind}, {step.trust}, {step.source})\n")
    return {"before": "".join(before), "after": "".join(after)}


def _phrase(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items()) or "nothing"
