# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifest and observations -> findings, gaps and one verdict. Pure: opens nothing, asks nothing."""

from __future__ import annotations

import datetime
import errno
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import ROOT_ALONE, Accounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    ANYTHING,
    CONFFILE,
    FILE,
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
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mounts, hidden
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.properties import differences, unknown_names

#: The classes of findings, the worst first, and whether one makes a system inconsistent.
CLASSES = {
    "content_changed": True,
    "cached_good_disk_bad": True,
    "cached_bad_disk_good": True,
    "unreadable": True,
    "type_changed": True,
    "missing": True,
    "target_changed": True,
    "device_changed": True,
    "capabilities_changed": True,
    "owner_changed": True,
    "mode_changed": True,
    "diverted_target_missing": True,
    "package_broken": True,
    "looks_damaged": False,
    "ownership_conflict": False,
    "relocated_by_symlink": False,
    "package_not_configured": False,
    "config_changed": False,
    "config_missing": False,
}
#: The types that a digest is recorded for, where one is.
_WITH_CONTENT = (FILE, CONFFILE, UNLISTED, UNKNOWN, ANYTHING)
#: What a user may not do.
_DENIED = (errno.EACCES, errno.EPERM)
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


def judge(
    manifest: Manifest,
    observations: Iterable[Observation],
    accounts: Accounts = ROOT_ALONE,
    mounts: Mounts | None = None,
) -> Judgement:
    """Turn everything that was observed, and what the manifest itself shows, into findings, gaps and problems.

    ``accounts`` are the root's, ``mounts`` what is mounted below it.
    """
    judgement = Judgement([], [], [])
    undigested: dict[str, list[Entry]] = {}
    unseen = set()
    for observation in observations:
        entry = manifest.entries[observation.number]
        gap = _gap(entry, observation, mounts)
        if gap is not None:
            judgement.gaps.append(gap)
        if observation.metadata is None or (gap is not None and gap.files):
            unseen.add(observation.number)
        judgement.findings.extend(_findings(entry, observation, manifest.filters, accounts, mounts))
        if gap is not None:
            continue
        if entry.kind == UNKNOWN and observation.file_type == "file" and observation.error is None:
            for package in entry.packages:
                undigested.setdefault(package, []).append(entry)
        if entry.kind != ANYTHING and _has_no_reference(entry, observation):
            detail = "the database has no digest for the file"
            judgement.gaps.append(Gap("no_digest", detail, tuple(entry.packages), 1, text(entry.path)))
        if entry.kind == CONFFILE and observation.suspicions:
            # Administrators change conffiles, but not into blocks of zeros: whether it is sound nobody has verified.
            detail = "a conffile is not as delivered, and its content looks damaged"
            judgement.gaps.append(Gap("looks_damaged", detail, tuple(entry.packages), 0, text(entry.path)))
    judgement.gaps.extend(_unknown_accounts(manifest.entries, unseen, accounts))
    _judge_manifest(manifest, judgement, undigested)
    return judgement


def findings_of(
    manifest: Manifest, observations: Iterable[Observation], accounts: Accounts, mounts: Mounts | None
) -> Iterator[Finding]:
    """Return the findings that some observations are, without what only all of them together show."""
    for observation in observations:
        entry = manifest.entries[observation.number]
        yield from _findings(entry, observation, manifest.filters, accounts, mounts)


