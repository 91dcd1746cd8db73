# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dialogue in clear that comes before the first hello where TLS is asked for (STARTTLS and its like).

Each protocol has two halves: ``prepare`` says what comes before the request for TLS and returns that request,
``go_ahead`` reads the answer. Nothing is read beyond the go-ahead: what a server adds in clear is found where TLS
should begin, and is told there as what it is, no TLS.
"""

from __future__ import annotations

import html
import re
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left

REFUSED = "refused"
BUSY = "busy"
NOT_THAT_PROTOCOL = "not_that_protocol"
BROKEN_OFF = "broken_off"

MAX_LINE_BYTES = 8192
MAX_DIALOGUE_BYTES = 64 * 1024
_SAID_BYTES = 160


class StartTlsError(OSError):
    """The dialogue did not end with a go-ahead.

    ``kind`` is ``refused`` (the server has no TLS to offer here), ``busy`` (not now: another time perhaps),
    ``not_that_protocol`` (what it says is something else) or ``broken_off`` (it closed or reset the connection). The
    text says what the server said, bounded and printable. An ``OSError``, since there is no connection to use.
    """

    def __init__(self, kind: str, reason: str, said: bytes = b"") -> None:
        """Join the reason and the beginning of what the server said."""
        super().__init__(f"{reason}: {ascii(said[:_SAID_BYTES])[2:-1]}" if said else reason)
        self.kind = kind


class Talk:
    """What is said and heard on one connection before TLS, within a deadline and a number of bytes.

    Every method raises :class:`StartTlsError`, and :class:`socket.timeout` at the deadline.
    """

    def __init__(self, sock: socket.socket, protocol: str, deadline: float) -> None:
        """Talk over ``sock`` until ``deadline`` (of :func:`time.monotonic`)."""
        self.sock = sock
        self.protocol = protocol
        self._deadline = deadline
        self._heard_bytes = 0

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._wait()
        try:
            self.sock.sendall(data)
        except socket.timeout:
            raise
        except OSError as error:
            raise self._broken(error) from error

    def exactly(self, length: int) -> bytes:
        """Return ``length`` bytes."""
        data = b""
        while len(data) < length:
            data += self._receive(min(length - len(data), MAX_LINE_BYTES))
        return data

    def until(self, ending: re.Pattern[bytes]) -> bytes:
        """Return all bytes to the first match of ``ending``, and leave what comes after it unread."""
        data = b""
        while True:
            peeked = self._receive(MAX_LINE_BYTES, socket.MSG_PEEK)
            found = ending.search(data + peeked)
            data += self._receive(len(peeked) if found is None else found.end() - len(data))
            if found is not None:
                return data
            if data[:2] in (b"\x15\x03", b"\x16\x03"):
                raise StartTlsError(NOT_THAT_PROTOCOL, "it speaks TLS from the first byte on")
            if len(data) > MAX_LINE_BYTES:
                raise self.something_else(data)

    def line(self) -> bytes:
        """Return one line, without its end."""
        return self.until(_LINE_END).rstrip(b"\r\n")

    def something_else(self, said: bytes) -> StartTlsError:
        """Return the error that what was said is not of this protocol."""
        return StartTlsError(NOT_THAT_PROTOCOL, f"it does not speak {self.protocol}, it said", said)

    def turned_down(self, busy: bool, said: bytes) -> StartTlsError:
        """Return the error that the server turned us down, for now or for good."""
        reason = "the server is busy, it said" if busy else f"the server offers no TLS by {self.protocol}, it said"
        return StartTlsError(BUSY if busy else REFUSED, reason, said)

    def not_offered(self) -> StartTlsError:
        """Return the error that TLS is not among the capabilities."""
        return StartTlsError(REFUSED, f"the server does not offer TLS among its capabilities ({self.protocol})")

    def _receive(self, most: int, flags: int = 0) -> bytes:
        self._wait()
        try:
            data = self.sock.recv(most, flags)
        except socket.timeout:
            raise
        except OSError as error:
            raise self._broken(error) from error
        if not data:
            raise StartTlsError(BROKEN_OFF, f"the server closed the connection before the go-ahead of {self.protocol}")
        if not flags:
            self._heard_bytes += len(data)
        if self._heard_bytes > MAX_DIALOGUE_BYTES:
            raise self.something_else(data)
        return data

    def _wait(self) -> None:
        self.sock.settimeout(seconds_left(self._deadline))

    def _broken(self, error: OSError) -> StartTlsError:
        reason = f"the connection broke before the go-ahead of {self.protocol}: {error.strerror or error}"
        return StartTlsError(BROKEN_OFF, reason)


@dataclass(frozen=True)
class Protocol:
    """One protocol: its port (``None``: it has none of its own) and the two halves of its dialogue."""

    default_port: int | None
    prepare: Callable[[Talk, str], bytes]
    go_ahead: Callable[[Talk], None]


_LINE_END = re.compile(rb"\n")


# --- three digits and a text: SMTP, LMTP, FTP, NNTP


def _reply(talk: Talk) -> list[bytes]:
    """Read one reply, of several lines if need be (RFC 5321 4.2.1, RFC 959 4.2)."""
    lines = [talk.line()]
    if re.match(rb"\d{3}(?:[ -]|$)", lines[0]) is None:
        raise talk.something_else(lines[0])
    last = lines[0][:3] + b" "
    if lines[0][3:4] == b"-":
        while lines[-1] != last.strip() and not lines[-1].startswith(last):
            lines.append(talk.line())
    return lines


def _expect(talk: Talk, wanted: int) -> list[bytes]:
    lines = _reply(talk)
    code = int(lines[0][:3])
    if code != wanted:
        raise talk.turned_down(code // 100 in (1, 4), lines[0])
    return lines


def _own_name(talk: Talk) -> bytes:
    """Return this end's address as a literal: what a client without a name says (RFC 5321 4.1.4)."""
    address = str(talk.sock.getsockname()[0]).partition("%")[0]
    return (f"[IPv6:{address}]" if ":" in address else f"[{address}]").encode("ascii", "replace")


