#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a host about its web server and the certificates for it; the action plugin judges the certificates."""

from __future__ import annotations

DOCUMENTATION = r"""
module: webserver_info
short_description: What a web server on a host is, what it serves, and which certificates there are for it
version_added: 0.2.0
description:
  - Asks the installed program for its version, its parts and the OpenSSL that it runs with. Nothing is assumed from the
    distribution.
  - Reads the configuration of the server as the server does, and lists the sites that
    M(ringmaster.webops.webserver_config) did not put there, and where somebody else sets TLS protocols.
  - Finds certificates on the host, and says of each whether it is trusted and how long it is valid. They are judged on
    the control node, which needs the Python package C(cryptography) 43 or newer. No private key is read.
  - A host without the server has RV(installed=false), and is no error.
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.info_module
  - ringmaster.webops.attributes.actiongroup_webops
options:
  server:
    description:
      - The server program.
    type: str
    choices: [nginx, apache, haproxy]
    required: true
  certificates:
    description:
      - Where certificates are on the host. Each is a directory with C(fullchain.pem) and C(privkey.pem), and perhaps
        more pairs of that kind, such as C(fullchain.rsa.pem) and C(privkey.rsa.pem), or one file with a certificate and
        its chain.
      - A path that does not exist is meant as a file where it ends in C(.pem), C(.crt) or C(.cer), else as a directory.
    type: list
    elements: path
    default: []
  ca_path:
    description:
      - A PEM file, or a directory of PEM files, with the certificate authorities to trust instead of the system's. It
        is read on the control node.
    type: path
notes:
  - The configuration and the certificates of some programs can be read by root only, so it is run with C(become).
  - Revocation is not checked.
author:
  - ringmaster.webops contributors (@ringmaster-webops)
seealso:
  - module: ringmaster.webops.webserver_config
  - module: ringmaster.webops.tls_endpoint_info
"""

EXAMPLES = r"""
- name: What does nginx serve that was configured by hand?
  ringmaster.webops.webserver_info:
    server: nginx
  become: true
  register: nginx

- name: Show it
  ansible.builtin.debug:
    msg: "{{ item.file }} serves {{ item.names | join(', ') }}"
  loop: "{{ nginx.foreign }}"
  loop_control:
    label: "{{ item.file }}"

- name: Look at the certificates of a site
  ringmaster.webops.webserver_info:
    server: haproxy
    certificates:
      - /etc/ringmaster/certificates/www.example.com
      - /etc/letsencrypt/live/shop.example.com/fullchain.pem
  become: true
  register: haproxy

- name: Fail when one of them ends this week
  ansible.builtin.assert:
    that: item.exists and item.days_left > 7
    fail_msg: "{{ item.fullchain }} is valid for {{ item.days_left }} more days"
  loop: "{{ haproxy.certificates.values() | flatten }}"
  loop_control:
    label: "{{ item.fullchain }}"
"""

