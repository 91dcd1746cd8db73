# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which well-known clients can connect to an endpoint, and what they negotiate: a pure function of its facts.

The highest common version counts; in it the server's order of cipher suites or the client's, and only a suite that a
common group and a certificate of the server can serve. What the server picked, the client may still refuse.

Not modelled: trust in the certificate, its signature and its names (a client that sends no name may be shown another
certificate; that is a matter of names), the size of RSA keys, clients that try again with an older version, ALPN, and
whether a server reads the hello in the form of SSL 2.0 that Java 6 sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.client_table import CLIENTS, Client
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.registry import CipherSuite

_SERVER = "server"
_CLIENT = "client"
_WITHOUT_NAME = "certificates.without_server_name"
_ABOUT_CHAINS = ("certificates.chain", "certificates.issuers")

# The signature schemes of a kind of key up to TLS 1.2 (RFC 5246 7.4.1.4.1, RFC 8446 4.2.3, RFC 8422 5.10).
_SCHEMES12: dict[str, frozenset[int]] = {
    "RSA": frozenset((0x0101, 0x0201, 0x0301, 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806)),
    "ECDSA": frozenset((0x0203, 0x0303, 0x0403, 0x0503, 0x0603)),
    "Ed25519": frozenset((0x0807,)),
    "Ed448": frozenset((0x0808,)),
    "DSA": frozenset((0x0202, 0x0302, 0x0402, 0x0502, 0x0602)),
}
# In TLS 1.3 a scheme fixes the curve of the key too (RFC 8446 4.2.3, RFC 8734).
_SCHEMES13: dict[str, frozenset[int]] = {
    "RSA": frozenset((0x0804, 0x0805, 0x0806)),
    "secp256r1": frozenset((0x0403,)),
    "secp384r1": frozenset((0x0503,)),
    "secp521r1": frozenset((0x0603,)),
    "brainpoolP256r1": frozenset((0x081A,)),
    "brainpoolP384r1": frozenset((0x081B,)),
    "brainpoolP512r1": frozenset((0x081C,)),
    "Ed25519": frozenset((0x0807,)),
    "Ed448": frozenset((0x0808,)),
}
# The keys that a suite's authentication can be done with (RFC 5246 7.4.2, RFC 8422 5.3).
_KEY_TYPES: dict[str, tuple[str, ...]] = {"RSA": ("RSA",), "ECDSA": ("ECDSA", "Ed25519", "Ed448"), "DSS": ("DSA",)}
_GROUP_NUMBERS: dict[str, int] = {group.name: group.id for group in registry.GROUPS.values()}


class _Answer(NamedTuple):
    """Yes, no, or (``None``) not known; the latter two say why."""

    yes: bool | None
    why: str = ""


_YES = _Answer(True)


@dataclass(frozen=True)
class _Key:
    """The key of a certificate: its type, its curve if it has one, and whether it came when a name was sent."""

    key_type: str
    curve: str | None
    name_sent: bool


@dataclass(frozen=True)
class _Server:
    """The facts that decide; the keys are names of protocols, the suites and groups are in the order found.

    ``groups`` are (number, the protocols that showed it), ``not_tested`` is fact -> reason.
    """

    protocols: Mapping[str, str]
    suites: Mapping[str, tuple[int, ...]]
    preference: Mapping[str, str]
    chacha20_priority: bool | None
    groups: tuple[tuple[int, frozenset[str]], ...]
    groups_preference: Mapping[str, str]
    dh_bits: Mapping[str, frozenset[int]]
    keys: tuple[_Key, ...]
    secure_renegotiation: bool | None
    server_name_required: bool | None
    not_tested: Mapping[str, str]


