# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.appsession_parse``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: appsession_parse
short_description: Read appsession out of a configuration of HAProxy 1.5
version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Reads the line C(appsession) of HAProxy 1.5, or finds every such line in a whole configuration, for use with
    P(ringmaster.webops.appsession_rules#filter) and P(ringmaster.webops.haproxy#role).
  - HAProxy 1.5 accepted lines that mean something else than they say. Here that is an error, or, in a whole
    configuration, listed.
options:
  _input:
    description: The line, with or without its first word, or the text of a configuration.
    type: str
    required: true
  file:
    description:
      - Name of the file that the text comes from, for messages. With it the text is a whole configuration; without it a
        text of more than one line is.
    type: str
seealso:
  - plugin: ringmaster.webops.appsession_rules
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read a line
  ansible.builtin.set_fact:
    app_session: "{{ 'appsession PHPSESSID len 64 timeout 3h' | ringmaster.webops.appsession_parse }}"

- name: Show the sessions of an old configuration, and what is wrong with it
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', path) | ringmaster.webops.appsession_parse(file=path) }}"
  vars:
    path: haproxy.cfg
"""

RETURN = r"""
_value:
  description:
    - Of a line, the session as a dictionary in which everything is said, for
      P(ringmaster.webops.appsession_rules#filter).
    - Of a configuration, a list with an entry for each line C(appsession), in their order.
    - C(file), C(line), C(section) and C(backend) say where it is, the last two being the kind of the section and its
      name.
    - C(session) is the session. Conditions of C(ignore-persist) are in its C(ignore). It is C(null) where the line has
      no effect, or where nobody can know what it was meant to say.
    - C(problems) lists what is wrong with it, a sentence each.
  type: raw
  sample:
    - file: haproxy.cfg
      line: 12
      section: backend
      backend: app
      session:
        cookie: PHPSESSID
        timeout: 3h
        len: 64
        request_learn: false
        prefix: false
        mode: path-parameters
        failover: return
        hash_keys: false
        ignore_ids: []
        ignore: []
      problems: ["'request-lean' is not known: HAProxy 1.5 ignored it (is it 'request-learn'?)"]
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import appsession, legacy, session


def appsession_parse(text: object, *, file: str | None = None) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the session of a line, or those of a configuration; see the documentation of the filter."""
    if not isinstance(text, str):
        raise AnsibleFilterError(
            f"appsession_parse: {type(text).__name__}: this is no text. Give the line, or the file's"
        )
    try:
        if file is not None or len(text.strip().splitlines()) > 1:
            return legacy.find_sessions(text, file or "")
        return session.as_mapping(appsession.parse_session(text))
    except WebopsError as error:
        raise AnsibleFilterError(f"appsession_parse: {error}") from error


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"appsession_parse": appsession_parse}