def _prepare_mail(talk: Talk, verb: bytes) -> bytes:
    _expect(talk, 220)
    talk.send(verb + b" " + _own_name(talk) + b"\r\n")
    capabilities = [line[4:].strip().upper() for line in _expect(talk, 250)[1:]]
    if b"STARTTLS" not in capabilities:
        raise talk.not_offered()
    return b"STARTTLS\r\n"


def _prepare_smtp(talk: Talk, _name: str) -> bytes:
    """SMTP and submission: RFC 3207, RFC 5321; port 25."""
    return _prepare_mail(talk, b"EHLO")


def _prepare_lmtp(talk: Talk, _name: str) -> bytes:
    """LMTP: RFC 2033 (LHLO in place of EHLO) with RFC 3207; it must not use port 25 and has no other."""
    return _prepare_mail(talk, b"LHLO")


def _mail_go_ahead(talk: Talk) -> None:
    """220 is the go-ahead, 454 is "not available due to temporary reason" (RFC 3207 4)."""
    _expect(talk, 220)


def _prepare_ftp(talk: Talk, _name: str) -> bytes:
    """FTP: RFC 4217 4. FEAT need not name AUTH TLS, so the server is asked for it."""
    _expect(talk, 220)
    return b"AUTH TLS\r\n"


def _ftp_go_ahead(talk: Talk) -> None:
    """234 is the go-ahead, 431 a lack of resources, others refuse (RFC 4217 4, RFC 2228 3)."""
    _expect(talk, 234)


def _prepare_nntp(talk: Talk, _name: str) -> bytes:
    """NNTP: RFC 4642, RFC 3977; a server from before CAPABILITIES answers 500 to it and is asked directly."""
    greeting = _reply(talk)[0]
    if greeting[:3] not in (b"200", b"201"):
        raise talk.turned_down(greeting[:1] == b"4", greeting)
    talk.send(b"CAPABILITIES\r\n")
    answer = _reply(talk)[0]
    if answer[:3] == b"101":
        if b"STARTTLS" not in _dotted(talk):
            raise talk.not_offered()
    elif answer[:1] == b"4":
        raise talk.turned_down(True, answer)
    return b"STARTTLS\r\n"


def _nntp_go_ahead(talk: Talk) -> None:
    """382 is the go-ahead, 580 the refusal (RFC 4642 2.2.1)."""
    _expect(talk, 382)


def _dotted(talk: Talk) -> list[bytes]:
    """Read lines to the one that is a dot; return their first words in capitals."""
    words = []
    while (line := talk.line()) != b".":
        words.append(line.strip().upper().partition(b" ")[0])
    return words


# --- words: POP3, IMAP, ManageSieve, IRC


