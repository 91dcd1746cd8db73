# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scan TLS targets: which of their addresses, how many at once. The results are facts, without any judgement."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import probe
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.endpoint_scan import EndpointScan
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session, alert_of
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import (
    ResolveError,
    Target,
    parse_target,
    resolve,
)

_UNRECOGNIZED_NAME = 112
_REPORT = "This is a fault of the scanner: report it, with the version of the collection"


@dataclass(frozen=True)
class Options:
    """How to scan: see the options of the module tls_endpoint_info."""

    timeout_seconds: float = 5.0
    concurrency: int = 8
    connections_per_host: int = 4
    delay_seconds: float = 0.0
    all_addresses: bool = False
    vulnerability_tests: str = "passive"
    fetch_issuers: bool = False


def scan_targets(targets: Sequence[object], options: Options) -> list[dict[str, object]]:
    """Scan targets as :func:`parse_target` reads them; return the facts of each, in their order.

    A target that cannot be scanned has ``reachable: false`` and an ``error`` of ``kind``, ``message`` and ``remedy``.
    With ``all_addresses`` a target has one entry for each of its addresses.
    """
    pacers = probe.Pacers(options.connections_per_host, options.delay_seconds)
    with ThreadPoolExecutor(max_workers=max(1, options.concurrency)) as pool:
        results = list(pool.map(lambda value: _scan_target(value, options, pacers), targets))
    return [facts for entries in results for facts in entries]


def _scan_target(value: object, options: Options, pacers: probe.Pacers) -> list[dict[str, object]]:
    """Return the facts of one target; a fault of our own in one of them must not take along the others."""
    try:
        return _scan_addresses(value, options, pacers)
    except Exception as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        message = f"{value}: {type(fault).__name__} in {Path(place.filename).name}, line {place.lineno}"
        return [_unreachable(_nobody(value), [], "", _error("scanner_fault", f"{message}. {_REPORT}", _REPORT))]


def _nobody(value: object) -> dict[str, object]:
    return {**dict.fromkeys(("host", "port", "server_name", "starttls", "http_port")), "name": str(value)}


def _scan_addresses(value: object, options: Options, pacers: probe.Pacers) -> list[dict[str, object]]:
    try:
        target = parse_target(value)
    except InvalidInputError as error:
        return [_unreachable(_nobody(value), [], "", _error("invalid_target", str(error), error.remedy))]
    try:
        endpoints = resolve(target, options.timeout_seconds)
    except ResolveError as error:
        return [_unreachable(target.as_dict(), [], "", _error("name_not_resolved", str(error), error.remedy))]
    addresses = [endpoint.address for endpoint in endpoints]
    scans = (scan_endpoint(target, endpoint, addresses, options, pacers) for endpoint in endpoints)
    return list(scans) if options.all_addresses else [_first_that_listens(scans)]


def _first_that_listens(scans: Iterable[dict[str, object]]) -> dict[str, object]:
    """Return the facts of the first address where something listens, as a client would; else those of the first.

    Addresses before it that take no connections are told as not tested.
    """
    passed: list[dict[str, object]] = []
    for facts in scans:
        if not isinstance(facts["error"], dict) or facts["error"]["kind"] not in ("connection_refused", "unreachable"):
            return {
                **facts,
                "not_tested": [*map(_passed_over, passed), *cast("list[object]", facts["not_tested"])],
                "connections": sum(cast("int", each["connections"]) for each in [*passed, facts]),
            }
        passed.append(facts)
    return passed[0]


def _passed_over(facts: dict[str, object]) -> dict[str, str]:
    error = cast("dict[str, str]", facts["error"])
    return {"fact": f"address {facts['address']}", "reason": error["message"]}


