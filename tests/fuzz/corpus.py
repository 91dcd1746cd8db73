# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recorded answers of real servers, and the handshake messages in them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

PATH = Path(__file__).with_name("corpus.txt")
#: The entry that is no answer but the certificate of the authority that the servers' certificates are of.
AUTHORITY = "authority"


def read() -> tuple[tuple[bytes, ...], bytes]:
    """Return the recorded answers, and the authority's certificate in DER."""
    rows = (line.split() for line in PATH.read_text(encoding="ascii").splitlines() if not line.startswith("#"))
    entries = {name: base64.b64decode(content) for name, content in rows}
    authority = entries.pop(AUTHORITY)
    return tuple(entries.values()), authority


def messages(answers: Iterable[bytes], kind: int) -> tuple[bytes, ...]:
    """Return the bodies of the handshake messages of one kind that the answers have in clear."""
    found = []
    for answer in answers:
        in_clear, at = b"", 0
        while answer[at : at + 1] == b"\x16":
            length = int.from_bytes(answer[at + 3 : at + 5], "big")
            in_clear += answer[at + 5 : at + 5 + length]
            at += 5 + length
        while in_clear:
            end = 4 + int.from_bytes(in_clear[1:4], "big")
            if in_clear[0] == kind:
                found.append(in_clear[4:end])
            in_clear = in_clear[end:]
    return tuple(found)
