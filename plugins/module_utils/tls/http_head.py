# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The head of an HTTP response: reading it from a socket, and the facts in it.

Sources: RFC 9112 (messages), RFC 9110 (semantics), RFC 6797 (HSTS), RFC 6265 (cookies).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left

# The least that a server answers with HTTP, where the connection or a record is what is asked about.
SHORT_REQUEST = b"GET / HTTP/1.0\r\n\r\n"

MAX_HEADER_BYTES = 64 * 1024
MAX_VALUE_CHARACTERS = 1024
_MAX_COOKIES = 32

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
# A line that begins with white space goes on with the one before (obs-fold of RFC 9112 5.2).
_FOLD = re.compile(r"\n[ \t]+")
_STATUS = re.compile(r"HTTP/\d\.\d (\d{3})(?: |$)")
# token and quoted-string of RFC 9110 5.6.2 and 5.6.4
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_DIRECTIVE = re.compile(rf"\s*({_TOKEN})\s*(?:=\s*({_TOKEN}|\"(?:[^\"\\]|\\.)*\")\s*)?$")
_PART = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*")+')
_FIELD = re.compile(r'(?:[^"]|"(?:[^"\\]|\\.)*")*')
_VERSION = re.compile(r"\d+\.\d")
# Codings that compress (RFC 9110 8.4.1, RFC 7932, RFC 8878, RFC 9842)
_COMPRESSIONS = frozenset(("gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"))

# Facts that are the value of a header field as it was sent.
_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "content_security_policy": "content-security-policy",
        "x_frame_options": "x-frame-options",
        "x_content_type_options": "x-content-type-options",
        "referrer_policy": "referrer-policy",
        "permissions_policy": "permissions-policy",
        "cross_origin_opener_policy": "cross-origin-opener-policy",
        "cross_origin_embedder_policy": "cross-origin-embedder-policy",
        "cross_origin_resource_policy": "cross-origin-resource-policy",
        "server": "server",
        "x_powered_by": "x-powered-by",
        "alt_svc": "alt-svc",
        "content_encoding": "content-encoding",
    }
)
_TELLING_FIELDS = ("server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-generator")


class Fields:
    """The header fields of one response, by name in any case."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Read ``name: value`` lines; a line without a colon is no field."""
        parts = [line.partition(":") for line in lines]
        self._fields = [(name.strip().lower(), value.strip()) for name, colon, value in parts if colon]

    def values(self, name: str) -> list[str]:
        """Return the values of every field of a (lower-case) name, in the order they came."""
        return [value for field, value in self._fields if field == name]

    def joined(self, name: str) -> str | None:
        """Return all values of a name as one list (RFC 9110 5.3), printable and bounded; ``None`` without the field."""
        values = self.values(name)
        return printable(", ".join(values)) if values else None


def host_field(host: str, port: int, default_port: int) -> str:
    """Return the value of a Host field (RFC 9110 7.2) for a name or an address without brackets."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port == default_port else f"{shown}:{port}"


def printable(text: str) -> str:
    """Return a server's text without what a terminal would obey, cut to :data:`MAX_VALUE_CHARACTERS`."""
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_VALUE_CHARACTERS])


def exchange(sock: socket.socket, request: bytes, deadline: float) -> tuple[bytes, str]:
    """Send a request and read the head of its final response: return the bytes, and why there is no such head.

    Never raises for what the server does. What cannot be HTTP is returned at once, without a reason: it is an answer.
    A head that breaks off is none: the field that matters may be in the rest.
    """
    received = b""
    try:
        sock.settimeout(seconds_left(deadline))
        sock.sendall(request)
        while not _ends(received):
            if len(received) > MAX_HEADER_BYTES:
                return b"", f"the header is longer than {MAX_HEADER_BYTES} bytes"
            sock.settimeout(seconds_left(deadline))
            data = sock.recv(4096)
            if not data:
                return b"", "the connection was closed before the end of a header"
            received += data
    except socket.timeout:
        return b"", "the header did not arrive in time"
    except OSError as error:
        return b"", f"no complete answer to an HTTP request ({getattr(error, 'reason', None) or error})"
    return received, ""


def _ends(received: bytes) -> bool:
    """Whether the head of the final response is whole, or what was received is no HTTP."""
    final = _without_interim(received)
    return not final.startswith(b"HTTP/"[: len(final)]) or _BLANK_LINE.search(final) is not None


def _without_interim(received: bytes) -> bytes:
    """Leave out the 1xx responses before the final one (RFC 9110 15.2); after 101 no HTTP follows, so that is final."""
    while re.match(rb"HTTP/\d\.\d 1(?!01)\d\d[ \r\n]", received):
        end = _BLANK_LINE.search(received)
        if end is None:
            return received
        received = received[end.end() :]
    return received