def scan_endpoint(
    target: Target, endpoint: probe.Endpoint, addresses: list[str], options: Options, pacers: probe.Pacers
) -> dict[str, object]:
    """Scan one address of a target and return its facts."""
    started = time.monotonic()
    session = Session(endpoint, pacers.of(endpoint), options.timeout_seconds)
    plain = _plain_session(target, endpoint, options, pacers)
    scan = EndpointScan(target, session, plain, options.vulnerability_tests)
    contacts = session.first(scan.contact_hellos())
    no_contact = _no_contact(contacts)
    if no_contact is None:
        scan.run(contacts)
        if options.fetch_issuers:
            scan.fetch_issuers()
        facts = scan.facts(addresses)
    else:
        error = _contact_error(target, endpoint, no_contact)
        facts = _unreachable(target.as_dict(), addresses, endpoint.address, error)
    facts["connections"] = session.connections + (plain.connections if plain else 0)
    facts["duration_ms"] = round((time.monotonic() - started) * 1000)
    return facts


def _no_contact(contacts: Sequence[probe.Outcome]) -> probe.Outcome | None:
    """Return the outcome that says why nothing can be measured; ``None`` where something speaks TLS to us.

    A server that refuses the name in one answer may refuse other hellos for their version: SSL 3.0 sends no name.
    """
    if any(outcome.kind == probe.ANSWER for outcome in contacts):
        return None
    refused_name = [outcome for outcome in contacts if alert_of(outcome) == _UNRECOGNIZED_NAME]
    if refused_name:
        return refused_name[0]
    return None if any(outcome.kind == probe.ALERT for outcome in contacts) else contacts[0]


def _plain_session(target: Target, endpoint: probe.Endpoint, options: Options, pacers: probe.Pacers) -> Session | None:
    if target.http_port is None:
        return None
    plain = dataclasses.replace(endpoint, port=target.http_port)
    return Session(plain, pacers.of(plain), options.timeout_seconds)


def _error(kind: str, message: str, remedy: str) -> dict[str, str]:
    return {"kind": kind, "message": message, "remedy": remedy}


def _contact_error(target: Target, endpoint: probe.Endpoint, outcome: probe.Outcome) -> dict[str, str]:
    remedies = {
        probe.REFUSED: ("connection_refused", "Check the port, and that the server runs and listens on this address"),
        probe.UNREACHABLE: ("unreachable", "Check the route and the firewall between the scanning host and the target"),
        probe.TIMEOUT: ("timeout", "Check for a firewall that drops packets, or raise timeout"),
        probe.NOT_TLS: ("not_tls", "Check the port: TLS must begin with the first byte"),
        probe.MALFORMED: ("malformed", "Check what listens there: it does not speak TLS as defined"),
        probe.STARTTLS_REFUSED: ("starttls_refused", "Check that TLS is enabled there, and the port and protocol"),
        probe.BUSY: ("busy", "Try again later, with a delay between connections"),
        probe.NOT_THAT_PROTOCOL: ("not_that_protocol", "Check starttls and the port; leave it out for direct TLS"),
        probe.BROKEN_OFF: ("connection_closed", "Check starttls, the port, and the server's log"),
        probe.ALERT: ("server_name_refused", "Set server_name to a name that the server knows"),
    }
    if endpoint.starttls is not None and outcome.kind == probe.TIMEOUT:
        remedies[probe.TIMEOUT] = ("timeout", "Check starttls, the port and the firewall, or raise timeout")
    kind, remedy = remedies.get(outcome.kind, ("connection_closed", "Check that this port speaks TLS, and its log"))
    where = target.name if endpoint.address == target.host else f"{target.name} ({endpoint.address})"
    detail = outcome.detail
    if outcome.kind == probe.ALERT:
        name = f"the name {target.server_name!r}" if target.server_name else "a client that asks for no name"
        detail = f"the server does not know {name} (alert unrecognized_name)"
    return _error(kind, f"{where}: {detail}. {remedy}", remedy)


def _unreachable(
    target: dict[str, object], addresses: list[str], address: str, error: dict[str, str]
) -> dict[str, object]:
    return {
        "target": target,
        "address": address or None,
        "addresses": addresses,
        "reachable": False,
        "error": error,
        "not_tested": [],
        "connections": 0,
        "duration_ms": 0,
    }