RETURN = r"""
installed:
  description: Whether the program is on the host.
  returned: always
  type: bool
version:
  description: The version of the program, null where it is not installed.
  returned: always
  type: str
  sample: 1.26.3
openssl_version:
  description: The version of the OpenSSL that it runs with, null where it is not installed.
  returned: always
  type: str
  sample: 3.5.4
modules:
  description: What is compiled in or there to be loaded, by the names that the program itself has for it.
  returned: always
  type: list
  elements: str
  sample: [http_ssl_module, http_v2_module]
active:
  description: Whether its unit is running; null where systemd does not tell.
  returned: always
  type: bool
distribution:
  description: The distribution, as C(ansible_facts.distribution) has it.
  returned: always
  type: str
  sample: Debian
distribution_release:
  description: Its code name.
  returned: always
  type: str
  sample: trixie
distribution_version:
  description: Its version.
  returned: always
  type: str
  sample: "13.1"
taken_over:
  description: Whether the configuration that the unit reads is one of M(ringmaster.webops.webserver_config).
  returned: always
  type: bool
foreign:
  description:
    - The sites that the server has by its present configuration and that M(ringmaster.webops.webserver_config) did not
      put there. Files that are as their package brought them are left out, and so are unix sockets.
  returned: always
  type: list
  elements: dict
  contains:
    file:
      description: Where the site is defined.
      returned: always
      type: str
    names:
      description: The names that it answers to, as they are written there.
      returned: always
      type: list
      elements: str
    listeners:
      description: Its sockets, each with C(address) and C(port). C(0.0.0.0) and C(::) stand for every address.
      returned: always
      type: list
      elements: dict
foreign_tls_protocols:
  description:
    - Where others than M(ringmaster.webops.webserver_config) set TLS protocols. The file that the unit reads first is
      left out, since M(ringmaster.webops.webserver_config) replaces it.
  returned: always
  type: list
  elements: dict
  contains:
    file:
      description: The file.
      returned: always
      type: str
    line:
      description: The line in it.
      returned: always
      type: int
    value:
      description: The directive as it stands there.
      returned: always
      type: str
      sample: ssl_protocols TLSv1.2
certificates:
  description:
    - For each path of O(certificates) a list of what is there, by name. Where there is nothing, it has one entry with
      C(exists) false, for what was expected.
    - An entry has C(fullchain) (the path of the certificate with its chain), C(private_key) (the path of the key, null
      where the names do not tell), C(exists) (whether the certificate is there, and in a directory the key too),
      C(sha256) (the digest of the file C(fullchain)), C(key_type) (V(ecdsa), V(rsa) or another), C(trusted), C(reason)
      and C(detail) (why it is not trusted, in one word as M(ringmaster.webops.tls_endpoint_info) has it, and in a
      sentence), C(names), C(not_after), C(days_left) (whole days, negative when it has expired) and C(ocsp_responder)
      (whether the certificate names one).
    - What is not known because there is no such file, or no certificate in it, is null, false or empty.
  returned: always
  type: dict
"""

import base64
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.sys_info import (
    get_distribution,
    get_distribution_codename,
    get_distribution_version,
)

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import foreign, host_certificates, unit
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Server, server_named
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout, is_taken_over


def main() -> None:
    """Ask the host. ``found`` are the certificates for the action plugin, with their chains in base64."""
    module = AnsibleModule(
        argument_spec={
            "server": {"type": "str", "choices": ["nginx", "apache", "haproxy"], "required": True},
            "certificates": {"type": "list", "elements": "path", "default": []},
            "ca_path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        facts = _server_facts(server_named(module.params["server"]))
        found = {path: _certificates(path) for path in module.params["certificates"]}
    except WebopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        distribution=get_distribution(),
        distribution_release=get_distribution_codename(),
        distribution_version=get_distribution_version(),
        found=found,
        **facts,
    )


def _server_facts(server: Server) -> dict[str, Any]:
    capabilities = server.capabilities()
    if capabilities is None:
        facts: dict[str, Any] = {"installed": False, "version": None, "openssl_version": None, "modules": []}
        return {**facts, "active": False, "taken_over": False, "foreign": [], "foreign_tls_protocols": []}
    return {
        "installed": True,
        "version": capabilities.version,
        "openssl_version": capabilities.openssl_version,
        "modules": list(capabilities.modules),
        "active": _is_active(server),
        "taken_over": is_taken_over(Layout(server)),
        "foreign": [
            {
                "file": site.file,
                "names": list(site.names),
                "listeners": [{"address": each.address, "port": each.port} for each in site.listeners],
            }
            for site in foreign.foreign_sites(server)
        ],
        "foreign_tls_protocols": [
            {"file": line.file, "line": line.line, "value": line.value}
            for line in foreign.foreign_tls_protocols(server)
        ],
    }


def _is_active(server: Server) -> bool | None:
    try:
        return unit.ask(server.unit).active
    except MeasurementError:
        return None


def _certificates(path: str) -> list[dict[str, Any]]:
    return [
        {
            "fullchain": each.fullchain,
            "private_key": each.private_key,
            "exists": each.exists,
            "sha256": each.sha256,
            "chain": [base64.b64encode(der).decode("ascii") for der in each.chain],
        }
        for each in host_certificates.find(path)
    ]


if __name__ == "__main__":
    main()
