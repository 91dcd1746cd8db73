# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.haproxy_frontends``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: haproxy_frontends
short_description: What frontends, backends and peers of HAProxy come to, for the template and for webserver_config
version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Checks frontends, backends and peers as they are asked for, and decides what depends on the host - which
    certificates are part of the configuration, which TLS parameters each socket has, whether HTTP Strict Transport
    Security can be sent, which names are answered for, what keeps sessions, who shares them, and what is to be measured
    before the configuration goes live.
  - It is what the role P(ringmaster.webops.haproxy#role) makes of its variables. Refuses what cannot be configured with
    a sentence that names the value, the reason and the remedy.
  - It asks nothing and opens nothing.
options:
  _input:
    description:
      - The settings - C(frontends), C(backends), C(peers), C(tls_profile), C(hsts_stage), C(hsts_include_subdomains),
        C(hsts_preload), C(security_headers), C(certificate_directory), C(json_access_log), C(anonymise_clients),
        C(rate_limits), C(global_extra) and C(defaults_extra), each as the variable of the role with that suffix.
      - C(groups) are those of the inventory; C(host) is the host's name, and C(load_balancers) has the addresses of the
        load balancers that share their sessions, by name, its own among them; C(memory_bytes) is the host's memory, or
        V(0); C(own_listeners) are sockets that the role opens for itself, each with C(address) and
        C(port).
      - Only C(frontends) is required; other keys are not looked at.
    type: dict
    required: true
  info:
    description:
      - The result of the module C(ringmaster.webops.webserver_info), asked about the C(certificate_paths) that this
        filter returns.
      - Without it the settings are checked, and nothing is known of the certificates.
    type: dict
  hostvars:
    description:
      - The variables of the inventory's hosts, from which servers of a group get their addresses.
      - A server without one goes by its name.
    type: dict
"""

EXAMPLES = r"""
- name: Show which certificates the frontends need
  ansible.builtin.debug:
    msg: "{{ (settings | ringmaster.webops.haproxy_frontends).certificate_paths }}"
  vars:
    settings:
      frontends:
        - name: https
          binds: [{port: 443, tls: true, certificates: [www]}]
"""

RETURN = r"""
_value:
  description: What the frontends come to.
  type: dict
  contains:
    frontends:
      description:
        - The frontends as they were given, and with C(has_tls), whether a socket of it speaks TLS; C(binds), what
          follows on each C(bind); C(hsts), the value of Strict-Transport-Security, empty while it is held back;
          C(headers), each with C(name) and C(value) as HAProxy reads it; C(known_names), the conditions for the names
          that it answers for, none where any name is welcome; C(json_log), C(rules) and C(line) of the JSON log, or
          null.
      type: list
      elements: dict
    backends:
      description:
        - The backends as they were given, and with C(session_lines), which keep sessions, none without O(info);
          C(acls), the ACLs among C(extra), which stand above them; C(servers), each with C(name), C(address), C(port)
          and C(parameters).
      type: list
      elements: dict
    peers:
      description:
        - The peers, with C(name), C(address), C(port), C(tls) (what both sides of a connection say, empty without TLS);
          C(servers), each with C(name), C(address) (null for the host itself) and C(parameters).
        - C(own) is empty, or about the certificate that the role makes - C(name), and paths on the control node.
      type: dict
    global_lines:
      description: Lines of the section C(global), about TLS and sessions. Only with O(info).
      type: list
      elements: str
    files:
      description: Certificates and keys of the release, and what HAProxy loads, as C(webserver_config) takes them.
      type: list
      elements: dict
    endpoints:
      description: What is to be measured, as C(webserver_config) takes it, one a socket and certificate.
      type: list
      elements: dict
    listeners:
      description: Every socket, with C(address) as the kernel writes it and C(port).
      type: list
      elements: dict
    names:
      description: Every name of every certificate, in lower case, sorted.
      type: list
      elements: str
    certificate_paths:
      description: What C(webserver_info) is to be asked about.
      type: list
      elements: str
    missing_certificates:
      description: Those of them that are not on the host.
      type: list
      elements: str
    referred_certificates:
      description: Certificates that are no part of the release, each with C(path) and C(sha256).
      type: list
      elements: dict
    warnings:
      description: Sentences about what a person should know.
      type: list
      elements: str
  sample:
    certificate_paths: [/etc/ssl/ringmaster/www]
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_frontends import decide_frontends


def haproxy_frontends(
    settings: dict[str, Any], *, info: dict[str, Any] | None = None, hostvars: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the frontends come to; see the documentation of the filter."""
    try:
        return decide_frontends({**settings, "host_variables": hostvars or {}}, info=info)
    except WebopsError as error:
        raise AnsibleFilterError(f"haproxy_frontends: {error}") from error


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"haproxy_frontends": haproxy_frontends}
