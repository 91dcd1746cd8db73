#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at the TLS libraries of a host and at the processes that use them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_library_info
short_description: The TLS libraries of a host and the processes that use them
version_added: 0.2.0
description:
  - Lists the libraries of OpenSSL and its forks, GnuTLS, NSS, Mbed TLS and wolfSSL that are installed, and those that
    running processes have mapped.
  - Names the processes that still run on a library whose file was replaced or removed. They need a restart, or an
    upgrade did not reach them.
  - Says whether OpenSSL's heartbeat code is compiled in, and, from the logs of dpkg, whether a version with Heartbleed
    (CVE-2014-0160) was ever installed. What a visitor sees is the other side, M(ringmaster.webops.tls_endpoint_info).
  - It needs no privileges, but sees the processes of other users only as root. What it could not read is in
    RV(not_tested).
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.info_module
  - ringmaster.webops.attributes.actiongroup_webops
notes:
  - A program that was linked statically has no library that could be seen.
  - The past is known as far back as the logs go. RV(heartbleed.log_coverage) says how far that is.
author:
  - ringmaster.webops contributors (@ringmaster-webops)
seealso:
  - module: ringmaster.webops.tls_endpoint_info
"""

EXAMPLES = r"""
- name: Which processes run on a library that was replaced?
  ringmaster.webops.tls_library_info:
  become: true
  register: tls_libraries

- name: Show them
  ansible.builtin.debug:
    msg: "{{ item.program }} ({{ item.pid }}) runs on {{ item.libraries | join(', ') }}, which is gone: restart it"
  loop: "{{ tls_libraries.restart_needed }}"
  loop_control:
    label: "{{ item.program }}"
"""

RETURN = r"""
libraries:
  description: The library files, by path.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Where it is.
      returned: always
      type: str
    family:
      description: Whose it is - V(OpenSSL), V(GnuTLS), V(NSS), V(Mbed TLS) or V(wolfSSL).
      returned: always
      type: str
    version:
      description: The version that the file itself states; null where it states none.
      returned: always
      type: str
    heartbeat:
      description: Whether it answers heartbeats over TLS (RFC 6520); null where that cannot be told.
      returned: always
      type: bool
    heartbeat_evidence:
      description: What RV(libraries[].heartbeat) stands on.
      returned: always
      type: str
packages:
  description: The installed packages of TLS libraries (dpkg), with C(name) and C(version).
  returned: always
  type: list
  elements: dict
processes:
  description:
    - The first 200 processes that use a TLS library, with C(pid), C(program) and C(libraries) (C(path) and C(deleted)).
  returned: always
  type: list
  elements: dict
processes_total:
  description: How many there are.
  returned: always
  type: int
restart_needed:
  description: The processes that run on a file that was replaced or removed - C(pid), C(program), C(libraries).
  returned: always
  type: list
  elements: dict
heartbleed:
  description: What is known about CVE-2014-0160 on this host.
  returned: always
  type: dict
  contains:
    vulnerable_now:
      description: Whether an affected package is installed; null where heartbeat code belongs to no known package.
      returned: always
      type: bool
    vulnerable_packages:
      description: The affected packages that are installed.
      returned: always
      type: list
      elements: str
    vulnerable_periods:
      description:
        - When an affected version was installed - C(package), C(version), C(installed_at) (null when it was before the
          logs begin) and C(ended_at) (null when it is still there). The times are the host's own.
      returned: always
      type: list
      elements: dict
    log_coverage:
      description: The time that the logs cover - C(from), C(to) - and the C(files) that were read.
      returned: always
      type: dict
    advice:
      description: What to do, or null.
      returned: always
      type: str
not_tested:
  description: What could not be read - C(fact), C(reason).
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    heartbleed_history,
    libraries,
    library_verdict,
)

_MOST_PROCESSES = 200


def main() -> None:
    """Look, judge, return."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    observed = libraries.observe()
    history = heartbleed_history.read_history()
    installed = list(heartbleed_history.installed_versions())
    module.exit_json(
        changed=False,
        libraries=observed.libraries,
        packages=[{"name": name, "version": version} for name, version in installed],
        processes=observed.processes[:_MOST_PROCESSES],
        processes_total=len(observed.processes),
        restart_needed=library_verdict.restarts(observed),
        heartbleed=library_verdict.heartbleed(observed, history, installed),
        not_tested=[*observed.not_tested, *history.not_tested],
    )


if __name__ == "__main__":
    main()
