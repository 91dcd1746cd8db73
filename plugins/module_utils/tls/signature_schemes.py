# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Enumerate the signature schemes that a server signs its key exchange with (RFC 5246 7.4.1.4.1, RFC 8446 4.2.3).

TLS 1.2 shows the scheme in clear, so what was picked is taken away until the server refuses. TLS 1.3 shows it only
encrypted, so each scheme is offered alone: a server that has no key for it refuses before it encrypts anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Reply
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.together import Together, one_after_the_other

Question = Callable[["tuple[int, ...]"], Reply]

# PKCS #1 v1.5, SHA-1 and DSA sign certificates in TLS 1.3 at most, never the handshake (RFC 8446 4.2.3).
_NEVER_IN_TLS13 = frozenset(
    scheme
    for scheme, name in registry.SIGNATURE_SCHEMES.items()
    if "pkcs1" in name or name.startswith("dsa") or name.endswith(("sha1", "md5", "sha224"))
)


@dataclass
class Schemes:
    """The schemes that were accepted, and why they may not be all."""

    accepted: list[int] = field(default_factory=list)
    gap: str = ""


def by_removal(question: Question) -> Schemes:
    """Ask TLS 1.2 with suites that need a signature: one connection more than there are schemes."""
    found = Schemes()
    while True:
        offered = tuple(scheme for scheme in registry.SIGNATURE_SCHEMES if scheme not in found.accepted)
        if not offered:
            return found
        reply = question(offered)
        exchange = reply.flight.key_exchange if reply.flight else None
        if exchange is None or exchange.signature_scheme is None:
            found.gap = reply.reason if reply.flight is None else "an answer showed no signature scheme"
            return found
        if exchange.signature_scheme not in offered:
            found.gap = f"the server signed with 0x{exchange.signature_scheme:04X}, which was not offered"
            return found
        found.accepted.append(exchange.signature_scheme)


def one_by_one(question: Question, together: Together = one_after_the_other) -> Schemes:
    """Ask TLS 1.3 with a share of a group that is accepted: one connection for each scheme."""
    schemes = [scheme for scheme in registry.SIGNATURE_SCHEMES if scheme not in _NEVER_IN_TLS13]
    replies = together([functools.partial(question, (scheme,)) for scheme in schemes])
    found = Schemes()
    for scheme, reply in zip(schemes, replies):
        hello = reply.flight.server_hello if reply.flight else None
        if hello is not None and hello.version == registry.TLS13:
            found.accepted.append(scheme)
        elif not reply.refused:
            found.gap = found.gap or reply.reason or "the server answered with an older version"
    return found
