# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Relations between packages, and versions, as dpkg reads them (deb-control(5), deb-version(7))."""

from __future__ import annotations

import re

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands

_SECONDS = 60
_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?"
    r"(?: *\((?P<relation><<|<=|=|>=|>>) *(?P<version>[0-9][0-9A-Za-z.+~:-]*)\))?"
)


def relations(field: str) -> list[tuple[str, str, str]]:
    """Return name, relation and version of each alternative in a field; the last two are empty where it has none."""
    matches = [_RELATION.fullmatch(each.strip()) for each in re.split(r"[,|]", field)]
    return [(each["name"], each["relation"] or "", each["version"] or "") for each in matches if each is not None]


def read_field(path: str, name: str) -> str:
    """Return a field of a .deb, empty where it has none. Raises `MeasurementError`."""
    done = commands.run(["dpkg-deb", "--field", path, name], _SECONDS)
    return done.stdout.decode("utf-8", "replace")


def compares(version: str, relation: str, other: str) -> bool:
    """Let dpkg compare versions, with a relation of deb-control(5); `False` where it cannot."""
    try:
        return commands.run(["dpkg", "--compare-versions", version, relation, other], _SECONDS).status == 0
    except MeasurementError:
        return False


def has_named(field: str, name: str, version: str) -> bool:
    """Tell whether a field names a package in a version."""
    named = [(relation, other) for each, relation, other in relations(field) if each == name]
    return any(not relation or compares(version, relation, other) for relation, other in named)
