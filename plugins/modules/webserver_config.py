#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stage, measure and switch on the host; the action plugin of the same name renders and judges."""

from __future__ import annotations

DOCUMENTATION = r"""
module: webserver_config
short_description: Put the configuration of a web server live, measured before and after
version_added: 0.2.0
description:
  - Takes the complete configuration of nginx, Apache or HAProxy as a set of files (a release), and makes it live by the
    rename of one link - if it passes the server's own test, starts, and measures well enough.
  - Before anything changes, the server is really started with the new configuration in a shadow - namespaces of its
    own, in which nothing of the host changes and from which nothing gets out - and its TLS endpoints are measured there
    as M(ringmaster.webops.tls_endpoint_info) does.
  - A release that is graded below O(minimum_grade), and not better than what is live, is refused. So is one that the
    server refuses, one whose private key does not fit its certificate, one whose port another program has, and one by
    which a name vanishes that is served now.
  - The switch is undone when the server does not take the new configuration in use, when it does not measure as in the
    shadow, or when nobody confirms it within O(confirm_timeout) - because the connection to the host was lost, for
    instance.
  - Releases are kept below C(/etc/<server>/ringmaster/releases), and private keys beside them. The server's own file
    becomes a few lines, or for HAProxy a link, that lead to the current release; what it was is the release
    V(original).
  - Nothing is done when the release is live, confirmed and in use.
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.actiongroup_webops
attributes:
  check_mode:
    support: full
    details:
      - Everything before the switch is done, the shadow included. Where the server is not installed, what needs no
        server.
  diff_mode:
    support: full
    details:
      - Sensitive files, those that not everybody on the host may read, and those that are no text are shown as their
        digest.
options:
  server:
    description: The server that the configuration is for.
    type: str
    choices: [nginx, apache, haproxy]
    required: true
  files:
    description:
      - All files of the configuration. Exactly one of C(content), C(src) and C(remote_src) is given for each.
      - They refer to each other as C(/etc/<server>/ringmaster/current/<path>), with C(apache2) for V(apache). The
        server begins with C(nginx.conf), C(apache2.conf) or C(haproxy.cfg).
      - At most 10,000 files with 64 MiB together.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where the file is in the release, relative, such as V(conf.d/site.conf).
        type: str
        required: true
      content:
        description: What is in it.
        type: str
      src:
        description: A file on the control node to take it from.
        type: path
      remote_src:
        description: A file on the host to take it from, such as a certificate that was deployed before.
        type: path
      owner:
        description: Who owns it.
        type: str
        default: root
      group:
        description: Which group it belongs to.
        type: str
        default: root
      mode:
        description: Its permissions, octal, up to V(0777).
        type: str
        default: "0644"
      sensitive:
        description:
          - Whether it is a private key, or as secret as one. It is then kept beside the releases under the name of its
            digest, readable by root alone whatever C(owner), C(group) and C(mode) are, and removed when no release
            refers to it any more. The release has a link to it.
        type: bool
        default: false
      sha256:
        description: For the action plugin, which sends contents in O(archive) and says here what must arrive.
        type: str
  endpoints:
    description: The TLS endpoints to measure, in the shadow and live.
    type: list
    elements: dict
    default: []
    suboptions:
      server_name:
        description: The name to ask for.
        type: str
        required: true
      port:
        description: The port.
        type: int
        default: 443
      address:
        description: The address of the host to connect to.
        type: str
        default: 127.0.0.1
      name:
        description: What the measurement calls it, if not V(server_name:port).
        type: str
      certificates:
        description:
          - The files with its certificates, as a path in O(files) or an absolute one on the host. They must be valid
            and cover the name.
        type: list
        elements: str
        default: []
  listeners:
    description:
      - Every socket that the configuration opens, those without TLS too. All must be free or the server's own before
        the switch, and answer after it.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: The address as the kernel knows it, V(0.0.0.0) and V(::) for all.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
  names:
    description:
      - Every name that the configuration serves. A name that the release before had, and this one has not, goes with a
        word in RV(removed_names); but not all of them at once.
    type: list
    elements: str
    default: []
  minimum_grade:
    description:
      - The least grade of every endpoint, with its trust left aside. One that is worse is refused unless what is live
        is not better. V(none) accepts everything.
    type: str
    choices: [A+, A, A-, B, C, D, E, F, none]
    default: A
  ca_path:
    description:
      - A PEM file, or a directory of PEM files, with the certificate authorities to trust instead of the system's. It
        is read on the control node.
    type: path
  take_over:
    description:
      - What to do where the server serves sites that somebody else configured.
      - V(refuse) refuses to begin. V(keep) leaves them to be included by the new configuration. V(replace) removes
        them, if all that vanishes is in O(removed_names).
    type: str
    choices: [refuse, keep, replace]
    default: refuse
  removed_names:
    description: Names, and sockets as V(address:port), that are served now and may vanish.
    type: list
    elements: str
    default: []
  shadow:
    description:
      - Whether a host that permits no shadow start is served with a warning (V(auto)) or refused (V(required)). With
        V(auto) what is measured after the switch decides.
    type: str
    choices: [auto, required]
    default: auto
  keep_releases:
    description:
      - How many confirmed releases to keep, the newest. The original one is always kept. Only releases of this module
        are ever removed.
    type: int
    default: 5
  confirm_timeout:
    description: After how many seconds the host goes back by itself if nobody confirmed the switch.
    type: int
    default: 120
  allow_restart:
    description:
      - Whether the server may be restarted where a socket has to move, which a reload cannot do. Connections break
        then.
    type: bool
    default: false
  release:
    description:
      - Go back to a release that the host has, instead of making one of O(files). V(previous) is the one that was
        confirmed before the live one, V(original) what the server had before the first release.
    type: str
  step:
    description: Which part to do. The action plugin sets it; it is of no use in a task.
    type: str
    choices: [prepare, switch, confirm, undo]
    default: prepare
  archive:
    description: Where on the host the contents of O(files) are, as a tar archive. The action plugin sets it.
    type: path
  expected_release:
    description:
      - The release that the step V(prepare) has tried. Another one is refused by V(switch). The action plugin sets it.
    type: str
notes:
  - Must run as root. Needs systemd, and nothing but Python's standard library.
  - A shadow contacts no upstream, resolver or certificate authority. Names that the server resolves when it starts are
    resolved on the host before.
  - Contents travel to the host in a file of mode 0600. Module arguments hold paths and digests only.
author:
  - ringmaster.webops contributors (@ringmaster-webops)
seealso:
  - module: ringmaster.webops.tls_endpoint_info
"""

