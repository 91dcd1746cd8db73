# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: systemd undoes a switch by itself, unless somebody who is content with it comes and says so in time.

Source: systemd-run(1), systemd.timer(5), tmpfiles.d(5). It must survive the death of everything else, so it is a script
that is handed to systemd whole, and needs nothing but ln, mv and systemctl. A host that is restarted in between forgets
its timers; there a line of tmpfiles.d puts the link back while the host boots, before any server starts.
"""

from __future__ import annotations

import time
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import ReleaseFile
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import run
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import (
    Layout,
    StagingError,
    remove_file,
    replace_file,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.unit import control

# $1 is our directory, $2 the release to go back to, $3 the unit, $4 what to tell it. A reload that fails is followed by
# a restart: by then nothing else is left to try.
_SCRIPT = """\
ln -sfn "releases/$2" "$1/.way-back" && mv -fT "$1/.way-back" "$1/current" || exit 1
systemctl "$4" "$3" || [ "$4" = stop ] || systemctl restart "$3"
"""
# L+ makes a link whatever is there, in one rename; the exclamation mark says: while the host boots, and never else.
_AT_BOOT = """\
# Release {release} of {server} is what to serve, unless the one that was switched to is confirmed.
L+! {link} - - - - releases/{release}
"""
_PATIENCE_SECONDS = 100.0
_PAUSE_SECONDS = 0.2


def _name(layout: Layout) -> str:
    return f"ringmaster-{layout.server.name}-way-back"


def _boot_file(layout: Layout) -> Path:
    """Return where the way back of a host that is restarted is written."""
    return layout.at(f"/etc/tmpfiles.d/{_name(layout)}.conf")


def means(was_active: bool, restart: bool) -> str:
    """Return what a unit is to be told on the way back: a socket that a restart moves is moved back by none but one."""
    if not was_active:
        return "stop"
    return "restart" if restart else "reload"


def arm(layout: Layout, release: str, verb: str, timeout_seconds: int) -> None:
    """Have systemd go back to a release after a time, or when the host is restarted before.

    ``verb`` is what ``systemctl`` then tells the unit: one of :func:`means`. Raises StagingError where systemd cannot
    be asked to.
    """
    name = _name(layout)
    line = _AT_BOOT.format(release=release, server=layout.server.name, link=layout.current_path)
    replace_file(_boot_file(layout), ReleaseFile("", line.encode()))
    output = run(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={name}",
            f"--description=Go back to release {release} of {layout.server.name}",
            f"--on-active={timeout_seconds}s",
            "--timer-property=AccuracySec=1s",
            "/bin/sh",
            "-c",
            _SCRIPT,
            name,
            str(layout.directory),
            release,
            layout.server.unit,
            verb,
        ]
    )
    if output.status != 0:
        remove_file(_boot_file(layout))
        said = (output.stderr or output.stdout).strip()
        raise StagingError(f"{name}.timer", f"the way back cannot be armed ({said})", "Nothing was switched: run again")


def is_armed(layout: Layout) -> bool:
    """Whether a way back waits for its time, or is being gone."""
    return any(_is_active(f"{_name(layout)}.{kind}") for kind in ("timer", "service"))


def _is_active(unit: str) -> bool:
    return run(["systemctl", "is-active", unit]).stdout.strip() in ("active", "activating", "deactivating")


def disarm(layout: Layout) -> None:
    """Stop the clock; where the way back is being gone already, wait until it was. No way back is fine too.

    Raises MeasurementError where the clock goes on, or the way back does not come to an end, and StagingError where
    that of a restarted host cannot be removed.
    """
    name = _name(layout)
    said = control("stop", f"{name}.timer")
    if said is not None and _is_active(f"{name}.timer"):
        raise MeasurementError(
            f"{name}.timer", f"it cannot be stopped ({said})", f"Look at systemctl status {name}.timer"
        )
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _is_active(f"{name}.service"):
        if time.monotonic() > deadline:
            raise MeasurementError(f"{name}.service", "it does not come to an end", f"Look at systemctl status {name}")
        time.sleep(_PAUSE_SECONDS)
    remove_file(_boot_file(layout))
