#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take a server of a running HAProxy out and put it back: arguments in, library, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Take a server behind HAProxy out for maintenance, and put it back
version_added: 0.2.0
description:
  - Sets the state and the weight of a server of a running HAProxy, by its runtime socket, in one backend or in all that
    have it. The configuration is not touched. What was set is lost by a restart of HAProxy, and by a reload unless its
    configuration has C(server-state-file) and C(load-server-state-from-file), and somebody writes that file.
  - Before anything changes, every backend must be able to do without the server, see O(minimum_up). Servers that track
    it are reckoned with.
  - Maintenance begins with a drain - new visitors go elsewhere, open sessions have O(drain_timeout_seconds) to end.
  - What fails in between is put back in every backend. A run that is killed leaves the server in drain at the most.
  - For several load balancers as one, see the role C(ringmaster.webops.haproxy) with C(tasks_from=server).
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.actiongroup_webops
attributes:
  check_mode:
    support: full
    details:
      - Whether a backend accepts a weight is known to HAProxy alone. With a static balancing algorithm only V(0%) and
        V(100%) are, and others fail in a real run.
  diff_mode:
    support: full
options:
  backend:
    description:
      - The backend, by HAProxy's name for it. V(*) stands for every backend that has the server.
    type: str
    default: "*"
  server:
    description:
      - The server, by HAProxy's name for it.
    type: str
    required: true
  state:
    description:
      - V(ready) has HAProxy send visitors there. After maintenance that begins with a drain too, until the server has
        passed a health check.
      - V(drain) keeps new visitors away. Visitors whose session belongs to the server still go there.
      - V(maintenance) sends all visitors elsewhere and stops health checks. Requests that are open then go on to their
        end.
      - Without it the state stays as it is.
    type: str
    choices: [ready, drain, maintenance]
  weight:
    description:
      - A number from V(0) to V(256), or a percentage of the weight in the configuration, such as V(50%). With V(0) the
        server gets no new visitors.
      - Without it the weight stays as it is.
    type: str
  minimum_up:
    description:
      - How many usable servers every backend must keep. Usable is one that is up, neither in drain nor in maintenance,
        with a weight above 0.
      - Backup servers do not count, unless no other server of the backend is usable already, so that HAProxy uses them.
      - A server that is not usable can always be taken out.
    type: int
    default: 1
  drain_timeout_seconds:
    description:
      - How long open sessions have to end before maintenance, or before a drain counts as done. Those that have not
        ended are counted in RV(open_sessions), and are no failure.
      - V(0) does not wait, and goes into maintenance without a drain.
    type: int
    default: 60
  up_timeout_seconds:
    description:
      - How long a server may take to be up after it was made V(ready). When it is not, that is a failure, and what was
        changed is put back.
      - V(0) does not wait.
    type: int
    default: 60
  socket:
    description:
      - HAProxy's C(stats socket) of C(level admin).
    type: path
    default: /run/haproxy/admin.sock
notes:
  - The socket belongs to root, so the module is run with C(become).
author:
  - ringmaster.webops contributors (@ringmaster-webops)
seealso:
  - module: ringmaster.webops.webserver_config
"""

EXAMPLES = r"""
- name: Take web1 out of every backend
  ringmaster.webops.haproxy_server:
    server: web1
    state: maintenance
  become: true
  register: out

- name: Say what that meant for visitors
  ansible.builtin.debug:
    msg: "{{ out.msg }}"

- name: Put it back, and fail unless it is up within two minutes
  ringmaster.webops.haproxy_server:
    server: web1
    state: ready
    up_timeout_seconds: 120
  become: true

- name: Send a newly updated server half as many visitors as usual
  ringmaster.webops.haproxy_server:
    backend: app
    server: web1
    weight: 50%
  become: true

- name: Keep two servers usable, and give long downloads ten minutes
  ringmaster.webops.haproxy_server:
    backend: downloads
    server: web1
    state: maintenance
    minimum_up: 2
    drain_timeout_seconds: 600
  become: true
"""

RETURN = r"""
msg:
  description: What became of the server, for people.
  returned: always
  type: str
  sample: "web1 is set to maintenance in app. 0 sessions were open at the end, 12 sessions moved."
backends:
  description: What became of the server in each backend.
  returned: success
  type: list
  elements: dict
  contains:
    backend:
      description: The backend.
      returned: always
      type: str
    server:
      description: The server.
      returned: always
      type: str
    changed:
      description: Whether its state or its weight in this backend is another than before.
      returned: always
      type: bool
    before:
      description: What was set before, C(state) as O(state) has it, and C(weight) as a number.
      returned: always
      type: dict
      sample: {state: ready, weight: 100}
    after:
      description: What is set now, or would be, in check mode.
      returned: always
      type: dict
      sample: {state: maintenance, weight: 100}
    usable:
      description: Whether it gets new visitors now; in check mode, whether it did when it was asked.
      returned: always
      type: bool
    hindrance:
      description: Why it gets none, empty where it does.
      returned: always
      type: str
      sample: DOWN (L4CON Connection refused)
    open_sessions:
      description: The sessions that it served, or that waited for it, at the end of the drain.
      returned: always
      type: int
    sessions_moved:
      description:
        - How many entries of the stick table with the backend's name belong to the server, when it goes into
          maintenance. These visitors go to other servers from then on. It is 0 when it does not go into maintenance.
        - Null where that cannot be counted within 10 seconds.
      returned: always
      type: int