def _gap(entry: Entry, observation: Observation, mounts: Mounts | None) -> Gap | None:
    """Return the gap that an observation is: its content shows neither that the path is sound nor that it is not."""
    packages, shown = tuple(entry.packages), text(entry.path)
    covering = mounts.hiding(entry.path) if mounts is not None else None
    if covering is not None:
        return hidden(entry, covering)
    mount = mounts.at(entry.path) if mounts is not None else None
    if mount is not None and observation.sound and not mount.keeps_owners:
        return Gap(
            "not_stored", f"{mount.kind}, mounted at {text(mount.path)}, has no modes and owners", packages, 1, shown
        )
    if observation.busy:
        return Gap("busy", "the file kept changing while it was read", packages, 1, shown)
    if observation.error in _DENIED:
        return Gap("permission_denied", "this user may not read it", packages, 1, shown)
    if observation.error == errno.EREMOTE:
        detail = "a link leads into another host's or a process's file system, which was not entered"
        return Gap("remote_file_system", detail, packages, 1, shown)
    if entry.kind == UNLISTED and observation.file_type == "missing":
        return Gap("not_listed", "a digest without a file, for a path in no package's list", packages, 1, shown)
    denied = [name for name, error in _errors(observation) if error in _DENIED]
    if denied and observation.sound:
        return Gap("permission_denied", f"this user may not read its {denied[0]}", packages, 1, shown)
    return None


def _keeps_properties(entry: Entry, mounts: Mounts | None) -> bool:
    """Tell whether what lies at a path is the package's, and in a file system that has modes and owners."""
    if mounts is None:
        return True
    mount = mounts.at(entry.path)
    return mounts.hiding(entry.path) is None and (mount is None or mount.keeps_owners)


def _errors(observation: Observation) -> tuple[tuple[str, int], ...]:
    return observation.metadata.errors if observation.metadata is not None else ()


def _has_no_reference(entry: Entry, observation: Observation) -> bool:
    """Tell whether a regular file is where one may be, and nothing says what should be in it."""
    return (
        entry.digest is None
        and entry.kind in _WITH_CONTENT
        and observation.file_type == "file"
        and observation.error is None
        and not (entry.recorded is not None and entry.recorded.size not in (None, observation.size))
    )


def _unknown_accounts(entries: list[Entry], unseen: set[int], accounts: Accounts) -> list[Gap]:
    """Return a gap for each name of an owner that the root's files do not know: whose file it is was not compared."""
    found: dict[tuple[str, ...], list[Entry]] = {}
    for number, entry in enumerate(entries):
        if entry.recorded is not None and number not in unseen:
            names = unknown_names(entry.recorded, accounts)
            if names:
                found.setdefault(names, []).append(entry)
    return [
        Gap(
            "unknown_user",
            f"the root's /etc/passwd and /etc/group do not know {' and '.join(names)}",
            tuple({package: None for entry in owned for package in entry.packages}),
            len(owned),
            text(owned[0].path),
        )
        for names, owned in found.items()
    ]


def _findings(
    entry: Entry, observation: Observation, filters: list[PathFilter], accounts: Accounts, mounts: Mounts | None
) -> Iterator[Finding]:
    """Return the findings that an observation is: one of type and content, and one of each other property.

    Where the content is a gap, the properties were measured all the same, unless they are not the path's own.
    """
    packages = tuple(entry.packages)
    is_gap = _gap(entry, observation, mounts) is not None
    category = None if observation.sound or is_gap else _category(entry, observation, filters)
    if category is not None:
        yield Finding(category, entry.path, packages, _expectation(entry), _actuality(entry, observation))
    if entry.recorded is None or observation.metadata is None or not _keeps_properties(entry, mounts):
        return
    for different in differences(entry.recorded, observation.metadata, accounts):
        yield Finding(different.category, entry.path, packages, different.expected, different.actual)
    for name, error in _errors(observation):
        if error not in _DENIED:
            code = errno.errorcode.get(error, str(error))
            yield Finding("unreadable", entry.path, packages, {}, {"property": name, "error": code})


