# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.certificate_deployment``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_deployment
short_description: What to do on a host so that it has its certificates
version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Compares what belongs on a host with what is there. The role P(ringmaster.webops.certificate#role) does what it
    says.
  - Key and certificate are exchanged together, by one symbolic link that leads to a directory with both.
options:
  _input:
    description: The C(certificates) that P(ringmaster.webops.certificate_plan#lookup) returns.
    type: list
    elements: dict
    required: true
  found:
    description:
      - The C(files) that M(ansible.builtin.find) finds below O(directory) with C(file_type=any), C(follow), C(recurse),
        C(hidden), C(get_checksum) and C(checksum_algorithm=sha256).
    type: list
    elements: dict
    required: true
  directory:
    description: Directory of the certificates on the host.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Look at what is on the host
  ansible.builtin.find:
    paths: /etc/ssl/ringmaster
    file_type: any
    follow: true
    recurse: true
    hidden: true
    get_checksum: true
    checksum_algorithm: sha256
  register: found

- name: Show what is to be done
  ansible.builtin.debug:
    msg: "{{ plan.certificates | ringmaster.webops.certificate_deployment(found.files, '/etc/ssl/ringmaster') }}"
  vars:
    plan: >-
      {{ lookup('ringmaster.webops.certificate_plan', [{'name': 'www', 'names': ['www.example.org']}],
                directory='authority/hosts/web1', authority='authority/ca.pem') }}
"""

RETURN = r"""
_value:
  description:
    - The steps, in their order - C(directories) to make, C(files) to copy, what is C(in_the_way) of a link, C(links) to
      set, and C(obsolete) versions to remove. All of them are empty where the host is as it should be.
    - Directories and files have C(path), C(owner), C(group) and C(mode), files also C(source), links C(path) and
      C(target), the others C(path).
  type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.deployment import deployment


def certificate_deployment(
    certificates: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], directory: str
) -> dict[str, list[dict[str, str]]]:
    """Return the steps; see the documentation of the filter."""
    return deployment(certificates, found, directory)


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"certificate_deployment": certificate_deployment}
