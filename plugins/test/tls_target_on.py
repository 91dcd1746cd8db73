# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a TLS target on one of these hosts."""

from __future__ import annotations

from collections.abc import Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target_hosts import is_on

DOCUMENTATION = r"""
name: tls_target_on
short_description: Whether a TLS target is on one of these hosts
version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Whether the host of a target of M(ringmaster.webops.tls_endpoint_info) is one of the given names and addresses.
  - It tells one's own servers, at which O(ringmaster.webops.tls_endpoint_info#module:vulnerability_tests) may be
    V(active), from others.
  - Nothing is resolved. A target that cannot be read is on none of the hosts.
options:
  _input:
    description: A target, in any of the forms that O(ringmaster.webops.tls_endpoint_info#module:targets) takes.
    type: raw
    required: true
  hosts:
    description: Names and addresses.
    type: list
    elements: str
    required: true
positional: hosts
seealso:
  - module: ringmaster.webops.tls_endpoint_info
"""

EXAMPLES = r"""
- name: Look for vulnerabilities of those targets that are in the inventory
  ringmaster.webops.tls_endpoint_info:
    targets: "{{ all_targets | select('ringmaster.webops.tls_target_on', groups['all']) }}"
    vulnerability_tests: active
"""

RETURN = r"""
_value:
  description: Whether it is.
  type: bool
"""


def tls_target_on(target: object, hosts: object) -> bool:
    """Return whether a target is on one of ``hosts``."""
    if not isinstance(hosts, (list, tuple)):
        raise AnsibleFilterError(f"tls_target_on: hosts is a {type(hosts).__name__}. Give a list of names or addresses")
    return is_on(target, [str(host) for host in hosts])


class TestModule:
    """The test, as Ansible finds it."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """Return name -> function."""
        return {"tls_target_on": tls_target_on}
