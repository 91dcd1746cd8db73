# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the first flights of a server tell beside the suite: extensions, parameters, kinds of keys, and what is missing.

A flight comes with the name of its protocol. Certificates are not parsed here: what a scan must know of a key to go on
is looked up in the DER by object identifier.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import dh_primes, registry, wire

NamedFlights = Iterable[tuple[str, wire.Flight]]

_RENEGOTIATION_INFO = 65281
_EXTENDED_MASTER_SECRET = 23

# The end of a ServerHello's random (RFC 8446 4.1.3): "this server could do better", by the version that it answers.
_SENTINELS: dict[int, bytes] = {
    registry.TLS12: b"DOWNGRD\x01",
    registry.TLS11: b"DOWNGRD\x00",
    registry.TLS10: b"DOWNGRD\x00",
}

_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_RSA_PUBLIC_KEY = bytes.fromhex("06092a864886f70d010101")
_CURVES: dict[bytes, int] = {
    bytes.fromhex("06082a8648ce3d030107"): 0x0017,
    bytes.fromhex("06052b81040022"): 0x0018,
    bytes.fromhex("06052b81040023"): 0x0019,
}


def _hellos(flights: NamedFlights) -> list[tuple[str, wire.ServerHello]]:
    """Return the ServerHellos to hellos with extensions: SSL 3.0 is asked without, so its answers tell nothing."""
    return [(name, flight.server_hello) for name, flight in flights if flight.server_hello and name != "SSLv3"]


def extensions(flights: NamedFlights) -> dict[str, list[str]]:
    """Return for each protocol the names of the extensions that the server echoed in any answer."""
    found: dict[str, list[str]] = {}
    for name, hello in _hellos(flights):
        seen = found.setdefault(name, [])
        seen += [text for text in map(registry.extension_name, hello.extensions) if text not in seen]
    return found


def disagreeing(flights: NamedFlights) -> list[str]:
    """Return the protocols in whose answers an extension comes and goes that a server always echoes, or never.

    These are extended master secret and renegotiation_info: there is more than one kind of server.
    """
    answers: dict[str, set[tuple[bool, bool]]] = {}
    for name, hello in _hellos(flights):
        echoed = _EXTENDED_MASTER_SECRET in hello.extensions, _RENEGOTIATION_INFO in hello.extensions
        answers.setdefault(name, set()).add(echoed)
    return [name for name, seen in answers.items() if len(seen) > 1]


def always_extended_master_secret(flights: NamedFlights) -> bool:
    """Return whether every answer up to TLS 1.2 agrees to an extended master secret; SSL 3.0 never does."""
    answers = [flight.server_hello for _name, flight in flights if flight.server_hello]
    return bool(answers) and all(_EXTENDED_MASTER_SECRET in hello.extensions for hello in answers)


def compression(flights: NamedFlights) -> bool | None:
    """Return whether a server compresses; ``None`` without an answer."""
    chosen = [flight.server_hello.compression_method for _name, flight in flights if flight.server_hello]
    return any(chosen) if chosen else None


def secure_renegotiation(flights: NamedFlights) -> bool | None:
    """Return whether every answer knows RFC 5746; ``None`` without an answer."""
    answers = [_RENEGOTIATION_INFO in hello.extensions for _name, hello in _hellos(flights)]
    return all(answers) if answers else None


def dh_parameters(flights: NamedFlights) -> list[dict[str, object]]:
    """Return the finite field parameters, each once."""
    found: list[dict[str, object]] = []
    for name, flight in flights:
        exchange = flight.key_exchange
        if exchange is None or exchange.dh_prime_bits is None:
            continue
        entry: dict[str, object] = {
            "protocol": name,
            "bits": exchange.dh_prime_bits,
            "prime_sha256": exchange.dh_prime_sha256,
            "known_prime": dh_primes.name_of(exchange.dh_prime_sha256 or ""),
        }
        if entry not in found:
            found.append(entry)
    return found


