# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.tls_drift``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tls_drift
short_description: What changed at TLS endpoints between two scans
version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Compares two C(results) of M(ringmaster.webops.tls_endpoint_info), target by target.
  - What was not tested in one of them is never a change. It is listed apart, as unknown.
options:
  _input:
    description: The C(results) of the earlier scan.
    type: list
    elements: dict
    required: true
  current:
    description: The C(results) of the later scan.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Scan
  ringmaster.webops.tls_endpoint_info:
    targets: [www.example.com]
  register: current

- name: Read the results of the last scan
  ansible.builtin.set_fact:
    previous: "{{ lookup('ansible.builtin.file', 'tls.json') | from_json }}"

- name: Fail if anything became worse
  ansible.builtin.assert:
    that: worse | length == 0
    fail_msg: "{{ worse }}"
  vars:
    worse: >-
      {{ previous.results | ringmaster.webops.tls_drift(current.results) | map(attribute='changes') | flatten
         | selectattr('direction', 'eq', 'worse') }}
"""

RETURN = r"""
_value:
  description:
    - One entry a target, those of the later scan first, with C(target) and C(address).
    - C(status) is V(compared), V(appeared) (a target of the later scan alone) or V(vanished).
    - C(changed) says whether anything that both scans measured is another.
    - C(changes) has C(fact), C(before), C(after) and C(direction) - V(better), V(worse) or V(neutral).
    - C(unknown) has C(fact) and C(reason) of what may have changed.
    - C(grade_before) and C(grade_after) are the grades.
  type: list
  elements: dict
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import drift


def tls_drift(previous: object, current: object) -> list[dict[str, object]]:
    """Return the drift of each target; see the documentation of the filter."""
    try:
        return drift.drifts(previous, current)
    except WebopsError as error:
        raise AnsibleFilterError(f"tls_drift: {error}") from error


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"tls_drift": tls_drift}
