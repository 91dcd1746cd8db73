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
  - Session ids are learnt from the application's answers alone, so that visitors cannot fill the table.
options:
  _input:
    description: The application's session.
    type: dict
    required: true
    suboptions:
      cookie:
        description: Name of the cookie, such as V(PHPSESSID). Case matters.
        type: str
        required: true
      timeout:
        description:
          - How long a session that is not used is remembered, as a number with a unit (V(ms), V(s), V(m), V(h) or
            V(d)), 24 days and 20 hours at most. It should not be less than the application's own.
          - V(0) is as long as there is room.
        type: str
        required: true
      len:
        description:
          - How many characters of the id count, 1 to 4096. Without it all do.
          - Needed where O(_input.hash_keys=false).
        type: int
      hash_keys:
        description:
          - Whether the table holds SHA-256 digests in place of the ids. Ids are credentials, and the table is readable
            at the runtime socket and travels between load balancers.
        type: bool
        default: true
      ignore_ids:
        description:
          - Values of the cookie that are no sessions. V(true) is the empty one and V(deleted), with which applications
            end a session, V(false) none, a list exactly those in it.
        type: raw
        default: true
  haproxy_version:
    description: Version of the HAProxy that runs, as C(haproxy -v) prints it. 2.2 is the oldest.
    type: str
    required: true
  backend:
    description: Name of the backend in which the lines will stand.
    type: str
    required: true
  failover:
    description:
      - What becomes of a session whose server does not answer.
      - V(first_wins) gives it to the first server that answers in its place, where it stays.
    type: str
    choices: [first_wins]
    default: first_wins
  peers:
    description: Name of the C(peers) section that hands the table on at a reload. Without it a reload empties it.
    type: str
"""

EXAMPLES = r"""
- name: Show the rules for a PHP application
  ansible.builtin.debug:
    msg: >-
      {{ {'cookie': 'PHPSESSID', 'timeout': '3h'}
         | ringmaster.webops.appsession_rules(haproxy_version='3.0.11', backend='app', peers='lbs') }}
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
    session: dict[str, Any],
    *,
    haproxy_version: str,
    backend: str,
    failover: str = "first_wins",
    peers: str | None = None,
) -> list[str]:
    """Return the backend's lines; see the documentation of the filter."""
    try:
        return appsession.backend_lines(
            appsession.parse_session(session),
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