def parse_head(received: bytes) -> tuple[int | None, Fields]:
    """Return status and fields of the final response; the status of what is no HTTP is ``None``."""
    head = _BLANK_LINE.split(_without_interim(received), maxsplit=1)[0].decode("latin-1")
    lines = _FOLD.sub(" ", head.replace("\r\n", "\n")).split("\n")
    status = _STATUS.match(lines[0])
    return (int(status.group(1)), Fields(lines[1:])) if status else (None, Fields(()))


def parse_response(received: bytes) -> dict[str, object]:
    """Return the facts of a response's head; ``status`` is ``None`` where ``speaks_http`` is false.

    The header fields count on whatever status, a redirect or an error included. Fields that were not sent are
    ``None``. ``compressed`` says whether the content came compressed: what a BREACH attack needs first.
    ``version_disclosure`` names the fields that tell a version, ``cookies_without`` the cookies that lack an attribute;
    the cookies' values are left out. ``location`` is where a redirect leads, without query and fragment.
    """
    status, fields = parse_head(received)
    facts: dict[str, object] = {
        "speaks_http": status is not None,
        "status": status,
        "strict_transport_security": parse_hsts(fields.values("strict-transport-security")),
        "location": location(status, fields),
    }
    facts.update({fact: fields.joined(name) for fact, name in _FIELDS.items()})
    codings = {coding.strip().lower() for value in fields.values("content-encoding") for coding in value.split(",")}
    facts["compressed"] = None if status is None else bool(codings & _COMPRESSIONS)
    facts["version_disclosure"] = [name for name in _TELLING_FIELDS if _VERSION.search(fields.joined(name) or "")]
    facts["cookies_without"] = _cookies_without(fields.values("set-cookie"))
    return facts


def location(status: int | None, fields: Fields) -> str | None:
    """Return where a redirect leads; query, fragment and password are left out, since they may hold a secret."""
    values = fields.values("location")
    if status not in (301, 302, 303, 307, 308) or not values:
        return None
    try:
        parts = urlsplit(values[0][:8192])
        return printable(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl())
    except ValueError:
        return printable(re.sub("//[^/]*@", "//", re.split("[?#]", values[0][:8192])[0]))


def _cookies_without(values: Sequence[str]) -> dict[str, list[str]]:
    """Return for each protecting attribute the names of the cookies that lack it (RFC 6265 5.2, draft 6265bis)."""
    lacking: dict[str, list[str]] = {"secure": [], "httponly": [], "samesite": []}
    for value in values[:_MAX_COOKIES]:
        pair, *rest = value.split(";")
        name = printable(pair.partition("=")[0].strip())[:128]
        attributes = {attribute.partition("=")[0].strip().lower() for attribute in rest}
        for attribute, names in lacking.items():
            if name and attribute not in attributes and name not in names:
                names.append(name)
    return lacking


def parse_hsts(values: Sequence[str]) -> dict[str, object]:
    """Read the Strict-Transport-Security header fields of one response (RFC 6797 6.1, 8.1).

    Only the first field counts. A field that breaks the grammar, names a directive twice or has no usable max-age is
    not ``valid``, and a browser ignores it; unknown directives are ignored. ``max_age_seconds`` is ``None`` unless the
    field is valid.
    """
    facts: dict[str, object] = {
        "present": bool(values),
        "valid": False,
        "max_age_seconds": None,
        "include_subdomains": False,
        "preload": False,
        "value": printable(values[0]) if values else None,
    }
    directives = _directives(values[0]) if values else None
    if directives is None:
        return facts
    max_age = (directives.get("max-age") or "").strip('"')
    if not re.fullmatch(r"[0-9]{1,18}", max_age) or directives.get("includesubdomains") is not None:
        return facts
    facts.update(
        valid=True,
        max_age_seconds=int(max_age),
        include_subdomains="includesubdomains" in directives,
        preload="preload" in directives,
    )
    return facts


def _directives(value: str) -> dict[str, str | None] | None:
    """Split a field into directives by lower-case name; ``None`` where the grammar is broken or a name comes twice."""
    directives: dict[str, str | None] = {}
    if _FIELD.fullmatch(value) is None:
        return None
    for part in _PART.findall(value):
        if not part.strip():
            continue
        found = _DIRECTIVE.match(part)
        if found is None or found.group(1).lower() in directives:
            return None
        directives[found.group(1).lower()] = found.group(2)
    return directives
