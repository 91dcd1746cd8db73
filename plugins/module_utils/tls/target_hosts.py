# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which targets are on known hosts, so that what is for one's own servers alone is not sent to others."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import parse_target


def is_on(target: object, hosts: Iterable[str]) -> bool:
    """Whether the host of a target, in any of the forms that a person writes, is one of ``hosts``.

    ``hosts`` are names and addresses. Nothing is resolved: a name that merely leads to a known address may be anybody's
    tomorrow. A target that cannot be read is on none of them.
    """
    try:
        host = parse_target(target).host
    except InvalidInputError:
        return False
    return _comparable(host) in {_comparable(name) for name in hosts}


# A list of a thousand targets is held against a thousand hosts, one target at a time.
@functools.lru_cache(maxsize=16384)
def _comparable(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.rstrip(".").lower()
