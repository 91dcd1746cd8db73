# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifest and observations -> findings, gaps and one verdict. Pure: opens nothing, asks nothing."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    UNKNOWN,
    UNLISTED,
    DatabaseProblem,
    Entry,
    Finding,
    Gap,
    Manifest,
    Observation,
    PathFilter,
    algorithm,
    text,
)

#: The classes of findings, the worst first, and whether one makes a system inconsistent.
CLASSES = {
    "content_changed": True,
    "unreadable": True,
    "type_changed": True,
    "missing": True,
    "diverted_target_missing": True,
    "package_broken": True,
    "ownership_conflict": False,
    "relocated_by_symlink": False,
    "package_not_configured": False,
    "config_changed": False,
    "config_missing": False,
}
_RANK = {name: rank for rank, name in enumerate(CLASSES)}

_NO_DIGEST_REMEDY = (
    "Install the same version of the package again from its .deb, or take the file from a backup or from a host with "
    "the same version, then verify again"
)


class Judgement(NamedTuple):
    """What the observations mean."""

    findings: list[Finding]
    gaps: list[Gap]
    problems: list[DatabaseProblem]


def verdict(problems: int, findings: Iterable[Finding], gaps: int) -> str:
    """Return the verdict on a system from what was found.

    ``database_unsound``: the database is damaged, so the rest means less than it says. ``inconsistent``: something is
    not what its package says. ``incomplete``: nothing is wrong, but not everything was verified. ``consistent``:
    everything was verified and nothing is wrong, but for conffiles and the like, which administrators may change.
    """
    if problems:
        return "database_unsound"
    if any(CLASSES[finding.category] for finding in findings):
        return "inconsistent"
    return "incomplete" if gaps else "consistent"


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings: the worst classes first, then by path."""
    return sorted(findings, key=lambda finding: (_RANK[finding.category], finding.path))


def judge(manifest: Manifest, observations: Iterable[Observation]) -> Judgement:
    """Turn everything that was observed, and what the manifest itself shows, into findings, gaps and problems."""
    judgement = Judgement([], [], [])
    undigested: dict[str, list[Entry]] = {}
    for observation in observations:
        entry = manifest.entries[observation.number]
        gap = _gap(entry, observation)
        if gap is not None:
            judgement.gaps.append(gap)
        elif entry.kind == UNKNOWN and observation.file_type == "file" and observation.error is None:
            for package in entry.packages:
                undigested.setdefault(package, []).append(entry)
            detail = "the database has no digest for the file"
            judgement.gaps.append(Gap("no_digest", detail, tuple(entry.packages), 1, text(entry.path)))
        else:
            finding = _finding(entry, observation, manifest.filters)
            if finding is not None:
                judgement.findings.append(finding)
    _judge_manifest(manifest, judgement, undigested)
    return judgement


def _gap(entry: Entry, observation: Observation) -> Gap | None:
    """Return the gap that an observation is: it shows neither that the path is sound nor that it is not."""
    packages, shown = tuple(entry.packages), text(entry.path)
    if observation.busy:
        return Gap("busy", "the file kept changing while it was read", packages, 1, shown)
    if observation.error in (errno.EACCES, errno.EPERM):
        return Gap("permission_denied", "this user may not read it", packages, 1, shown)
    if entry.kind == UNLISTED and observation.file_type == "missing":
        return Gap("not_listed", "a digest without a file, for a path in no package's list", packages, 1, shown)
    return None


def _finding(entry: Entry, observation: Observation, filters: list[PathFilter]) -> Finding | None:
    """Return the finding that an observation is; `None` when what it shows is allowed."""
    if observation.file_type == "missing":
        if left_out(entry.listed, filters):
            return None
        category = "config_missing" if entry.kind == CONFFILE else "missing"
        if entry.diverted_by is not None:
            category = "diverted_target_missing"
    elif observation.error is not None:
        category = "unreadable"
    elif observation.file_type == "symlink" and _is_expected(entry, observation.target_digest):
        category = "relocated_by_symlink"
    elif observation.target_digest is not None and entry.kind == CONFFILE:
        # dpkg follows an administrator's link in place of a conffile, and so does what reads the file.
        category = "config_changed"
    elif observation.file_type != "file" or entry.digest is None or entry.kind == DIRECTORY:
        category = "type_changed"
    else:
        category = "config_changed" if entry.kind == CONFFILE else "content_changed"
    return Finding(category, entry.path, tuple(entry.packages), _expectation(entry), _actuality(entry, observation))


def left_out(path: bytes, filters: list[PathFilter]) -> bool:
    """Tell whether the package manager is configured to leave a path out; the last rule that matches decides."""
    for rule in reversed(filters):
        if rule.pattern.match(path):
            return not rule.include
    return False


def _is_expected(entry: Entry, digest: bytes | None) -> bool:
    return digest is not None and (digest == entry.digest or digest in entry.other_digests)


def _expectation(entry: Entry) -> dict[str, object]:
    """Return what the database says should be there."""
    expected: dict[str, object] = {"type": "file" if entry.digest is not None else "directory"}
    if entry.digest is None and entry.kind != DIRECTORY:
        expected["type"] = "symlink_or_directory"
    if entry.digest is not None:
        expected[algorithm(entry.digest)] = entry.digest.decode()
    if entry.listed != entry.path:
        expected["listed_as"] = text(entry.listed)
    if entry.diverted_by is not None:
        expected["diverted_by"] = entry.diverted_by
    return expected


def _actuality(entry: Entry, observation: Observation) -> dict[str, object]:
    """Return what is there, as far as it was seen."""
    actual: dict[str, object] = {"type": observation.file_type} if observation.file_type else {}
    if observation.error is not None and observation.file_type != "missing":
        actual["error"] = errno.errorcode.get(observation.error, str(observation.error))
    if observation.offset is not None:
        actual["offset"] = observation.offset
    if observation.size is not None:
        actual["size"] = observation.size
    if observation.target is not None:
        actual["target"] = text(observation.target)
    digest = observation.digest or observation.target_digest
    if digest is not None and entry.digest is not None:
        actual[algorithm(digest)] = digest.decode()
    return actual


def _judge_manifest(manifest: Manifest, judgement: Judgement, undigested: dict[str, list[Entry]]) -> None:
    """Judge what the database says against itself: owners that disagree, digests that lack, packages half there."""
    for entry in manifest.entries:
        for package in entry.undigested:
            undigested.setdefault(package, []).append(entry)
        if entry.other_digests:
            _judge_conflict(manifest, judgement, entry)
    for package, entries in undigested.items():
        if package not in manifest.digest_files:
            continue  # This user may not read its digests, which is a gap and no problem.
        what = f"{len(entries)} listed files of package {package} have no digest in it, {text(entries[0].listed)} first"
        judgement.problems.append(DatabaseProblem(manifest.digest_files[package], what, _NO_DIGEST_REMEDY))
    for state in manifest.states:
        category = "package_broken" if state.broken else "package_not_configured"
        path = manifest.state_file.encode()
        judgement.findings.append(
            Finding(category, path, (state.package,), {"state": "installed"}, {"state": state.state})
        )


def _judge_conflict(manifest: Manifest, judgement: Judgement, entry: Entry) -> None:
    """Judge an entry for which its owners have different digests: siblings never may, others overwrote each other."""
    digests = [digest.decode() for digest in (entry.digest or b"", *entry.other_digests)]
    if len({package.partition(":")[0] for package in entry.packages}) == 1:
        what = (
            f"{' and '.join(entry.packages)} have different digests for the file that they share, {text(entry.listed)}"
        )
        file = manifest.digest_files.get(entry.packages[-1], manifest.state_file)
        judgement.problems.append(DatabaseProblem(file, what, _NO_DIGEST_REMEDY))
        return
    packages = tuple(entry.packages)
    judgement.findings.append(Finding("ownership_conflict", entry.path, packages, {"digests": digests}, {}))
    detail = "packages disagree about a file, as when a diversion has been lost: that of one of them was not verified"
    judgement.gaps.append(Gap("ownership_conflict", detail, packages, 0, text(entry.path)))