def _category(entry: Entry, observation: Observation, filters: list[PathFilter]) -> str | None:
    """Return the class of what is wrong with a path's type or content; `None` when what was seen is allowed."""
    if _has_no_reference(entry, observation):
        return "looks_damaged" if observation.suspicions else None
    if observation.file_type == "missing":
        if left_out(entry.listed, filters) or (entry.recorded is not None and not entry.recorded.required):
            return None
        if entry.diverted_by is not None:
            return "diverted_target_missing"
        return "config_missing" if entry.kind == CONFFILE else "missing"
    if observation.disk_digest is not None or observation.disk_error is not None:
        of_both = _class_of_both(entry, observation)
        if of_both is not None:
            return of_both
    if observation.error is not None:
        return "unreadable"
    if observation.file_type == "symlink" and _is_expected(entry, observation.target_digest):
        return "relocated_by_symlink"
    if observation.target_digest is not None and entry.kind == CONFFILE:
        # dpkg follows an administrator's link in place of a conffile, and so does what reads the file.
        return "config_changed"
    if observation.file_type != "file" or (entry.digest is None and entry.kind not in _WITH_CONTENT):
        return "type_changed"
    return "config_changed" if entry.kind == CONFFILE else "content_changed"


def _class_of_both(entry: Entry, observation: Observation) -> str | None:
    """Return the class of a file that is as expected in the page cache or on the disk, but not in both."""
    if _is_expected(entry, observation.digest):
        # Either what the disk has is another content, or it cannot be read: a boot will show it.
        return "cached_good_disk_bad"
    return "cached_bad_disk_good" if _is_expected(entry, observation.disk_digest) else None


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
    expected: dict[str, object] = {"type": _expected_type(entry)}
    recorded = entry.recorded
    if recorded is not None and recorded.size is not None and expected["type"] == "file":
        expected["size"] = recorded.size
    if recorded is not None and recorded.modified is not None:
        expected["modified"] = _moment(recorded.modified)
    if recorded is not None and recorded.target is not None:
        expected["target"] = text(recorded.target)
    if entry.digest is not None:
        expected[algorithm(entry.digest)] = entry.digest.decode()
    if entry.listed != entry.path:
        expected["listed_as"] = text(entry.listed)
    if entry.diverted_by is not None:
        expected["diverted_by"] = entry.diverted_by
    return expected


def _expected_type(entry: Entry) -> str:
    if entry.digest is not None or entry.kind in (CONFFILE, UNLISTED):
        return FILE
    if entry.kind == ANYTHING:
        return "any"
    return "symlink_or_directory" if entry.kind == UNKNOWN else entry.kind


def _actuality(entry: Entry, observation: Observation) -> dict[str, object]:
    """Return what is there, as far as it was seen."""
    actual: dict[str, object] = {"type": observation.file_type} if observation.file_type else {}
    if observation.error is not None and observation.file_type != "missing":
        actual["error"] = errno.errorcode.get(observation.error, str(observation.error))
    if observation.offset is not None:
        actual["offset"] = observation.offset
    if observation.disk_error is not None:
        actual["disk_error"] = errno.errorcode.get(observation.disk_error, str(observation.disk_error))
        actual["disk_offset"] = observation.disk_offset
    if observation.size is not None:
        actual["size"] = observation.size
    if observation.target is not None:
        actual["target"] = text(observation.target)
    if observation.metadata is not None and entry.recorded is not None and entry.recorded.modified is not None:
        actual["modified"] = _moment(observation.metadata.modified)
    digest = observation.digest or observation.target_digest
    if digest is not None and entry.digest is not None:
        actual[algorithm(digest)] = digest.decode()
    if observation.disk_digest not in (None, digest):
        actual[f"disk_{algorithm(observation.disk_digest)}"] = observation.disk_digest.decode()
    suspicions = [*observation.suspicions, *_by_time(entry, observation)]
    if suspicions:
        actual["suspicions"] = suspicions
    return actual


def _by_time(entry: Entry, observation: Observation) -> list[str]:
    """Return what the modification time says about a content that is not as recorded."""
    seen = observation.metadata
    if entry.digest is None or observation.file_type != "file" or observation.error is not None:
        return []
    if seen is None or entry.recorded is None or seen.modified != entry.recorded.modified:
        return []
    return ["its modification time is as recorded: no program wrote this content"]


def _moment(seconds: int) -> str:
    """Return a time as ISO 8601 in UTC, or as it is when there is no such year."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(seconds)


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
