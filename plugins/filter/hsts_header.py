# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.hsts_header``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hsts_header
short_description: Value of the header Strict-Transport-Security for a stage of its introduction
version_added: 0.1.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - HTTP Strict Transport Security cannot be taken back before its time is over, so it is introduced in stages.
  - Refuses combinations that the browsers' preload lists would refuse.
options:
  _input:
    description:
      - The stage. V(observe) is 5 minutes, V(week) 7 days, V(month) 30 days, V(full) 2 years.
      - V(disabled) tells browsers to forget what they were told before.
    type: str
    choices: [observe, week, month, full, disabled]
    required: true
  include_subdomains:
    description: Whether the policy is also that of all subdomains, those that this server does not serve included.
    type: bool
    default: false
  preload:
    description:
      - Whether browsers may build the policy in. That takes months to undo.
      - Needs the stage V(full) and O(include_subdomains=true).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the header of the first stage
  ansible.builtin.debug:
    msg: "{{ 'observe' | ringmaster.webops.hsts_header }}"

- name: Show the header of the last stage, for all subdomains
  ansible.builtin.debug:
    msg: "{{ 'full' | ringmaster.webops.hsts_header(include_subdomains=true) }}"
"""

RETURN = r"""
_value:
  description: The header's value.
  type: str
  sample: max-age=63072000; includeSubDomains
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import policy


def hsts_header(stage: str, *, include_subdomains: bool = False, preload: bool = False) -> str:
    """Return the header's value; see the documentation of the filter."""
    try:
        return policy.hsts_header(stage, include_subdomains=include_subdomains, preload=preload)
    except WebopsError as error:
        raise AnsibleFilterError(f"hsts_header: {error}") from error


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"hsts_header": hsts_header}
