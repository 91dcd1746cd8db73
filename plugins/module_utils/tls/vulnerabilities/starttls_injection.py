# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Command injection before STARTTLS (CVE-2011-0411): what a server was told in clear, it obeys within TLS.

A harmless command goes out in one piece with the request for TLS, where an attacker in between could put one. A
server that keeps it answers it within TLS, before it answers what was said there.

Sources: RFC 3207 6, RFC 9051 6.2.1 (a server discards what it knew from before); D. Poddebniak et al., "Why TLS Is
Better Without STARTTLS", 2021; CVE-2021-23214 (PostgreSQL).
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import http_facts, starttls
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.probe import connect
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)

_MOST_BYTES = 32 * 1024


@dataclass(frozen=True)
class _Trial:
    """What is injected, what is said within TLS after it, and how to tell the answers apart.

    ``injected_answer`` matches what only the injected command can have caused, ``farewell`` the answer to ``said``. A
    greeting that is repeated within TLS is neither.
    """

    command: str
    injected: bytes
    said: bytes
    injected_answer: re.Pattern[bytes]
    farewell: re.Pattern[bytes]


def _codes(command: str, greeting: bytes, farewell: bytes) -> _Trial:
    """Return the trial of a protocol of three digits: a reply before the farewell's."""
    pattern = rb"(?ms)\A(?:%s[ -][^\n]*\n)*(?!%s|%s)\d{3}[ -].*^%s[ \r]"
    answer = re.compile(pattern % (greeting, greeting, farewell, farewell))
    farewell_answer = re.compile(rb"(?m)^%s[ \r]" % farewell)
    return _Trial(command, command.encode("ascii") + b"\r\n", b"QUIT\r\n", answer, farewell_answer)


_TRIALS: Mapping[str, _Trial] = MappingProxyType(
    {
        "smtp": _codes("NOOP", b"220", b"221"),
        "lmtp": _codes("NOOP", b"220", b"221"),
        "ftp": _codes("NOOP", b"220", b"221"),
        # NNTP has no NOOP; DATE (RFC 3977 7.1) changes nothing.
        "nntp": _codes("DATE", b"20[01]", b"205"),
        "imap": _Trial(
            "NOOP",
            b"x1 NOOP\r\n",
            b"x2 LOGOUT\r\n",
            re.compile(rb"(?mi)^x1 (?:OK|NO|BAD)\b"),
            re.compile(rb"(?mi)^x2 (?:OK|NO|BAD)\b"),
        ),
        # The answer to CAPA ends with a dot, unlike a greeting; a refusal is an answer too (RFC 2449 5).
        "pop3": _Trial(
            "CAPA",
            b"CAPA\r\n",
            b"QUIT\r\n",
            re.compile(rb"(?ms)^(?:-ERR\b|\.\r?\n).*^\+OK"),
            re.compile(rb"(?m)^\+OK"),
        ),
        # NOOP gives its own argument back, as a string or as a literal (RFC 5804 2.13).
        "sieve": _Trial(
            "NOOP",
            b'NOOP "injected"\r\n',
            b'NOOP "farewell"\r\nLOGOUT\r\n',
            re.compile(rb'(?mi)^OK \(TAG (?:"|\{8\}\r\n)injected'),
            re.compile(rb'(?mi)^OK \(TAG (?:"|\{8\}\r\n)farewell'),
        ),
        # Before a client is registered, servers may refuse both commands, and name them (RFC 2812 5.2, 421 and 451).
        "irc": _Trial(
            "PING",
            b"PING injected\r\n",
            b"TIME\r\nQUIT\r\n",
            re.compile(rb"(?mi)^(?::\S+ +)?(?:PONG\b.*\binjected|4\d\d \S+ PING\b)"),
            re.compile(rb"(?mi)^(?::\S+ +)?(?:391 |4\d\d \S+ TIME\b)"),
        ),
        # CVE-2021-23214. Two versions of the protocol that do not exist, and the error names the one that was refused;
        # a sound server closes with an error of its own (SQLSTATE 08P01) when data came with the request.
        "postgres": _Trial(
            "a StartupMessage",
            struct.pack("!IHH", 8, 4321, 1),
            struct.pack("!IHH", 8, 4321, 2),
            re.compile(rb"(?s)\AE.*\b4321\.1\b"),
            re.compile(rb"(?s)\AE.*(?:\b4321\.2\b|\x00C08P01\x00)"),
        ),
    }
)