open_sessions:
  description: The sum over all backends.
  returned: success
  type: int
sessions_moved:
  description: The sum over all backends for which it is known, null where it is known for none.
  returned: success
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy import drain, plan
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.runtime import RuntimeSocket
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import STATES
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock

_LOCK_NAME = "haproxy-server"


def main() -> None:
    """Do what is asked for, or foresee it in check mode."""
    module = AnsibleModule(
        argument_spec={
            "backend": {"type": "str", "default": plan.EVERY_BACKEND},
            "server": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(STATES)},
            "weight": {"type": "str"},
            "minimum_up": {"type": "int", "default": 1},
            "drain_timeout_seconds": {"type": "int", "default": 60},
            "up_timeout_seconds": {"type": "int", "default": 60},
            "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
        },
        required_one_of=[("state", "weight")],
        supports_check_mode=True,
    )
    for option in ("minimum_up", "drain_timeout_seconds", "up_timeout_seconds"):
        if module.params[option] < 0:
            module.fail_json(msg=f"{option}: {module.params[option]} is less than 0. Give 0 or more")
    try:
        outcomes = _outcomes(module.params, module.check_mode)
    except WebopsError as error:
        module.fail_json(msg=str(error))
    for warning in _warnings(outcomes):
        module.warn(warning)
    module.exit_json(**_result(outcomes, module.check_mode))


def _outcomes(params: dict[str, Any], check_mode: bool) -> list[drain.Outcome]:
    runtime = RuntimeSocket(params["socket"])
    request = plan.Request(params["backend"], params["server"], params["state"], params["weight"], params["minimum_up"])
    if check_mode:
        return drain.foresee(runtime, request)
    patience = drain.Patience(params["drain_timeout_seconds"], params["up_timeout_seconds"])
    return drain.carry_out(runtime, request, patience, Lock(_LOCK_NAME))


def _warnings(outcomes: list[drain.Outcome]) -> list[str]:
    agents = [each.after.label for each in outcomes if each.after.has_agent]
    weightless = [each.after.label for each in outcomes if each.step.state == "ready" and not each.step.weight]
    found = []
    if agents:
        found.append(f"{', '.join(agents)}: the agent check of HAProxy can set another state or weight at any time")
    if weightless:
        found.append(f"{', '.join(weightless)}: ready, but of weight 0, so that no new visitors go there")
    return found


def _result(outcomes: list[drain.Outcome], check_mode: bool) -> dict[str, Any]:
    backends = [_backend(each) for each in outcomes]
    known = [each["sessions_moved"] for each in backends if each["sessions_moved"] is not None]
    result = {
        "changed": any(each["changed"] for each in backends),
        "backends": backends,
        "open_sessions": sum(each["open_sessions"] for each in backends),
        "sessions_moved": sum(known) if known else None,
        "diff": {
            when: {f"{each['backend']}/{each['server']}": each[when] for each in backends}
            for when in ("before", "after")
        },
    }
    return {**result, "msg": _sentences(result, check_mode)}


def _backend(outcome: drain.Outcome) -> dict[str, Any]:
    step = outcome.step
    return {
        "backend": step.server.backend,
        "server": step.server.name,
        "changed": step.is_change,
        "before": {"state": step.server.state, "weight": step.server.weight},
        "after": {"state": step.state, "weight": step.weight},
        "usable": outcome.after.is_usable,
        "hindrance": outcome.after.hindrance,
        "open_sessions": outcome.open_sessions,
        "sessions_moved": outcome.sessions_moved,
    }


def _sentences(result: dict[str, Any], check_mode: bool) -> str:
    (server,) = {each["server"] for each in result["backends"]}
    verb = "would be" if check_mode and result["changed"] else "is"
    set_to = {each["backend"]: _words(each) for each in result["backends"]}
    places = " and ".join(
        f"{words} in {', '.join(backend for backend in set_to if set_to[backend] == words)}"
        for words in dict.fromkeys(set_to.values())
    )
    sentences = [f"{server} {verb} set to {places}", f"{result['open_sessions']} sessions {_OPEN[check_mode]}"]
    if any(each["sessions_moved"] for each in result["backends"]):
        sentences.append(f"{result['sessions_moved']} sessions {'would move' if check_mode else 'moved'}")
    uncounted = [each["backend"] for each in result["backends"] if each["sessions_moved"] is None]
    if uncounted:
        sentences.append(f"How many sessions move in {', '.join(uncounted)} is not known")
    return ". ".join(sentences)


def _words(backend: dict[str, Any]) -> str:
    after = backend["after"]
    changes_weight = after["weight"] != backend["before"]["weight"]
    return f"{after['state']} with weight {after['weight']}" if changes_weight else str(after["state"])


_OPEN = {True: "are open now", False: "were open at the end"}


if __name__ == "__main__":
    main()
