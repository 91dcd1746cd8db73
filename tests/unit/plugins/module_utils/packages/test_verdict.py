# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict, from facts alone."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FILE,
    UNKNOWN,
    UNLISTED,
    Entry,
    Finding,
    Manifest,
    Observation,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import (
    CLASSES,
    judge,
    verdict,
    worst_first,
)


def finding(category: str, path: bytes = b"/a") -> Finding:
    return Finding(category, path, ("p",), {}, {})


@pytest.mark.parametrize(
    ("problems", "categories", "gaps", "expected"),
    [
        (0, [], 0, "consistent"),
        (0, [], 1, "incomplete"),
        (0, ["config_changed", "config_missing", "ownership_conflict"], 0, "consistent"),
        (0, ["config_changed"], 1, "incomplete"),
        (0, ["missing"], 0, "inconsistent"),
        (0, ["config_changed", "content_changed"], 1, "inconsistent"),
        (1, [], 0, "database_unsound"),
        (1, ["missing"], 1, "database_unsound"),
    ],
)
def test_verdict(problems: int, categories: list[str], gaps: int, expected: str) -> None:
    assert verdict(problems, [finding(category) for category in categories], gaps) == expected


def test_worst_first() -> None:
    findings = [finding(category, path) for category in reversed(list(CLASSES)) for path in (b"/b", b"/a")]
    assert [(found.category, found.path) for found in worst_first(findings)][:3] == [
        ("content_changed", b"/a"),
        ("content_changed", b"/b"),
        ("cached_good_disk_bad", b"/a"),
    ]


def _manifest(kind: str, digest: bytes | None) -> Manifest:
    entry = Entry(b"/a", b"/a", kind, "p")
    entry.digest = digest
    return Manifest(entries=[entry], digest_files={"p": "p.md5sums"})


@pytest.mark.parametrize(
    ("kind", "observation", "findings", "gaps", "problems"),
    [
        (FILE, Observation(0, "file", error=errno.EIO, offset=4096), ["unreadable"], [], 0),
        (FILE, Observation(0, "", error=errno.ELOOP), ["unreadable"], [], 0),
        (FILE, Observation(0, "file", error=errno.EACCES), [], ["permission_denied"], 0),
        (FILE, Observation(0, "file", busy=True), [], ["busy"], 0),
        (FILE, Observation(0, "missing", error=errno.ENOENT), ["missing"], [], 0),
        (FILE, Observation(0, "character_device"), ["type_changed"], [], 0),
        (UNLISTED, Observation(0, "missing", error=errno.ENOENT), [], ["not_listed"], 0),
        (UNLISTED, Observation(0, "file", digest=b"8" * 32, size=1), ["content_changed"], [], 0),
        (CONFFILE, Observation(0, "symlink", target_digest=b"8" * 32), ["config_changed"], [], 0),
        (CONFFILE, Observation(0, "symlink"), ["type_changed"], [], 0),
        (FILE, Observation(0, "symlink", target_digest=b"8" * 32), ["type_changed"], [], 0),
        (DIRECTORY, Observation(0, "file"), ["type_changed"], [], 0),
        (DIRECTORY, Observation(0, "", error=errno.EIO), ["unreadable"], [], 0),
        (UNKNOWN, Observation(0, "file"), [], ["no_digest"], 1),
        (UNKNOWN, Observation(0, "fifo"), ["type_changed"], [], 0),
    ],
)
def test_each_observation_is_a_finding_or_a_gap(
    kind: str, observation: Observation, findings: list[str], gaps: list[str], problems: int
) -> None:
    judgement = judge(_manifest(kind, b"9" * 32 if kind in (CONFFILE, FILE, UNLISTED) else None), [observation])
    assert [found.category for found in judgement.findings] == findings
    assert [gap.reason for gap in judgement.gaps] == gaps
    assert len(judgement.problems) == problems
