# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``ringmaster.webops.appsession_rules``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: appsession_rules
short_description: Lines of an HAProxy backend that keep each visitor with their session
version_added: 0.1.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Turns what the application's own session cookie looks like into the stick table and the rules that the running
    HAProxy needs to send each visitor to the server where their session lives. No cookie is added to the application's.
  - Visitors without a session are balanced freely.
  - From HAProxy 2.2 on these are stick rules, below 1.6 it is the line C(appsession). What lies between has neither,
    and is refused.
options:
  _input:
    description:
      - The application's session, as a dictionary with the keys below, or as the line of HAProxy 1.5, such as
        V(appsession PHPSESSID len 64 timeout 3h request-learn prefix), its first word may be missing.
      - What the line accepted although it makes no sense is refused, see P(ringmaster.webops.appsession_parse#filter).
    type: raw
    required: true
    suboptions:
      cookie:
        description:
          - Name of the cookie, such as V(PHPSESSID), or a list of names, the most important first. Case matters.
          - Of several that an answer sets for the first time, one is learnt, the first in the list.
        type: raw
        required: true
      timeout:
        description:
          - How long a session that is not used is remembered, as a number with a unit (V(ms), V(s), V(m), V(h) or
            V(d)), 24 days and 20 hours at most. It should not be less than the application's own.
          - V(0) is as long as there is room.
          - In a line, a number without a unit is milliseconds.
        type: str
        required: true
      len:
        description:
          - How many characters of the id count, 1 to 4096. Without it all do.
          - Needed where O(_input.hash_keys=false).
        type: int
      request_learn:
        description:
          - Whether an unknown id in a request is learnt too, not only those that the application sets. Visitors can
            fill the table then.
        type: bool
        default: false
      prefix:
        description:
          - Whether the cookie's name only has to begin with O(_input.cookie). What follows is part of the id.
        type: bool
        default: false
      mode:
        description:
          - Where the id may stand besides the cookie. V(path-parameters) is C(/page;PHPSESSID=id), V(query-string) is
            C(/page?PHPSESSID=id).
          - The default is V(none), for a line and below HAProxy 1.6 V(path-parameters).
        type: str
        choices: [path-parameters, query-string, none]
      failover:
        description:
          - What becomes of a session whose server does not answer.
          - V(first_wins) gives it to the first server that answers in its place, where it stays.
          - V(rebind) gives it to whichever server answered last.
          - V(return) is exactly as C(appsession) was. Requests go anywhere while the server is away, and back to it
            afterwards.
          - The default is V(first_wins), for a line and below HAProxy 1.6 V(return).
        type: str
        choices: [first_wins, rebind, return]
      hash_keys:
        description:
          - Whether the table holds SHA-256 digests in place of the ids. Ids are credentials, and the table is readable
            at the runtime socket and travels between load balancers.
          - The default is V(true), with O(_input.failover=return) V(false).
        type: bool
      ignore_ids:
        description:
          - Values of the cookie that are no sessions. V(true) is the empty one and V(deleted), with which applications
            end a session, V(false) none, a list exactly those in it.
          - The default is V(true), with O(_input.failover=return) V(false).
        type: raw
      ignore:
        description:
          - Conditions under which a request takes no part in sessions, in HAProxy's words without C(if), such as
            V({ path_beg /static/ }), 60 words at most. An ACL that one names must be defined above these lines.
        type: list
        elements: str
        default: []
      sessions:
        description:
          - How many sessions may live at once. The table has room for twice as many ids, because applications give a
            new one at login. Without it there is room for 102400 ids. An id takes 248 bytes, and
            with O(_input.hash_keys=false) O(_input.len) more, once it is there.
        type: int
  haproxy_version:
    description: Version of the HAProxy that runs, the number that C(haproxy -v) prints, such as V(3.0.11).
    type: str
    required: true
  backend:
    description: Name of the backend in which the lines will stand.
    type: str
    required: true
  failover:
    description: In place of O(_input.failover).
    type: str
    choices: [first_wins, rebind, return]
  peers:
    description:
      - Name of the C(peers) section that hands the table on at a reload. Without it a reload empties it.
      - Below HAProxy 1.6 there is nothing to hand on, and it is not looked at.
    type: str
seealso:
  - plugin: ringmaster.webops.appsession_parse
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the rules for a PHP application
  ansible.builtin.debug:
    msg: >-
      {{ {'cookie': 'PHPSESSID', 'timeout': '3h'}
         | ringmaster.webops.appsession_rules(haproxy_version='3.0.11', backend='app', peers='lbs') }}

- name: Show what takes the place of a line of HAProxy 1.5
  ansible.builtin.debug:
    msg: >-
      {{ 'appsession PHPSESSID len 64 timeout 3h request-learn prefix'
         | ringmaster.webops.appsession_rules(haproxy_version='2.6', backend='app', failover='return', peers='lbs') }}
"""

RETURN = r"""
_value:
  description: The lines, without indentation, in the order in which they must stand, before the servers.
  type: list
  elements: str
  sample:
    - stick-table type binary len 32 size 100k expire 3h peers lbs
    - http-request set-var(txn.sid) req.cook(PHPSESSID),sha2(256)
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import appsession


def appsession_rules(
    session: object,
    *,
    haproxy_version: str,
    backend: str,
    failover: str | None = None,
    peers: str | None = None,
) -> list[str]:
    """Return the backend's lines; see the documentation of the filter."""
    try:
        return appsession.backend_lines(
            session,
            haproxy_version=haproxy_version,
            backend=backend,
            failover=failover,
            peers=peers,
        )
    except WebopsError as error:
        raise AnsibleFilterError(f"appsession_rules: {error}") from error


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"appsession_rules": appsession_rules}
