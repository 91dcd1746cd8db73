# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say in a line what each connection through a proxy asked, and when."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from peers.proxy import Connection

_VERSIONS = {0x0300: "SSLv3", 0x0301: "TLSv1.0", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2"}
_GROUPS, _SCHEMES, _ALPN, _VERSIONS_EXTENSION, _KEY_SHARE = 10, 13, 16, 43, 51


def lines(connections: Sequence[Connection], round_trip_seconds: float) -> Iterator[str]:
    """Yield a line for each connection; times are round trips since the first one."""
    begin = connections[0].opened

    def at(moment: float | None) -> str:
        return "    -" if moment is None else f"{(moment - begin) / round_trip_seconds:5.2f}"

    for number, each in enumerate(connections, 1):
        yield f"{number:3} {at(each.opened)} {at(each.answered)} {at(each.ended)}  {describe(each.sent)}"


def describe(sent: bytes) -> str:
    """Return what a ClientHello asks for: version, how many suites, groups and signature schemes, the rest by name."""
    try:
        return _describe(sent) if sent[:1] == b"\x16" else f"no TLS hello: {sent[:12].hex()}"
    except (IndexError, struct.error):
        return f"a hello that is not whole: {sent[:12].hex()}"


def _describe(sent: bytes) -> str:
    version, place = _number(sent, 9), 43
    place += 1 + sent[place]  # the session id
    suites = sent[place + 2 : place + 2 + _number(sent, place)]
    place += 2 + len(suites)
    place += 1 + sent[place]  # the compression methods
    extensions: dict[int, bytes] = {}
    while place + 6 <= len(sent):
        place += 2 if not extensions else 0
        extensions[_number(sent, place)] = sent[place + 4 : place + 4 + _number(sent, place + 2)]
        place += 4 + _number(sent, place + 2)
    offered = extensions.get(_VERSIONS_EXTENSION, b"")
    name = "TLSv1.3" if offered == b"\x02\x03\x04" else "any" if offered else _VERSIONS.get(version, hex(version))
    counts = [f"{len(suites) // 2} suites from {suites[:2].hex()}"]
    for kind, what in ((_GROUPS, "groups"), (_SCHEMES, "schemes")):
        if kind in extensions:
            listed = extensions[kind][2:]
            counts.append(f"{len(listed) // 2} {what} from {listed[:2].hex()}")
    rest = [text for kind, text in ((0, "SNI"), (_ALPN, "ALPN")) if kind in extensions]
    if _KEY_SHARE in extensions:
        rest.append("a share" if len(extensions[_KEY_SHARE]) > 2 else "no share")
    return f"{name:8}{', '.join(counts + rest)}"


def _number(data: bytes, at: int) -> int:
    return int(struct.unpack_from("!H", data, at)[0])
