# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintainer scripts that start, stop and restart no service.

``SYSTEMD_OFFLINE`` in their environment (systemd, ENVIRONMENT) silences systemctl and what is built on it. But
``invoke-rc.d`` runs a script of /etc/init.d itself for an action that systemd does not know, such as the ``upgrade`` of
nginx, which exchanges all its processes (measured), and for every action where another init runs. So the commands by
which maintainer scripts do these things (Debian policy, section 9.3.3) are found as ones that do nothing, in a
directory that only this one dpkg has in its ``PATH``: whoever is killed leaves nothing that has an effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.work_directory import WorkDirectory

#: dpkg runs maintainer scripts from /var/lib, so that programs may be run from there (unlike from /var/tmp or /run).
PARENT = "/var/lib/ringmaster"
COMMANDS = ("invoke-rc.d", "deb-systemd-invoke", "service", "rc-service")

#: Answers as invoke-rc.d does where a policy forbids everything: 4 is a status that nobody knows.
_SCRIPT = """#!/bin/sh
words=0
for word; do
    case $word in
        -*) ;;
        *) words=$((words + 1)); if [ "$words" = 2 ] && [ "$word" = status ]; then exit 4; fi ;;
    esac
done
exit 0
"""


class Silence(NamedTuple):
    """What dpkg is to be given: variables of its environment, and descriptors that it must inherit."""

    environment: dict[str, str]
    to_inherit: tuple[int, ...]


@contextlib.contextmanager
def silent_services(parent: str = PARENT) -> Iterator[Silence]:
    """Have the commands that do nothing, for as long as this and whoever inherits from it lives. Raises `OSError`."""
    Path(parent).mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = WorkDirectory(parent)
    try:
        for name in COMMANDS:
            path = directory.path / name
            path.write_text(_SCRIPT)
            path.chmod(0o755)
        path_variable = f"{directory.path}:{commands.PATH}"
        yield Silence({"SYSTEMD_OFFLINE": "1", "PATH": path_variable}, (directory.descriptor,))
    finally:
        directory.close()