class _Failed(Exception):
    """There is no conversation within TLS; the text says why, ``busy`` whether the server had no time for one."""

    def __init__(self, reason: str, busy: bool = False) -> None:
        """Keep what may have been only the moment."""
        super().__init__(reason)
        self.busy = busy


def probe(context: ProbeContext) -> Finding:
    """Inject one harmless command: one connection, three where the server does not go on with TLS after it.

    A server that breaks off has not obeyed in secret, which is not vulnerable; but only if it does so twice, and goes
    on without the command in between.
    """
    if context.starttls is None:
        return Finding(NOT_APPLICABLE, "TLS begins with the first byte: there is nothing to inject into")
    trial = _TRIALS.get(context.starttls)
    if trial is None:
        return Finding(NOT_TESTED, f"no harmless command is known to inject into {context.starttls}")
    try:
        return _judge(trial, _converse(context, trial, trial.injected))
    except _Failed as failed:
        return _without_tls(context, trial, failed)


def _judge(trial: _Trial, answers: bytes) -> Finding:
    if trial.injected_answer.search(answers):
        return Finding(VULNERABLE, f"{trial.command}, sent in clear with the request for TLS, was answered within TLS")
    if trial.farewell.search(answers):
        return Finding(NOT_VULNERABLE, f"{trial.command}, sent in clear with the request for TLS, was not answered")
    said = f"'{ascii(answers[:64])[2:-1]}'" if answers else "nothing"
    return Finding(NOT_TESTED, f"within TLS the server said {said}, which tells nothing of {trial.command} before it")


def _without_tls(context: ProbeContext, trial: _Trial, first: _Failed) -> Finding:
    """Judge a server that did not go on with TLS after the injection."""
    if first.busy:
        return Finding(NOT_TESTED, str(first))
    try:
        _converse(context, trial, b"")
    except _Failed as failed:
        return Finding(NOT_TESTED, str(failed))
    try:
        return _judge(trial, _converse(context, trial, trial.injected))
    except _Failed as failed:
        if failed.busy:
            return Finding(NOT_TESTED, str(failed))
        return Finding(NOT_VULNERABLE, f"twice no TLS came of it when {trial.command} followed the request ({failed})")


def _converse(context: ProbeContext, trial: _Trial, injected: bytes) -> bytes:
    """Ask for TLS with ``injected`` behind the request, complete the handshake; return what is answered within TLS.

    Raises :class:`_Failed`.
    """
    session = context.session
    plain = replace(session.endpoint, starttls=None)
    with session.turn():
        deadline = time.monotonic() + session.timeout_seconds
        try:
            with connect(plain, deadline) as sock:
                starttls.upgrade(sock, str(context.starttls), session.endpoint.starttls_name, deadline, injected)
                sock.settimeout(seconds_left(deadline))
                tls = http_facts.permissive_context()
                with tls.wrap_socket(sock, server_hostname=context.server_name) as secure:
                    return _answers(secure, trial.said, deadline)
        except starttls.StartTlsError as error:
            raise _Failed(str(error), error.kind == starttls.BUSY) from error
        except socket.timeout as error:
            raise _Failed("there was no answer in time") from error
        except ssl.SSLError as error:
            raise _Failed(f"the handshake failed: {error.reason or error}") from error
        except (OSError, ValueError) as error:
            raise _Failed(str(error)) from error


def _answers(secure: ssl.SSLSocket, said: bytes, deadline: float) -> bytes:
    """Say farewell and return everything that the server says to the end of the connection, or to the deadline."""
    received = b""
    with contextlib.suppress(OSError):  # a server that closed may have answered before
        secure.sendall(said)
    with contextlib.suppress(OSError):  # what was received until then is judged
        while len(received) < _MOST_BYTES:
            secure.settimeout(seconds_left(deadline))
            data = secure.recv(4096)
            if not data:
                break
            received += data
    return received
