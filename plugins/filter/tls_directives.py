# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.tls_directives``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tls_directives
short_description: Configuration lines that make a server speak a TLS profile
version_added: 0.1.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Turns the name of a Mozilla server-side TLS profile into the configuration lines of a server, as its version and the
    version of the OpenSSL that it runs with allow.
  - Where OpenSSL is 3.5 or later the post-quantum hybrid group X25519MLKEM768 comes first, in the form that also asks
    clients for it that could, but did not send their share. Older ones refuse the group, so there it is left out.
options:
  _input:
    description:
      - Name of the profile. V(modern) and V(intermediate) are those of guideline 6.0, V(old) is the last one there was,
        of guideline 5.8.
    type: str
    choices: [modern, intermediate, old]
    required: true
  server:
    description: The server program.
    type: str
    choices: [nginx, apache, haproxy]
    required: true
  server_version:
    description: Version of the server program, as it prints it.
    type: str
    required: true
  openssl_version:
    description: Version of the OpenSSL that the server is running with (not the one that it was built with).
    type: str
    required: true
  side:
    description:
      - V(bind) is the side that faces the visitors. For nginx these are directives for the C(http) block, for Apache
        directives outside of virtual hosts, for HAProxy lines of C(global).
      - V(server) is HAProxy's side towards its servers, also lines of C(global).
      - V(listen) is the list of parameters that TLS C(listen) lines of nginx carry.
      - V(site) is for a virtual host of Apache with a profile of its own.
    type: str
    choices: [bind, server, listen, site]
    default: bind
"""

EXAMPLES = r"""
- name: Show what nginx of Debian 12 is told
  ansible.builtin.debug:
    msg: >-
      {{ 'intermediate' | ringmaster.webops.tls_directives(server='nginx', server_version='1.22.1',
                                                           openssl_version='3.0.19') }}

- name: Show what HAProxy of Debian 13 is told for its connections to the web servers
  ansible.builtin.debug:
    msg: >-
      {{ 'modern' | ringmaster.webops.tls_directives(server='haproxy', server_version='3.0.11',
                                                     openssl_version='3.5.7', side='server') }}

- name: Show what one virtual host of Apache is told where the others have another profile
  ansible.builtin.debug:
    msg: >-
      {{ 'modern' | ringmaster.webops.tls_directives(server='apache', server_version='2.4.71',
                                                     openssl_version='3.5.7', side='site') }}
"""

RETURN = r"""
_value:
  description: The configuration lines, without indentation, in the order in which to write them.
  type: list
  elements: str
  sample:
    - ssl_protocols TLSv1.2 TLSv1.3;
    - ssl_prefer_server_ciphers off;
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import policy


def tls_directives(
    profile: str, *, server: str, server_version: str, openssl_version: str, side: str = "bind"
) -> list[str]:
    """Return the configuration lines of a TLS profile; see the documentation of the filter."""
    try:
        return policy.tls_directives(
            profile, server=server, server_version=server_version, openssl_version=openssl_version, side=side
        )
    except WebopsError as error:
        raise AnsibleFilterError(f"tls_directives: {error}") from error


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"tls_directives": tls_directives}