EXAMPLES = r"""
- name: Serve one site with nginx
  ringmaster.webops.webserver_config:
    server: nginx
    files:
      - path: nginx.conf
        content: |
          user www-data;
          events {}
          http {
            server {
              listen 0.0.0.0:443 ssl;
              server_name www.example.com;
              ssl_certificate /etc/nginx/ringmaster/current/fullchain.pem;
              ssl_certificate_key /etc/nginx/ringmaster/current/privkey.pem;
              ssl_protocols TLSv1.2 TLSv1.3;
              root /var/www/html;
            }
          }
      - path: fullchain.pem
        src: files/www.example.com/fullchain.pem
      - path: privkey.pem
        remote_src: /etc/ringmaster/certificates/www.example.com/privkey.pem
        sensitive: true
    names: [www.example.com]
    listeners:
      - address: 0.0.0.0
        port: 443
    endpoints:
      - server_name: www.example.com
        certificates: [fullchain.pem]
    minimum_grade: A
  become: true
  register: web

- name: Go back to what was live before
  ringmaster.webops.webserver_config:
    server: nginx
    release: previous
  become: true
"""

RETURN = r"""
stage:
  description:
    - The last stage that was reached - V(rendered), V(staged), V(tested), V(shadowed), V(measured), V(switched),
      V(reloaded), V(confirmed). Of a refusal, the one that refused.
  returned: always
  type: str
  sample: confirmed
release:
  description: The release, named by the digest of its files.
  returned: always
  type: str
  sample: 5a4f0c2b9d1e7f63
previous_release:
  description: The release that was live before, null where there was none.
  returned: always
  type: str
grade_before:
  description: For each endpoint (C(server_name:port)) the grade that was live, with its trust left aside.
  returned: always
  type: dict
  sample: {"www.example.com:443": B}
grade_after:
  description: For each endpoint the grade that is live now; in check mode and of a refusal that of the shadow.
  returned: always
  type: dict
  sample: {"www.example.com:443": A+}
rolled_back:
  description: Whether the switch was done and undone.
  returned: always
  type: bool
reason:
  description: Why the release was refused or the switch undone, else null.
  returned: always
  type: str
shadow:
  description: C(status) - V(measured), V(unavailable) or V(skipped) - and the C(reason).
  returned: always
  type: dict
removed_names:
  description: Names that were served and are not any more.
  returned: always
  type: list
  elements: str
restart_required:
  description: What the reload has not applied, such as changes to the unit, with the command that does.
  returned: always
  type: list
  elements: str
clients_shut_out:
  description: Well-known clients that could connect before and cannot any more.
  returned: always
  type: list
  elements: str
endpoints:
  description: What was measured of each endpoint, in short.
  returned: always
  type: list
  elements: dict
  contains:
    target:
      description: The endpoint - C(name) (C(server_name:port)), C(host), C(port), C(server_name), C(http_port).
      returned: always
      type: dict
    grade:
      description: Its grade.
      returned: always
      type: str
    grade_trust_ignored:
      description: Its grade if it were trusted, which O(minimum_grade) is compared with.
      returned: always
      type: str
    trusted:
      description: Whether its certificate is trusted.
      returned: always
      type: bool
    protocols:
      description: The protocols that it offers.
      returned: always
      type: list
      elements: str
    caps:
      description: What limits its grade.
      returned: always
      type: list
      elements: str
    hsts_max_age_seconds:
      description: The C(max-age) of its HSTS header, null without one.
      returned: always
      type: int
    negotiated_group:
      description: The named group that a current client gets.
      returned: always
      type: str
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.activate import (
    between_runs,
    confirm,
    switch,
    undo,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.prepare import prepare
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import Facts
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener, server_named
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.wanted import Wanted

GRADES = ["A+", "A", "A-", "B", "C", "D", "E", "F", "none"]


def _file_options() -> dict[str, Any]:
    return {
        "path": {"type": "str", "required": True},
        "content": {"type": "str"},
        "src": {"type": "path"},
        "remote_src": {"type": "path"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str", "default": "0644"},
        "sensitive": {"type": "bool", "default": False},
        "sha256": {"type": "str"},
    }


def _endpoint_options() -> dict[str, Any]:
    return {
        "server_name": {"type": "str", "required": True},
        "port": {"type": "int", "default": 443},
        "address": {"type": "str", "default": "127.0.0.1"},
        "name": {"type": "str"},
        "certificates": {"type": "list", "elements": "str", "default": []},
    }


def _argument_spec() -> dict[str, Any]:
    listener = {"address": {"type": "str", "required": True}, "port": {"type": "int", "required": True}}
    return {
        "server": {"type": "str", "choices": ["nginx", "apache", "haproxy"], "required": True},
        "files": {"type": "list", "elements": "dict", "default": [], "options": _file_options()},
        "endpoints": {"type": "list", "elements": "dict", "default": [], "options": _endpoint_options()},
        "listeners": {"type": "list", "elements": "dict", "default": [], "options": listener},
        "names": {"type": "list", "elements": "str", "default": []},
        "minimum_grade": {"type": "str", "choices": GRADES, "default": "A"},
        "ca_path": {"type": "path"},
        "take_over": {"type": "str", "choices": ["refuse", "keep", "replace"], "default": "refuse"},
        "removed_names": {"type": "list", "elements": "str", "default": []},
        "shadow": {"type": "str", "choices": ["auto", "required"], "default": "auto"},
        "keep_releases": {"type": "int", "default": 5},
        "confirm_timeout": {"type": "int", "default": 120},
        "allow_restart": {"type": "bool", "default": False},
        "release": {"type": "str"},
        "step": {"type": "str", "choices": ["prepare", "switch", "confirm", "undo"], "default": "prepare"},
        "archive": {"type": "path"},
        "expected_release": {"type": "str"},
    }


def _wanted(params: dict[str, Any]) -> Wanted:
    listeners = tuple(Listener(each["address"], each["port"]) for each in params["listeners"])
    return Wanted(
        files=tuple(params["files"]),
        archive=params["archive"],
        facts=Facts(tuple(params["names"]), listeners, tuple(params["endpoints"])),
        release=params["release"],
        expected=params["expected_release"],
        allow_restart=params["allow_restart"],
    )


def _run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Do one step, and return its result for the action plugin."""
    layout = Layout(server_named(params["server"]))
    if params["step"] == "prepare":
        with between_runs(layout) as lock:
            return prepare(layout, _wanted(params), lock, check_mode)
    with Lock(params["server"]) as lock:
        if params["step"] == "switch":
            return {"changed": True, **switch(layout, _wanted(params), params["confirm_timeout"], lock)}
        if params["step"] == "confirm":
            return {"changed": True, **confirm(layout, params["keep_releases"], lock, params["expected_release"])}
        return {"changed": True, **undo(layout, params["expected_release"], params["keep_releases"], lock)}


def main() -> None:
    """Do one step of what the action plugin leads."""
    module = AnsibleModule(
        argument_spec=_argument_spec(), supports_check_mode=True, mutually_exclusive=[("files", "release")]
    )
    for option, least in (("keep_releases", 1), ("confirm_timeout", 30)):
        if module.params[option] < least:
            module.fail_json(msg=f"{option}: {module.params[option]} is too small. Give at least {least}")
    if module.check_mode and module.params["step"] != "prepare":
        module.fail_json(msg=f"step: {module.params['step']} changes the host. In check mode, do prepare alone")
    if os.geteuid() != 0:
        module.fail_json(msg="webserver_config: it needs root on the host. Set become to true")
    try:
        result = _run(module.params, module.check_mode)
    except WebopsError as error:
        module.fail_json(msg=str(error))
    for text in result.pop("warnings", ()):
        module.warn(text)
    module.exit_json(**{"changed": False, **result})


if __name__ == "__main__":
    main()