def _prepare_pop3(talk: Talk, _name: str) -> bytes:
    """POP3: RFC 2595 4 with the capabilities of RFC 2449; a server that does not know CAPA is asked directly."""
    greeting = talk.line()
    if not greeting.startswith(b"+OK"):
        raise talk.turned_down(True, greeting) if greeting.startswith(b"-ERR") else talk.something_else(greeting)
    talk.send(b"CAPA\r\n")
    answer = talk.line()
    if answer.startswith(b"+OK"):
        if b"STLS" not in _dotted(talk):
            raise talk.not_offered()
    elif not answer.startswith(b"-ERR"):
        raise talk.something_else(answer)
    return b"STLS\r\n"


def _pop3_go_ahead(talk: Talk) -> None:
    """+OK is the go-ahead; -ERR refuses, for a time with one of the codes of RFC 2449 8.1 and RFC 3206."""
    answer = talk.line()
    if not answer.startswith(b"+OK"):
        busy = re.search(rb"\[(?:SYS/TEMP|IN-USE|LOGIN-DELAY)\]", answer, re.IGNORECASE) is not None
        raise talk.turned_down(busy, answer) if answer.startswith(b"-ERR") else talk.something_else(answer)


def _prepare_imap(talk: Talk, _name: str) -> bytes:
    """IMAP: RFC 9051 6.2.1 (and RFC 2595 3); a connection that begins as PREAUTH can have no TLS any more."""
    greeting = talk.line()
    state = greeting[:9].upper()
    if not state.startswith((b"* OK", b"* BYE", b"* PREAUTH")):
        raise talk.something_else(greeting)
    if not state.startswith(b"* OK"):
        raise talk.turned_down(state.startswith(b"* BYE"), greeting)
    talk.send(b"a1 CAPABILITY\r\n")
    lines = _tagged(talk, b"A1")
    capabilities = [word for line in lines if line.startswith(b"* CAPABILITY ") for word in line.split()]
    if b"STARTTLS" not in capabilities:
        raise talk.not_offered()
    return b"a2 STARTTLS\r\n"


def _imap_go_ahead(talk: Talk) -> None:
    """OK is the go-ahead; NO and BAD refuse, for a time with a code of RFC 5530 3 that says so."""
    _tagged(talk, b"A2")


def _tagged(talk: Talk, tag: bytes) -> list[bytes]:
    """Read to the answer with the tag, which must be OK; return the lines in capitals."""
    lines: list[bytes] = []
    while True:
        said = talk.line()
        line = said.upper()
        if line.startswith(tag + b" OK"):
            return lines
        if line.startswith(b"* BYE"):
            raise talk.turned_down(True, said)
        if line.startswith(tag):
            raise talk.turned_down(re.search(rb"\[(?:UNAVAILABLE|INUSE|LIMIT)\]", line) is not None, said)
        if not line.startswith(b"*"):
            raise talk.something_else(said)
        lines.append(line)


def _prepare_sieve(talk: Talk, _name: str) -> bytes:
    """ManageSieve: RFC 5804 1.7, 2.2; the server begins with its capabilities."""
    if not any(line.upper().startswith((b'"STARTTLS"', b"STARTTLS")) for line in _sieve_answer(talk)):
        raise talk.not_offered()
    return b"STARTTLS\r\n"


def _sieve_go_ahead(talk: Talk) -> None:
    """OK is the go-ahead; NO refuses, BYE closes, both for a time with TRYLATER (RFC 5804 1.3)."""
    _sieve_answer(talk)


def _sieve_answer(talk: Talk) -> list[bytes]:
    lines: list[bytes] = []
    while True:
        line = talk.line()
        word = re.match(rb"(OK|NO|BYE)(?:[ (]|$)", line, re.IGNORECASE)
        if word is None and not line.startswith((b'"', b"{")) and (not lines or not lines[-1].endswith(b"}")):
            raise talk.something_else(line)
        if word is not None and word.group(1).upper() == b"OK":
            return lines
        if word is not None:
            raise talk.turned_down(word.group(1).upper() == b"BYE" or b"TRYLATER" in line.upper(), line)
        lines.append(line)


def _prepare_irc(_talk: Talk, _name: str) -> bytes:
    """IRC: STARTTLS as the IRCv3 working group describes it under tls-3.1; it is asked for before registration."""
    return b"STARTTLS\r\n"


def _irc_go_ahead(talk: Talk) -> None:
    """670 is the go-ahead; 691, and 421 and 451 of servers that do not know the command, refuse; ERROR is busy.

    Notices may come before, and a PING, which is answered.
    """
    while True:
        line = talk.line()
        command = re.match(rb"(?:@\S+ +)?(?::\S+ +)?([A-Za-z]+|\d{3})(?: |$)", line)
        if command is None or not line.isascii():
            raise talk.something_else(line)
        word = command.group(1).upper()
        if word == b"670":
            return
        if word == b"PING":
            talk.send(b"PONG" + line[command.end(1) :][:512] + b"\r\n")
        elif word == b"ERROR" or word.isdigit():
            raise talk.turned_down(word == b"ERROR", line)
        elif word not in (b"NOTICE", b"CAP"):
            raise talk.something_else(line)


