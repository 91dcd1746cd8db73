# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ClientHellos that a scan sends, as bytes: what each kind of question has in it."""

from __future__ import annotations

import os

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry, wire

# Public values that are valid without a private key of ours: the generators of the curves (SEC 2, RFC 7748 4.1, 4.2).
# The server computes with them what nobody needs.
_GENERATORS: dict[int, bytes] = {
    0x001D: b"\x09" + bytes(31),
    0x0017: bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    ),
    0x0018: bytes.fromhex(
        "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
        "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"
    ),
}

# Deflate first: a server that can compress says so (RFC 3749).
_COMPRESSION = (1, 0)


def up_to_tls12(
    server_name: str | None,
    version: int,
    suites: tuple[int, ...],
    groups: tuple[int, ...] = registry.TLS12_GROUPS,
    schemes: tuple[int, ...] = tuple(registry.SIGNATURE_SCHEMES),
) -> bytes:
    """Return a hello of TLS 1.0 to 1.2, or of SSL 3.0, which has no extensions.

    It offers whatever the server might agree to, so that one answer tells many facts: compression, heartbeat, secure
    renegotiation, tickets, extended master secret, encrypt-then-MAC.
    """
    extensions: list[tuple[int, bytes]] = []
    if version >= registry.TLS10:
        if server_name:
            extensions.append(wire.server_name(server_name))
        extensions += [wire.EXTENDED_MASTER_SECRET, wire.RENEGOTIATION_INFO, wire.supported_groups(groups)]
        extensions += [wire.EC_POINT_FORMATS, wire.SESSION_TICKET, wire.ENCRYPT_THEN_MAC]
        if version >= registry.TLS12:
            extensions.append(wire.signature_algorithms(schemes))
        extensions.append(wire.HEARTBEAT)
    hello = wire.ClientHello(version, suites, os.urandom(32), tuple(extensions), compression_methods=_COMPRESSION)
    return wire.encode_client_hello(hello)


def tls13(
    server_name: str | None,
    suites: tuple[int, ...],
    groups: tuple[int, ...],
    schemes: tuple[int, ...] = tuple(registry.SIGNATURE_SCHEMES),
    share_of: int | None = None,
) -> bytes:
    """Return a hello that offers TLS 1.3 alone.

    Without ``share_of`` it has no key share: the server names the group it wants in a HelloRetryRequest, and neither
    side computes anything. With a group of :func:`can_share` it goes on to the ServerHello.
    """
    extensions = [wire.server_name(server_name)] if server_name else []
    shares = ((share_of, _GENERATORS[share_of]),) if share_of is not None else ()
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


def can_share(group: int) -> bool:
    """Whether :func:`tls13` has a key share of this group."""
    return group in _GENERATORS