def key_reuse(flights: NamedFlights) -> dict[str, bool | None]:
    """Return for ``DHE`` and ``ECDHE`` whether a public value came twice; ``None`` with fewer than two to compare."""
    seen: dict[str, list[str]] = {"DHE": [], "ECDHE": []}
    for _name, flight in flights:
        exchange = flight.key_exchange
        if exchange is not None and exchange.public_sha256 is not None:
            seen["DHE" if exchange.dh_prime_bits is not None else "ECDHE"].append(exchange.public_sha256)
    return {name: len(set(values)) < len(values) if len(values) > 1 else None for name, values in seen.items()}


def signature_schemes(flights: NamedFlights) -> dict[str, list[int]]:
    """Return for each protocol with such numbers the signature schemes that key exchanges were signed with."""
    found: dict[str, list[int]] = {}
    for name, flight in flights:
        scheme = flight.key_exchange.signature_scheme if flight.key_exchange else None
        if scheme is not None and scheme not in found.setdefault(name, []):
            found[name].append(scheme)
    return found


def client_certificate(flights: NamedFlights, requested_in_tls13: bool | None) -> str:
    """Return ``requested``, ``not_requested`` or, without any complete answer, ``not_tested``.

    TLS 1.3 asks for it encrypted, so it is told of that what a handshake of it showed, if there was one.
    """
    asked = [
        flight.client_certificate_requested
        for _name, flight in flights
        if flight.complete or flight.client_certificate_requested
    ]
    if requested_in_tls13 is not None:
        asked.append(requested_in_tls13)
    return "not_tested" if not asked else "requested" if any(asked) else "not_requested"


def downgrade_sentinel(flights: NamedFlights, offers_tls13: bool) -> str:
    """Return whether a server that could do TLS 1.3 says so whenever it is asked for less (RFC 8446 4.1.3)."""
    answers = [
        hello.random.endswith(_SENTINELS[hello.version])
        for _name, hello in _hellos(flights)
        if hello.version in _SENTINELS
    ]
    if not offers_tls13 or not answers:
        return "not_applicable"
    return "present" if all(answers) else "missing"


def versions_above(flights: NamedFlights, accepted: Collection[int]) -> set[int]:
    """Return the versions of which answers say that the server has one of them, where none is among the accepted."""
    found: set[int] = set()
    for _name, hello in _hellos(flights):
        if hello.version in _SENTINELS and hello.random.endswith(_SENTINELS[hello.version]):
            # The sentinel of old versions is that of a server of TLS 1.2 too.
            above = {registry.TLS13} if hello.version == registry.TLS12 else {registry.TLS13, registry.TLS12}
            found |= above if above.isdisjoint(accepted) else set()
    return found


def left_out(name: str, flight: wire.Flight) -> list[str]:
    """Return the facts that a flight up to TLS 1.2 should have shown and does not, since it broke off."""
    hello = flight.server_hello
    if hello is None:
        return []
    suite, exchange = registry.cipher_suite(hello.cipher_suite), flight.key_exchange
    facts = []
    if suite.authentication in ("RSA", "DSS", "ECDSA") and not flight.certificates:
        facts.append(f"certificates.{name}")
    if suite.key_exchange == "ECDHE" and (exchange is None or exchange.group is None):
        facts.append(f"groups.{name}")
    if suite.key_exchange == "DHE" and (exchange is None or exchange.dh_prime_bits is None):
        facts.append(f"dh_parameters.{name}")
    return facts


def key_type(der: bytes) -> str:
    """Return ``RSA`` or ``ECDSA`` for a certificate with such a key (RFC 3279 2.3), else ``other``."""
    return "ECDSA" if _EC_PUBLIC_KEY in der else "RSA" if _RSA_PUBLIC_KEY in der else "other"


def certificate_curves(der: bytes) -> set[int]:
    """Return the named group of a certificate's elliptic curve key, as a set of at most one (RFC 5480 2.1.1)."""
    place = der.find(_EC_PUBLIC_KEY)
    if place < 0:
        return set()
    parameters = der[place + len(_EC_PUBLIC_KEY) :]
    return {group for oid, group in _CURVES.items() if parameters.startswith(oid)} or {0x0017}