# --- XML: XMPP

_STARTTLS_XMLNS = b"urn:ietf:params:xml:ns:xmpp-tls"
_XMPP_FEATURES_END = re.compile(
    rb"</(?:\w{1,32}:)?features\s*>|<(?:\w{1,32}:)?features\b[^<>]*/>|</\w{1,32}:error\s*>|</\w{1,32}:stream\s*>"
)
_XMPP_PROCEED_END = re.compile(rb"<proceed\b[^<>]*/>|</proceed\s*>|<failure\b[^<>]*/?>|</\w{1,32}:stream\s*>")
_XMPP_BUSY = re.compile(rb"<(?:resource-constraint|connection-timeout|policy-violation|reset|system-shutdown)\b")


def _prepare_xmpp_as(talk: Talk, name: str, namespace: str) -> bytes:
    header = (
        f"<?xml version='1.0'?><stream:stream to='{html.escape(name)}' xmlns='{namespace}' "
        "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
    )
    talk.send(header.encode("utf-8"))
    features = talk.until(_XMPP_FEATURES_END)
    if not features.lstrip().startswith(b"<") or b"http://etherx.jabber.org/streams" not in features:
        raise talk.something_else(features)
    if not features.rstrip().endswith((b"features>", b"/>")):
        error = features[features.rfind(b":error") :]
        raise talk.turned_down(_XMPP_BUSY.search(features) is not None, error)
    if _STARTTLS_XMLNS not in features:
        raise talk.not_offered()
    return b"<starttls xmlns='" + _STARTTLS_XMLNS + b"'/>"


def _prepare_xmpp(talk: Talk, name: str) -> bytes:
    """XMPP for clients: RFC 6120 4.2, 5.4; ``to`` must be a domain that the server serves."""
    return _prepare_xmpp_as(talk, name, "jabber:client")


def _prepare_xmpp_server(talk: Talk, name: str) -> bytes:
    """XMPP between servers: the same with another namespace (RFC 6120 4.8.2)."""
    return _prepare_xmpp_as(talk, name, "jabber:server")


def _xmpp_go_ahead(talk: Talk) -> None:
    """<proceed/> is the go-ahead, <failure/> the refusal (RFC 6120 5.4.2)."""
    answer = talk.until(_XMPP_PROCEED_END)
    if re.match(rb"\s*<proceed\b", answer) is None:
        raise talk.turned_down(_XMPP_BUSY.search(answer) is not None, answer)


# --- bytes: LDAP, PostgreSQL, MySQL

_LDAP_START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
_LDAP_BUSY = (51, 52)  # busy, unavailable
_POSTGRES_SSL_REQUEST = struct.pack("!II", 8, 80877103)
# CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION
_MYSQL_FLAGS = 0x0200 | 0x0800 | 0x8000
_MYSQL_SSL_REQUEST = b"\x20\x00\x00\x01" + struct.pack("<IIB23x", _MYSQL_FLAGS, 1 << 24, 33)
# too many connections (of all, of a user), blocked after too many that ended in the middle of a handshake
_MYSQL_BUSY = (1040, 1129, 1203, 1226)


def _prepare_ldap(_talk: Talk, _name: str) -> bytes:
    """LDAP: the StartTLS operation, RFC 4511 4.14, an ExtendedRequest with the number 1."""
    return _LDAP_START_TLS


def _ldap_go_ahead(talk: Talk) -> None:
    """Read an ExtendedResponse; resultCode success is the go-ahead (RFC 4511 4.1.9, 4.14.2, BER of any length form)."""
    head = talk.exactly(2)
    if head[0] != 0x30:
        raise talk.something_else(head)
    length = head[1]
    if length & 0x80:
        length = int.from_bytes(talk.exactly(length & 0x7F), "big") if length & 0x7F <= 4 else MAX_LINE_BYTES + 1
    if length > MAX_LINE_BYTES:
        raise talk.something_else(head)
    body = talk.exactly(length)
    long_form = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...|\x84....)"
    result = re.match(rb"\x02.{2}\x78" + long_form + rb"\x0a\x01(.)", body, re.DOTALL)
    if result is None:  # 0 as the number is a Notice of Disconnection, which is an ExtendedResponse too
        raise talk.something_else(head + body)
    code = result.group(1)[0]
    if code or body[2] != 1:
        raise talk.turned_down(code in _LDAP_BUSY, f"resultCode {code} ".encode() + body[result.end() :])


