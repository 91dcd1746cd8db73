# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.webserver_sites``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: webserver_sites
short_description: What the sites of a web server come to, for its templates and for webserver_config
version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Checks the sites as they are asked for, and decides what depends on more than one of them or on the host - which
    certificates are part of the configuration, which headers each answer carries, whether HTTP Strict Transport
    Security can be sent, where the server listens, and what is to be measured before the configuration goes live.
  - It is what the roles P(ringmaster.webops.nginx#role) and P(ringmaster.webops.apache#role) make of their variables.
    Refuses what cannot be configured with a sentence that names the value, the reason and the remedy.
  - It asks nothing and opens nothing.
options:
  _input:
    description:
      - The settings - C(sites), C(tls_profile), C(hsts_stage), C(hsts_include_subdomains), C(hsts_preload),
        C(security_headers), C(addresses), C(http_port), C(https_port) and C(certificate_directory), each as the
        variable of the role with that suffix. Only C(sites) is required; other keys are not looked at.
    type: dict
    required: true
  server:
    description: The server program.
    type: str
    choices: [nginx, apache]
    required: true
  info:
    description:
      - The result of the module M(ringmaster.webops.webserver_info), asked about the C(certificate_paths) that this
        filter returns.
      - Without it the sites are checked, and nothing is known of the certificates.
    type: dict
"""

EXAMPLES = r"""
- name: Show which certificates the sites need
  ansible.builtin.debug:
    msg: "{{ (settings | ringmaster.webops.webserver_sites(server='nginx')).certificate_paths }}"
  vars:
    settings:
      sites:
        - name: docs
          server_names: [docs.example.org]
          certificate: docs
          kind: static
          root: /srv/www/docs
"""

RETURN = r"""
_value:
  description: What the sites come to. Lists are in the order of the sites.
  type: dict
  contains:
    sites:
      description: The sites, flat. Every key is always there.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the site. It can be the name of a file.
          type: str
        kind:
          description: V(static), V(php_fpm), V(reverse_proxy) or V(redirect).
          type: str
        server_names:
          description: The names that visitors ask for, each once; some with C(*.) in front or C(.*) behind.
          type: list
          elements: str
        primary_name:
          description: A name of the site without a wildcard; where it has wildcards only, one that they cover.
          type: str
        certificates:
          description:
            - Each with C(fullchain) and C(private_key), the paths as the configuration writes them; C(release_path),
              that of the fullchain file within the release, empty for a file that is referred to where it lies;
              C(sha256) of the fullchain file and C(key_type) (V(ecdsa) or V(rsa)), both empty while not known.
          type: list
          elements: dict
        tls_profile:
          description: Mozilla's TLS profile of the site.
          type: str
        hsts:
          description: Value of Strict-Transport-Security; empty while it is held back.
          type: str
        headers:
          description: Headers of every answer, each with C(name) and C(value), without Strict-Transport-Security.
          type: list
          elements: dict
        stapling:
          description: Whether all certificates name an OCSP responder.
          type: bool
        root:
          description: Directory of the site; empty for kinds without one.
          type: str
        upstream:
          description:
            - Of the kind V(reverse_proxy), otherwise null. C(url) (scheme, host and port without a path, or
              C(unix:/path)), C(tls), C(tls_verify), C(tls_server_name), C(ca_file) (empty where nothing is verified),
              C(header_names), the headers of the request that were given, in lower case, and C(headers_file), the file
              that sets them, to be included; empty where there is none.
          type: dict
        redirect:
          description:
            - Of the kind V(redirect), otherwise null. C(url), C(code), and C(keeps_path), whether what the visitor
              asked for goes behind C(url).
          type: dict
        locations:
          description:
            - Each with C(path), which begins with a slash; C(headers), all headers of its answers, those of the site
              included, each with C(name) and C(value); C(extra), raw lines; and for nginx C(headers_file).
          type: list
          elements: dict
        extra:
          description: Raw lines.
          type: list
          elements: str
        headers_file:
          description:
            - For nginx only. The file of the release, by its path as the configuration writes it, that sets all headers
              of the site, Strict-Transport-Security included.
          type: str
    files:
      description:
        - Files of the release, as M(ringmaster.webops.webserver_config) takes them - certificates and keys, and for
          nginx the files with headers.
      type: list
      elements: dict
    endpoints:
      description: What is to be measured, as M(ringmaster.webops.webserver_config) takes it, one a site.
      type: list
      elements: dict
    listeners:
      description: Every socket, with C(address) as the kernel writes it and C(port).
      type: list
      elements: dict
    names:
      description: Every server name, in lower case, sorted.
      type: list
      elements: str
    tls_profile:
      description: The TLS profile of the sockets (nginx), or the one of the settings (apache).
      type: str
    hsts_variables:
      description:
        - For nginx only. C(name) of a variable, with its dollar sign, and the C(value) of Strict-Transport-Security
          that it must have over https; over http it must be empty.
      type: list
      elements: dict
    certificate_paths:
      description: What M(ringmaster.webops.webserver_info) is to be asked about.
      type: list
      elements: str
    missing_certificates:
      description: Those of C(certificate_paths) that are not on the host.
      type: list
      elements: str
    warnings:
      description:
        - Sentences about what was decided otherwise than asked for, and about TLS protocols that somebody else's
          configuration sets.
      type: list
      elements: str
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.sites import decide_sites


def webserver_sites(settings: dict[str, Any], *, server: str, info: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the sites come to; see the documentation of the filter."""
    try:
        return decide_sites(settings, server=server, info=info)
    except WebopsError as error:
        raise AnsibleFilterError(f"webserver_sites: {error}") from error


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"webserver_sites": webserver_sites}
