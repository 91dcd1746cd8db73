#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module ringmaster.webops.package_manifest_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: package_manifest_info
short_description: Say what changed between two verifications of a host, and whether its packages explain it
version_added: 0.2.0
description:
  - Compares two manifests that M(ringmaster.webops.package_consistency_info) has written with its option
    O(ringmaster.webops.package_consistency_info#module:manifest_path). They hold type, size, mode, owner and digest of
    every packaged file, as they were measured.
  - A file that is not what it was, though the version of its package is, is suspicious, and more so where the package
    database has changed along with it. An upgrade, an administrator's conffile and a repair explain a change.
  - Runs where the manifests are kept, usually on the control node with C(delegate_to=localhost). Since manifests come
    from hosts, they are not believed to be whole or sane; one that is not is refused.
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.info_module
  - ringmaster.webops.attributes.actiongroup_webops
attributes:
  check_mode:
    support: full
    details:
      - This module only reads, so check mode changes nothing about what it does, but for O(report_path), which is not
        written.
options:
  previous:
    description: Path of the older manifest.
    type: path
    required: true
  current:
    description: Path of the younger manifest.
    type: path
    required: true
  max_changes:
    description:
      - How many entries RV(changes) holds at most. Those that nothing explains come first. RV(summary) counts all of
        them, and O(report_path) lists all of them.
    type: int
    default: 100
  report_path:
    description:
      - File to write all changes to, as JSON lines in the order of their paths. Its directory must exist. The file is
        written with mode 0600, and in one go.
    type: path
author:
  - ringmaster.webops contributors (@ringmaster-webops)
"""

EXAMPLES = r"""
- name: Say what changed since the last run
  ringmaster.webops.package_manifest_info:
    previous: "consistency/{{ inventory_hostname }}/manifest.previous.jsonl.gz"
    current: "consistency/{{ inventory_hostname }}/manifest.jsonl.gz"
  delegate_to: localhost
  become: false
  register: manifests

- name: Stop where something changed that no package explains
  ansible.builtin.assert:
    that: manifests.summary.verdict != 'unexplained'
    fail_msg: "{{ manifests.changes }}"
"""

RETURN = r"""
summary:
  description: The verdict, and how much changed.
  returned: success
  type: dict
  contains:
    verdict:
      description:
        - V(unexplained) when nothing explains one of the changes; V(incomplete) when all are explained, and not
          everything could be compared; V(explained) when all are explained; V(unchanged) when there are none.
      type: str
      sample: explained
    changes_total:
      description: Number of changes, those included that RV(changes) has no room for.
      type: int
      sample: 12
    by_explanation:
      description: Number of changes of each explanation.
      type: dict
      sample: {unexplained: 0, restored: 0, conffile: 1, package_changed: 11}
    files_compared:
      description: Files that both manifests have.
      type: int
      sample: 31022
    files_not_compared:
      description:
        - Files that only one of them has, because they were made with other options. Where the options were the same,
          such files are changes.
      type: int
      sample: 0
    contents_not_compared:
      description:
        - Files of which nobody can tell whether the content is what it was - one of the two runs could not read it, or
          they have digests by different algorithms, as after another C(reference). The rest of them was compared.
      type: int
      sample: 0
packages:
  description:
    - Packages that were C(installed), C(removed), or have an C(other_version). At most O(max_changes) names each.
  returned: success
  type: dict
  sample: {installed: [], removed: [], other_version: [libssl3]}
changes:
  description: What is not as it was, what nothing explains first, then by path. At most O(max_changes) entries.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path inside the root. Bytes that are no UTF-8 are written as C(\xNN).
      type: str
      sample: /usr/bin/ssh
    path_b64:
      description: The exact path as base64.
      returned: when the path is not valid UTF-8
      type: str
      sample: L3Vzci9zaGFyZS9j6Q==
    packages:
      description: The packages that own it, or did.
      type: list
      elements: str
      sample: [openssh-client]
    change:
      description: V(changed), V(appeared) or V(disappeared).
      type: str
      sample: changed
    explanation:
      description:
        - V(unexplained), V(restored) (it is again as its package says), V(conffile) (administrators may change it, as
          they may a link of the alternatives system, which then must be as that says), or V(package_changed) (its
          package was installed, removed, or exchanged for another version, and the file is as the package says now, or
          went with it).
      type: str
      sample: unexplained
    before:
      description:
        - What was there, as far as it differs - C(type), C(size), C(mode), C(uid), C(gid), C(target), C(digest),
          C(expected) (the digest that the package database names), C(other_expected) (those of further packages that
          disagree), and C(modified) in any case.
      type: dict
      sample: {digest: "md5:764efa883dda1e11db47671c4a3bbd9e", modified: 1764000000}
    after:
      description: The same of what is there now.
      type: dict
      sample: {digest: "md5:900150983cd24fb0d6963f7d28e17f72", modified: 1764000000}
previous_taken_at:
  description: When the older manifest was measured, in UTC.
  returned: success
  type: str
  sample: "2026-11-27T02:00:12Z"
current_taken_at:
  description: When the younger one was.
  returned: success
  type: str
  sample: "2026-11-28T02:00:09Z"
report_path:
  description: Where all changes were written; V(null) when that was not asked for, or in check mode.
  returned: success
  type: str
  sample: /var/tmp/changes.jsonl
"""

import contextlib
import json
import os
import tempfile
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import witness
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_changes import (
    UNEXPLAINED,
    Change,
    Comparison,
    describe,
)


class Kept:
    """As many changes as the result holds, those first that nothing explains."""

    def __init__(self, maximum: int) -> None:
        """Hold none yet."""
        self._maximum = maximum
        self._unexplained: list[Change] = []
        self._explained: list[Change] = []

    def add(self, change: Change) -> None:
        """Keep a change if there is room."""
        changes = self._unexplained if change.explanation == UNEXPLAINED else self._explained
        if len(changes) < self._maximum:
            changes.append(change)

    def described(self) -> list[dict[str, t.Any]]:
        """Return them as the result holds them."""
        return [describe(change) for change in (self._unexplained + self._explained)[: self._maximum]]


def compare(previous: str, current: str, maximum: int, report_path: str | None) -> dict[str, t.Any]:
    """Compare two files, and write the report. Raises `WebopsError`, and `OSError` for the report."""
    with contextlib.ExitStack() as stack:
        older, younger = (witness.read(stack.enter_context(_open(path)), path) for path in (previous, current))
        report = stack.enter_context(_report(report_path)) if report_path else None
        comparison = Comparison(older, younger)
        kept = Kept(maximum)
        for change in comparison:
            kept.add(change)
            if report is not None:
                report.write(json.dumps(describe(change)) + "\n")
    return {
        "summary": _summary(comparison),
        "packages": {key: names[:maximum] for key, names in comparison.packages().items()},
        "changes": kept.described(),
        "previous_taken_at": older.taken_at,
        "current_taken_at": younger.taken_at,
        "report_path": report_path,
    }


def _summary(comparison: Comparison) -> dict[str, t.Any]:
    return {
        "verdict": comparison.verdict(),
        "changes_total": sum(comparison.by_explanation.values()),
        "by_explanation": comparison.by_explanation,
        "files_compared": comparison.files_compared,
        "files_not_compared": comparison.files_not_compared,
        "contents_not_compared": comparison.contents_not_compared,
    }


def _open(path: str) -> t.BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInputError(path, reason, "Name a manifest that this user may read") from error


@contextlib.contextmanager
def _report(path: str) -> t.Iterator[t.TextIO]:
    """Give a file to write to, and put it in its place when it is whole."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            yield stream
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "previous": {"type": "path", "required": True},
            "current": {"type": "path", "required": True},
            "max_changes": {"type": "int", "default": 100},
            "report_path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params: dict[str, t.Any] = module.params
    report_path = None if module.check_mode else params["report_path"]
    if params["max_changes"] < 0:
        module.fail_json(msg=f"max_changes {params['max_changes']}: it is too small. Give a positive number")
    try:
        result = compare(params["previous"], params["current"], params["max_changes"], report_path)
    except WebopsError as error:
        module.fail_json(msg=str(error), value=error.value, reason=error.reason, remedy=error.remedy)
    except OSError as error:
        module.fail_json(msg=f"report_path {report_path}: {error}. Name a file in a directory that is there")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