def _prepare_postgres(_talk: Talk, _name: str) -> bytes:
    """PostgreSQL: SSLRequest, "Frontend/Backend Protocol", 55.2.10 (SSL Session Encryption)."""
    return _POSTGRES_SSL_REQUEST


def _postgres_go_ahead(talk: Talk) -> None:
    """One byte: S is the go-ahead, N the refusal, E an error, in words where the server could not even fork."""
    answer = talk.exactly(1)
    if answer == b"S":
        return
    if answer == b"N":
        raise talk.turned_down(False, answer)
    if answer != b"E":
        raise talk.something_else(answer)
    head = talk.exactly(4)
    length = int.from_bytes(head, "big")
    if not 4 <= length <= MAX_LINE_BYTES:
        raise talk.turned_down(True, head + talk.line())
    message = talk.exactly(length - 4)
    # SQLSTATE classes: insufficient resources, operator intervention (it starts or shuts down)
    raise talk.turned_down(re.search(rb"(?:^|\x00)C5[37]", message) is not None, message.replace(b"\x00", b" "))


def _prepare_mysql(talk: Talk, _name: str) -> bytes:
    """MySQL and MariaDB: Protocol::HandshakeV10 with CLIENT_SSL, then Protocol::SSLRequest.

    The server counts handshakes that are not finished (``max_connect_errors``, 100 in a row by default) and then
    blocks the client's address: error 1129, which is told as busy.
    """
    header = talk.exactly(4)
    length = int.from_bytes(header[:3], "little")
    if not 1 <= length <= MAX_LINE_BYTES or header[3] != 0:
        raise talk.something_else(header)
    greeting = talk.exactly(length)
    if greeting[:1] == b"\xff":
        raise talk.turned_down(int.from_bytes(greeting[1:3], "little") in _MYSQL_BUSY, greeting[3:])
    version, _zero, rest = greeting[1:].partition(b"\x00")
    if greeting[:1] != b"\x0a" or len(rest) < 15:  # thread 4, data 8, filler 1, capabilities 2
        raise talk.something_else(greeting)
    if not int.from_bytes(rest[13:15], "little") & 0x0800:
        raise StartTlsError(REFUSED, "the server does not offer CLIENT_SSL, it is", version)
    return _MYSQL_SSL_REQUEST


def _mysql_go_ahead(_talk: Talk) -> None:
    """There is none: the server waits for the hello at once."""


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        "smtp": Protocol(25, _prepare_smtp, _mail_go_ahead),
        "lmtp": Protocol(None, _prepare_lmtp, _mail_go_ahead),
        "imap": Protocol(143, _prepare_imap, _imap_go_ahead),
        "pop3": Protocol(110, _prepare_pop3, _pop3_go_ahead),
        "ftp": Protocol(21, _prepare_ftp, _ftp_go_ahead),
        "sieve": Protocol(4190, _prepare_sieve, _sieve_go_ahead),
        "xmpp": Protocol(5222, _prepare_xmpp, _xmpp_go_ahead),
        "xmpp-server": Protocol(5269, _prepare_xmpp_server, _xmpp_go_ahead),
        "ldap": Protocol(389, _prepare_ldap, _ldap_go_ahead),
        "postgres": Protocol(5432, _prepare_postgres, _postgres_go_ahead),
        "mysql": Protocol(3306, _prepare_mysql, _mysql_go_ahead),
        "nntp": Protocol(119, _prepare_nntp, _nntp_go_ahead),
        "irc": Protocol(6667, _prepare_irc, _irc_go_ahead),
    }
)


def upgrade(sock: socket.socket, protocol: str, name: str, deadline: float, appended: bytes = b"") -> None:
    """Talk until the server waits for a ClientHello; raises :class:`StartTlsError`, ``socket.timeout`` at the deadline.

    ``protocol`` is a key of :data:`PROTOCOLS`, ``name`` the server's name for protocols that say it, ``deadline`` a
    moment of :func:`time.monotonic`. ``appended`` goes out in one piece with the request for TLS, to see what a server
    does with it.
    """
    dialogue = PROTOCOLS[protocol]
    talk = Talk(sock, protocol, deadline)
    talk.send(dialogue.prepare(talk, name) + appended)
    dialogue.go_ahead(talk)
