# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which vulnerabilities are probed at which level, and the findings of all probes of one endpoint.

``none`` and ``passive`` make no connection. ``active`` is what takes a handful of connections, ``deep`` adds what can
take tens of them. Nothing that is sent can crash a sound server or makes an unsound one show its memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import (
    ccs_injection,
    heartbleed,
    padding_oracles,
    renegotiation,
    robot,
    starttls_injection,
    ticketbleed,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import LEVELS, Finding

_NONE, _PASSIVE, ACTIVE, DEEP = LEVELS

Probe = Callable[[ProbeContext], Mapping[str, Finding]]
Task = Callable[[], Mapping[str, Finding]]


def _named(name: str, probe: Callable[[ProbeContext], Finding]) -> Probe:
    return lambda context: {name: probe(context)}


# What one version and one suite suffice for is asked as soon as these are known.
_OF_ONE_VERSION: Mapping[str, tuple[Probe, ...]] = MappingProxyType(
    {
        ACTIVE: (renegotiation.probe,),
    }
)
_OF_ALL_VERSIONS: Mapping[str, tuple[Probe, ...]] = MappingProxyType(
    {
        ACTIVE: (
            _named("ccs_injection", ccs_injection.probe),
            _named("heartbleed", heartbleed.probe),
            _named("ticketbleed", ticketbleed.probe),
            _named("starttls_injection", starttls_injection.probe),
        ),
        DEEP: (_named("robot", robot.probe), padding_oracles.probe),
    }
)


def of_one_version(context: ProbeContext, level: str) -> list[Task]:
    """Return the probes of a level that need no more than one version and suite, to be run in any order."""
    return _tasks(_OF_ONE_VERSION, context, level)


def of_all_versions(context: ProbeContext, level: str) -> list[Task]:
    """Return the probes of a level that need all that the server accepts, to be run in any order."""
    return _tasks(_OF_ALL_VERSIONS, context, level)


def _tasks(probes: Mapping[str, tuple[Probe, ...]], context: ProbeContext, level: str) -> list[Task]:
    levels = LEVELS[: LEVELS.index(level) + 1]
    return [functools.partial(probe, context) for each in levels for probe in probes.get(each, ())]