@dataclass(frozen=True)
class _Outcome:
    """What becomes of one client's attempt; ``suites`` has more than one entry where it is not known which it is."""

    connects: bool | None
    version: int | None = None
    suites: tuple[CipherSuite, ...] = ()
    group: int | None = None
    reason: str = ""

    def as_dict(self, client: Client) -> dict[str, object]:
        """Return the entry of a client as it stands in a result."""
        decided = len(self.suites) == 1
        return {
            "name": client.name,
            "reference": client.reference,
            "connects": self.connects,
            "protocol": None if self.version is None else registry.VERSION_NAMES[self.version],
            "cipher_suite": self.suites[0].name if decided else None,
            "possible_cipher_suites": [] if decided else [suite.name for suite in self.suites],
            "group": None if self.group is None else registry.named_group(self.group).name,
            "reason": self.reason or None,
        }


def simulate(facts: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return for each client of :data:`client_table.CLIENTS` whether it connects, and what it negotiates.

    ``facts`` is the result of one endpoint (certificates parsed). An entry has ``name``, ``reference`` (whether it is
    one of the clients whose negotiations the grade looks at), ``connects`` (``None`` where the facts do not tell),
    ``protocol``, ``cipher_suite`` or, where it is not known which of several, ``possible_cipher_suites``, ``group``
    (``None`` without one, or where it is not known which), and ``reason``: why it does not connect, or why something is
    not known. Nothing is negotiated where ``connects`` is ``False``; where it is ``None`` that is what would be.
    """
    server = _server(facts)
    return [_attempt(client, server).as_dict(client) for client in CLIENTS]


def _server(facts: Mapping[str, Any]) -> _Server:
    dh_bits: dict[str, set[int]] = {}
    for entry in facts["dh_parameters"]:
        dh_bits.setdefault(entry["protocol"], set()).add(entry["bits"])
    return _Server(
        protocols={entry["name"]: entry["status"] for entry in facts["protocols"]},
        suites={name: tuple(int(suite["id"], 16) for suite in found) for name, found in facts["cipher_suites"].items()},
        preference=facts["preference"],
        chacha20_priority=facts["chacha20_priority"],
        groups=tuple((int(group["id"], 16), frozenset(group["protocols"])) for group in facts["groups"]),
        groups_preference=facts["groups_preference"],
        dh_bits={name: frozenset(bits) for name, bits in dh_bits.items()},
        keys=tuple(
            _Key(entry["leaf"].get("key_type", ""), entry["leaf"].get("curve"), bool(entry["server_name_sent"]))
            for entry in facts["certificates"]
        ),
        secure_renegotiation=facts["renegotiation"]["secure"],
        server_name_required=facts["server_name_required"],
        not_tested={entry["fact"]: entry["reason"] for entry in facts["not_tested"]},
    )


def _attempt(client: Client, server: _Server) -> _Outcome:
    offered = [version for version in client.versions if _status(server, version) != "not_offered"]
    if not offered:
        return _Outcome(False, reason=_no_common_protocol(client, server))
    if server.server_name_required and not client.server_name:
        return _Outcome(False, reason="the server refuses a client that sends no server name")
    version = offered[0]
    name = registry.VERSION_NAMES[version]
    if _status(server, version) != "offered":
        why = server.not_tested.get(f"protocols.{name}", "it was not tested")
        return _Outcome(None, reason=f"it is not known whether the server offers {name}: {why}")
    return _Attempt(client, server, version).outcome()


def _status(server: _Server, version: int) -> str:
    return server.protocols.get(registry.VERSION_NAMES[version], "not_tested")


def _no_common_protocol(client: Client, server: _Server) -> str:
    spoken = ", ".join(registry.VERSION_NAMES[version] for version in client.versions)
    offered = ", ".join(name for name, status in server.protocols.items() if status == "offered") or "none"
    return f"no common protocol: the client speaks {spoken}, the server {offered}"


class _Attempt:
    """One client's attempt in the version that is negotiated."""

    def __init__(self, client: Client, server: _Server, version: int) -> None:
        """Prepare the attempt in a version that both offer."""
        self._client = client
        self._server = server
        self._version = version
        self._name = registry.VERSION_NAMES[version]
        self._is_tls13 = version == registry.TLS13
        self._suites = tuple(
            number for number in client.cipher_suites if (number in registry.TLS13_CIPHER_SUITES) == self._is_tls13
        )
        self._gap = server.not_tested.get(f"cipher_suites.{self._name}")
        self._groups = self._common_groups()
        self._answers = {number: self._usable(registry.cipher_suite(number)) for number in self._suites}

    def outcome(self) -> _Outcome:
        """Return what becomes of the attempt."""
        picks = self._picks()
        if not picks:
            return _Outcome(False, reason=self._why_no_suite())
        suites = tuple(registry.cipher_suite(number) for number in picks)
        answers = [self._accepted(suite) for suite in suites]
        if all(answer.yes is False for answer in answers):
            return _Outcome(False, reason=answers[0].why)
        found = any(self._answers[number].yes for number in picks)
        answers += [] if found else [self._answers[number] for number in picks]
        connects = True if found and all(answer.yes for answer in answers) else None
        group, no_group = self._group_of(suites)
        reasons = [answer.why for answer in answers] if connects is None else []
        reasons += [self._why_undecided()] if len(suites) > 1 else [no_group]
        return _Outcome(connects, self._version, suites, group, "; ".join(filter(None, dict.fromkeys(reasons))))

    # --- which suite

    def _picks(self) -> list[int]:
        """Return the suite that the server picks; several where it is not known which."""
        preference = self._server.preference.get(self._name)
        picks: list[int] = []
        if preference != _SERVER:
            picks += self._first_usable(self._suites)
        if preference != _CLIENT and self._gap:  # what is not known of the list may stand anywhere in it
            picks += [number for number in self._suites if self._answers[number].yes is not False]
        elif preference != _CLIENT:
            for order in self._server_orders():
                picks += self._first_usable(order)
        return list(dict.fromkeys(picks))

    def _first_usable(self, order: Iterable[int]) -> list[int]:
        """Return the first suite of an order that can be used, after those of which that is not known."""
        found = []
        for number in order:
            answer = self._answers.get(number)
            if answer is None or answer.yes is False:
                continue
            found.append(number)
            if answer.yes:
                break
        return found

    def _server_orders(self) -> list[tuple[int, ...]]:
        """Return the server's order; two where it is not known whether it puts ChaCha20 first for this client.

        Such a server does so for a client that puts it first: one without hardware for AES.
        """
        order = self._server.suites.get(self._name, ())
        if not _is_chacha20(self._client.cipher_suites[0]):
            return [order]
        promoted = tuple(sorted(order, key=lambda number: not _is_chacha20(number)))
        if self._server.chacha20_priority is None:
            return [order, promoted]
        return [promoted if self._server.chacha20_priority else order]

    def _usable(self, suite: CipherSuite) -> _Answer:
        """Whether the server can take this suite of the client's."""
        if suite.id not in self._server.suites.get(self._name, ()):
            return _Answer(None, self._why_too_short()) if self._gap else _Answer(False)
        answers = [self._certified(suite)]
        if suite.key_exchange in ("ECDHE", "any"):
            answers.append(self._has_group())
        return _weakest(answers)

    def _why_too_short(self) -> str:
        return f"the list of cipher suites may be too short: {self._gap}"

    def _why_no_suite(self) -> str:
        reasons = [answer.why for answer in self._answers.values() if answer.why]
        return reasons[0] if reasons else f"no common cipher suite in {self._name}"

    def _why_undecided(self) -> str:
        unknown = [answer.why for answer in self._answers.values() if answer.yes is None]
        if unknown:
            return unknown[0]
        if self._server.preference.get(self._name) == _SERVER:
            return "it is not known whether the server puts ChaCha20 first for a client that does"
        why = self._server.not_tested.get(f"preference.{self._name}", "it was not tested")
        return f"it is not known whose order of cipher suites decides: {why}"

    # --- which certificate

    def _certified(self, suite: CipherSuite) -> _Answer:
        """Whether the server has a certificate for a suite that the client can use."""
        shown = self._keys()
        if shown is None:
            return _Answer(None, "it is not known which certificate a client is shown that sends no name")
        if self._is_tls13:
            return self._any_of(shown)
        # With ECDH the key in the certificate is what is exchanged, whoever signed it.
        types = ("ECDSA",) if suite.key_exchange == "ECDH" else _KEY_TYPES.get(suite.authentication, ())
        keys = [key for key in shown if key.key_type in types]
        shown_all = self._client.server_name or len({key.name_sent for key in self._server.keys}) < 2
        if shown_all and not keys and "ECDSA" not in types:
            return _YES  # the server accepted the suite, so it has the key, and any RSA key will do
        return self._any_of(keys)

    def _any_of(self, keys: Sequence[_Key]) -> _Answer:
        answers = [self._takes_key(key) for key in keys]
        if any(answer.yes for answer in answers):
            return _YES
        gap = self._certificates_gap()
        if answers and gap is None:
            return _weakest(answers)
        return _Answer(None, f"not every certificate of the server is known: {gap or 'none of such a key was shown'}")

    def _keys(self) -> Sequence[_Key] | None:
        """Return the keys that are shown to this client, ``None`` where that is not known.

        A client that sends no name is shown what came without one. Of several kinds of keys the scan was shown one: a
        server need not have the others for such a client.
        """
        with_name = [key for key in self._server.keys if key.name_sent]
        without_name = [key for key in self._server.keys if not key.name_sent]
        if self._client.server_name or not with_name:
            return with_name or without_name
        if without_name:
            return without_name
        kinds = {key.key_type for key in with_name}
        return None if len(kinds) > 1 or _WITHOUT_NAME in self._server.not_tested else with_name

    def _certificates_gap(self) -> str | None:
        """Return why the server may have a key that was not seen, or ``None``; chains are no matter here."""
        beside = _ABOUT_CHAINS + ((_WITHOUT_NAME,) if self._client.server_name else ())
        gaps = [fact for fact in self._server.not_tested if fact.startswith("certificates") and fact not in beside]
        return self._server.not_tested[gaps[0]] if gaps else None

    def _takes_key(self, key: _Key) -> _Answer:
        """Whether the client can use a certificate with a key, in this version."""
        if key.key_type not in _SCHEMES12 or (key.key_type == "ECDSA" and key.curve is None):
            return _Answer(None, "the key of the certificate is not known")
        if self._is_tls13:
            schemes = _SCHEMES13.get(key.curve or key.key_type, frozenset())
        else:
            if key.curve is not None and _GROUP_NUMBERS.get(key.curve) not in self._client.groups:
                return _Answer(False, f"the client does not know {key.curve}, the curve of the certificate's key")
            schemes = _SCHEMES12[key.key_type]
        if self._version >= registry.TLS12 and not schemes.intersection(self._client.signature_schemes):
            return _Answer(False, f"the client knows no signature scheme for a {key.curve or key.key_type} key")
        return _YES

    # --- which group

    def _common_groups(self) -> tuple[int, ...]:
        """Return the common groups in the order in which the server showed them.

        A group that TLS 1.3 showed is not asked for again in older versions, so it counts for them too.
        """
        if self._is_tls13:
            shown = [number for number, protocols in self._server.groups if self._name in protocols]
        else:
            shown = [number for number, _protocols in self._server.groups if number in registry.TLS12_GROUPS]
        return tuple(number for number in shown if number in self._client.groups)

    def _groups_gap(self) -> str:
        """Return why the list of groups may be too short, or nothing; TLS 1.3 is asked for all of its own."""
        beginning = "groups.TLSv1.3" if self._is_tls13 else "groups."
        reasons = (reason for fact, reason in self._server.not_tested.items() if fact.startswith(beginning))
        return next((f"the list of groups may be too short: {reason}" for reason in reasons), "")

    def _has_group(self) -> _Answer:
        if self._groups:
            return _YES
        gap = self._groups_gap()
        return _Answer(None, gap) if gap else _Answer(False, "no common group")

    def _group_of(self, suites: Sequence[CipherSuite]) -> tuple[int | None, str]:
        """Return the group that all of the suites would be used with, or why it is not known."""
        if not all(suite.key_exchange in ("ECDHE", "any") for suite in suites):
            return None, ""
        gap = self._groups_gap()
        candidates = self._group_candidates()
        if len(candidates) == 1 and not gap:
            return candidates.pop(), ""
        names = ", ".join(sorted(registry.named_group(number).name for number in candidates))
        return None, gap or f"it is not known which group the server takes: {names}"

    def _group_candidates(self) -> set[int]:
        """Return what may be the group: the first of each order that may decide.

        In TLS 1.3 a server may take a group of which the client sent a share, although the order says another, which
        saves a round trip (RFC 8446 4.1.1). Some then follow their own order, some the order of the shares.
        """
        by_client = tuple(number for number in self._client.groups if number in self._groups)
        orders = {_CLIENT: by_client, _SERVER: self._groups}
        preference = self._groups_preference()
        deciding = [orders[preference]] if preference in orders else list(orders.values())
        if self._is_tls13:
            shared = self._client.key_shares
            deciding += [tuple(number for number in order if number in shared) for order in (*deciding, by_client)]
        return {order[0] for order in deciding if order}

    def _groups_preference(self) -> str:
        """Return whose order of groups decides; what older versions did not show is taken from TLS 1.3.

        A server's own order is known of the groups that TLS 1.3 showed; others are listed behind them as they came.
        """
        preferences = self._server.groups_preference
        decided = preferences.get(self._name, "not_tested")
        if decided not in (_CLIENT, _SERVER):
            decided = preferences.get("TLSv1.3", "not_tested")
        in_tls13 = {number for number, protocols in self._server.groups if "TLSv1.3" in protocols}
        return "not_tested" if decided == _SERVER and not in_tls13.issuperset(self._groups) else decided

    # --- what the client says to it

    def _accepted(self, suite: CipherSuite) -> _Answer:
        """Whether the client goes on with what the server picked."""
        client, server = self._client, self._server
        if self._is_tls13:
            return _YES
        if client.secure_renegotiation_required and server.secure_renegotiation is False:
            return _Answer(False, "the server does not support secure renegotiation (RFC 5746)")
        signed = suite.key_exchange in ("ECDHE", "DHE") and suite.authentication != "anon"
        if client.sha1_signatures_refused and signed and self._version < registry.TLS12:
            return _Answer(False, f"the client refuses the signatures of {self._name}, which are made with SHA-1")
        return self._accepted_prime() if suite.key_exchange == "DHE" else _YES

    def _accepted_prime(self) -> _Answer:
        least, most = self._client.dh_min_bits, self._client.dh_max_bits
        sizes = self._server.dh_bits.get(self._name, frozenset())
        fitting = {size for size in sizes if size >= least and (most is None or size <= most)}
        if (sizes and fitting == sizes) or (least == 0 and most is None):
            return _YES
        limits = f"{least} and more" if most is None else f"{least} to {most}"
        shown = ", ".join(str(size) for size in sorted(sizes)) or "an unknown number of"
        why = f"DH parameters of {shown} bits; the client takes {limits}"
        return _Answer(None if fitting or not sizes else False, why)


def _weakest(answers: Sequence[_Answer]) -> _Answer:
    """Return the answer to whether all of it is so: no before not known before yes."""
    return min(answers, key=lambda answer: (False, None, True).index(answer.yes))


def _is_chacha20(number: int) -> bool:
    return registry.cipher_suite(number).encryption.startswith("CHACHA20")
