# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.json_access_log``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: json_access_log
short_description: Configuration lines that make a server write an access log in JSON, with the facts of TLS in it
version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Returns the lines that make nginx, Apache or HAProxy write one JSON object a request, with the same fields whichever
    it is. Their names are those of the Elastic Common Schema, flat and dotted, so Logstash takes them with the codec
    C(json).
  - The fields are C(@timestamp) (when the answer was complete), C(source.address), C(source.ip), C(url.scheme),
    C(url.domain), C(url.original), C(url.path), C(url.query), C(http.request.method), C(http.request.referrer),
    C(http.version), C(http.response.status_code), C(http.response.bytes) (with headers), C(user_agent.original) and
    C(event.duration), in nanoseconds.
  - Over TLS also C(tls.version_protocol), C(tls.version), C(tls.cipher), C(tls.curve), C(tls.resumed) and
    C(tls.client.server_name). C(tls.curve) needs nginx 1.21.5 or HAProxy 2.9; Apache does not know it.
options:
  _input:
    description: The server program.
    type: str
    choices: [nginx, apache, haproxy]
    required: true
  server_version:
    description: Version of the server program, as it prints it. Apache needs none.
    type: str
    default: ""
  path:
    description:
      - File that the log is written to. Without one, nginx and Apache write no such log, and the lines are only those
        for O(anonymise_clients). HAProxy needs none, because its log goes where C(log) says.
    type: str
    default: ""
  tls:
    description: For HAProxy only. Whether the sockets of the frontend speak TLS.
    type: bool
    default: false
  anonymise_clients:
    description:
      - Whether the last 8 bits of an IPv4 address and the last 80 bits of an IPv6 address are written as zeros.
      - For nginx and Apache the lines then also define how the usual log is written so - nginx's format
        C(ringmaster_combined), Apache's C(combined) and C(vhost_combined).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what nginx is told
  ansible.builtin.debug:
    msg: >-
      {{ 'nginx' | ringmaster.webops.json_access_log(server_version='1.26.3', path='/var/log/nginx/access.json.log') }}

- name: Show what a frontend of HAProxy is told
  ansible.builtin.debug:
    msg: "{{ 'haproxy' | ringmaster.webops.json_access_log(server_version='3.0.11', tls=true) }}"
"""

RETURN = r"""
_value:
  description:
    - The lines. For nginx they belong into the C(http) block, for Apache into the server configuration, for HAProxy
      into a C(frontend).
  type: list
  elements: str
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import access_log


def json_access_log(
    server: str, *, server_version: str = "", path: str = "", tls: bool = False, anonymise_clients: bool = False
) -> list[str]:
    """Return the configuration lines of an access log in JSON; see the documentation of the filter."""
    try:
        if server == "nginx":
            return access_log.nginx_format(server_version, path, anonymise_clients=anonymise_clients)
        if server == "apache":
            return access_log.apache_format(path, anonymise_clients=anonymise_clients)
        if server == "haproxy":
            found = access_log.haproxy_format(server_version, tls=tls, anonymise_clients=anonymise_clients)
            return [*found.rules, found.log_format]
    except WebopsError as error:
        raise AnsibleFilterError(f"json_access_log: {error}") from error
    raise AnsibleFilterError(f"json_access_log: server {server!r}: it is not known. Choose nginx, apache or haproxy")


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"json_access_log": json_access_log}
