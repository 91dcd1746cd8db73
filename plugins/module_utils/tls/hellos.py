# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ClientHellos that a scan sends, as bytes: what each kind of question has in it."""

from __future__ import annotations

import os

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import key_shares, registry, wire

# What is offered to a web server (RFC 7301 6, RFC 9113 3.2).
ALPN_PROTOCOLS = ("h2", "http/1.1")
# Deflate first: a server that can compress says so (RFC 3749).
_COMPRESSION = (1, 0)


def up_to_tls12(
    server_name: str | None,
    version: int,
    suites: tuple[int, ...],
    groups: tuple[int, ...] = registry.TLS12_GROUPS,
    schemes: tuple[int, ...] = tuple(registry.SIGNATURE_SCHEMES),
    protocols: tuple[str, ...] = (),
) -> bytes:
    """Return a hello of TLS 1.0 to 1.2, or of SSL 3.0, which has no extensions.

    It offers whatever the server might agree to, so that one answer tells many facts: compression, heartbeat, secure
    renegotiation, tickets, extended master secret, encrypt-then-MAC, a stapled OCSP response, certificate timestamps.
    ``protocols`` are offered by ALPN: not in every hello, since a server that knows none of them refuses all of it.
    """
    extensions: list[tuple[int, bytes]] = []
    if version >= registry.TLS10:
        if server_name:
            extensions.append(wire.server_name(server_name))
        extensions += [wire.EXTENDED_MASTER_SECRET, wire.RENEGOTIATION_INFO, wire.supported_groups(groups)]
        extensions += [wire.EC_POINT_FORMATS, wire.SESSION_TICKET, wire.ENCRYPT_THEN_MAC]
        if version >= registry.TLS12:
            extensions.append(wire.signature_algorithms(schemes))
        extensions += [wire.HEARTBEAT, wire.STATUS_REQUEST, wire.SIGNED_CERTIFICATE_TIMESTAMP]
        if protocols:
            extensions.append(wire.alpn(protocols))
    hello = wire.ClientHello(version, suites, os.urandom(32), tuple(extensions), compression_methods=_COMPRESSION)
    return wire.encode_client_hello(hello)


def tls13(
    server_name: str | None,
    suites: tuple[int, ...],
    groups: tuple[int, ...],
    schemes: tuple[int, ...] = tuple(registry.SIGNATURE_SCHEMES),
    shared: tuple[int, ...] = (),
) -> bytes:
    """Return a hello that offers TLS 1.3 alone.

    Without ``shared`` groups it has no key share: the server names the group it wants in a HelloRetryRequest, and
    neither side computes anything. With a share of a group that it accepts the server goes on to the ServerHello.
    """
    extensions = [wire.server_name(server_name)] if server_name else []
    values = ((group, key_shares.public_value(group)) for group in shared)
    shares = tuple((group, value) for group, value in values if value is not None)
    extensions += [
        wire.supported_versions((registry.TLS13,)),
        wire.supported_groups(groups),
        wire.signature_algorithms(schemes),
        wire.key_share(shares),
    ]
    # A session id of 32 bytes makes it look like TLS 1.2 to what stands between (RFC 8446 D.4).
    hello = wire.ClientHello(registry.TLS12, suites, os.urandom(32), tuple(extensions), session_id=os.urandom(32))
    return wire.encode_client_hello(hello)


def any_version(server_name: str | None = None) -> bytes:
    """Return one hello that every TLS server from 1.0 to 1.3 understands: it asks only whether TLS is spoken."""
    suites = registry.TLS13_CIPHER_SUITES[:4] + registry.suites_for_version(registry.TLS12)[:56]
    extensions = [wire.server_name(server_name)] if server_name else []
    extensions += [
        wire.supported_versions((registry.TLS13, registry.TLS12, registry.TLS11, registry.TLS10)),
        wire.supported_groups((0x001D, 0x0017, 0x0018, 0x0019)),
        wire.EC_POINT_FORMATS,
        wire.signature_algorithms(tuple(registry.SIGNATURE_SCHEMES)),
        wire.key_share(()),
    ]
    hello = wire.ClientHello(registry.TLS12, suites, os.urandom(32), tuple(extensions), session_id=os.urandom(32))
    return wire.encode_client_hello(hello)


def sslv2() -> bytes:
    """Return an SSL 2.0 hello."""
    return wire.encode_sslv2_hello(os.urandom(16))
