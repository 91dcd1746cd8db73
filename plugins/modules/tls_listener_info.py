#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the listeners of a host that speak TLS."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_listener_info
short_description: Find the TCP listeners of a host that speak TLS
version_added: 0.1.0
description:
  - Lists the listening TCP sockets of the host, from C(/proc/net/tcp) and C(/proc/net/tcp6), and sends one TLS
    ClientHello to each, from the host itself, to see whether it speaks TLS.
  - Sockets that listen on every address are asked on loopback. It needs no privileges.
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.info_module
  - ringmaster.webops.attributes.actiongroup_webops
options:
  reached_as:
    description:
      - The name or address by which the scanner reaches this host, in RV(tls_targets). It stands for listeners on every
        address; those on loopback, which the scanner cannot reach, are left out of RV(tls_targets).
      - Without it, RV(tls_targets) are for a scanner on this host itself.
    type: str
  timeout:
    description:
      - How long to wait for the answer of one listener, in seconds. Services that wait for their client to say
        something else stay silent that long.
    type: float
    default: 2
  concurrency:
    description:
      - How many listeners are asked at once.
    type: int
    default: 16
notes:
  - A service that speaks TLS only after a plaintext dialogue (STARTTLS) counts as not speaking TLS.
  - Services may log the hello as a bad request.
author:
  - ringmaster.webops contributors (@ringmaster-webops)
seealso:
  - module: ringmaster.webops.tls_endpoint_info
"""

EXAMPLES = r"""
- name: Which of this host's services speak TLS?
  ringmaster.webops.tls_listener_info:
    reached_as: "{{ ansible_host }}"
  register: listening

- name: Measure them from the control node
  ringmaster.webops.tls_endpoint_info:
    targets: "{{ listening.tls_targets }}"
  delegate_to: localhost
"""

RETURN = r"""
listeners:
  description: The listening sockets, by port.
  returned: always
  type: list
  elements: dict
  contains:
    address:
      description: The address that the socket is bound to.
      returned: always
      type: str
    port:
      description: Its port.
      returned: always
      type: int
    tls:
      description: Whether it speaks TLS; null when its answer does not tell.
      returned: always
      type: bool
    reason:
      description: What it answered.
      returned: always
      type: str
tls_targets:
  description:
    - The listeners that speak TLS, as targets for M(ringmaster.webops.tls_endpoint_info), each once.
  returned: always
  type: list
  elements: str
  sample: ["192.0.2.10:443"]
summary:
  description: How many C(listeners) there are, how many with C(tls), C(plain) and C(unknown).
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.listeners import (
    probe_listeners,
    read_listeners,
    tls_targets,
)


def main() -> None:
    """List the listeners and ask each."""
    module = AnsibleModule(
        argument_spec={
            "reached_as": {"type": "str"},
            "timeout": {"type": "float", "default": 2},
            "concurrency": {"type": "int", "default": 16},
        },
        supports_check_mode=True,
    )
    for option, least in (("timeout", 0.1), ("concurrency", 1)):
        if not module.params[option] >= least:
            module.fail_json(msg=f"{option}: {module.params[option]} is too small. Give at least {least}")
    try:
        found = probe_listeners(read_listeners(), module.params["timeout"], module.params["concurrency"])
    except WebopsError as error:
        module.fail_json(msg=str(error))
    answers = [entry["tls"] for entry in found]
    summary = {
        "listeners": len(found),
        "tls": answers.count(True),
        "plain": answers.count(False),
        "unknown": answers.count(None),
    }
    targets = tls_targets(found, module.params["reached_as"])
    module.exit_json(changed=False, listeners=found, tls_targets=targets, summary=summary)


if __name__ == "__main__":
    main()
