# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Capabilities of a file: the kernel's extended attribute and the text form that packages record.

Sources: capabilities(7) ("File capability extended attribute versioning"), linux/capability.h, cap_from_text(3).
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

#: The extended attribute that holds them.
ATTRIBUTE = "security.capability"

#: Numbers are places in this list.
_NAMES = (
    *("chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner"),
    *("sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice"),
    *("sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap"),
    *("mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf"),
    "checkpoint_restore",
)
_NUMBERS = {f"cap_{name}": number for number, name in enumerate(_NAMES)}
_ALL = (1 << len(_NAMES)) - 1

_EFFECTIVE = 1
#: By version: how many pairs of 32-bit sets follow, and whether the user id of a namespace's root does.
_VERSIONS = {1: (1, False), 2: (2, False), 3: (2, True)}

_CLAUSE = re.compile(r"([a-z0-9_,]*)((?:[=+-][eip]*)+)")
_ACTION = re.compile(r"([=+-])([eip]*)")
_ROOT_ID = re.compile(r"\s*\[rootid=(\d{1,10})\]$")

#: Nothing that a tool writes is longer.
_MAX_TEXT = 4096


class Capabilities(NamedTuple):
    """The sets of one file as bits, and whether the permitted ones are effective at once."""

    permitted: int = 0
    inheritable: int = 0
    effective: bool = False
    root_id: int = 0


def parse_attribute(data: bytes) -> Capabilities | None:
    """Read the value of the extended attribute; `None` when it is malformed."""
    if len(data) < 4:
        return None
    (magic,) = struct.unpack_from("<I", data)
    pairs, with_root = _VERSIONS.get(magic >> 24, (0, False))
    if not pairs or len(data) != 4 + 8 * pairs + 4 * with_root:
        return None
    words = struct.unpack_from(f"<{2 * pairs}I", data, 4)
    permitted = sum(word << (32 * place) for place, word in enumerate(words[0::2]))
    inheritable = sum(word << (32 * place) for place, word in enumerate(words[1::2]))
    root_id = struct.unpack_from("<I", data, 4 + 8 * pairs)[0] if with_root else 0
    return Capabilities(permitted & _ALL, inheritable & _ALL, bool(magic & _EFFECTIVE), root_id)


def to_attribute(capabilities: Capabilities) -> bytes:
    """Return the value of the extended attribute; of version 3 only where a user namespace has a root of its own."""
    version = 3 if capabilities.root_id else 2
    low, high = 0xFFFFFFFF, 32
    sets = (capabilities.permitted, capabilities.inheritable)
    words = (*(each & low for each in sets), *(each >> high for each in sets))
    data = struct.pack("<5I", version << 24 | (_EFFECTIVE if capabilities.effective else 0), *words)
    return data + (struct.pack("<I", capabilities.root_id) if version == 3 else b"")


def parse_text(text: str) -> Capabilities | None:
    """Read the text form (``cap_net_raw=ep``, older ``= cap_net_raw+ep``); `None` when it is malformed."""
    if len(text) > _MAX_TEXT:
        return None
    root = _ROOT_ID.search(text)
    sets = {"e": 0, "i": 0, "p": 0}
    for clause in (text[: root.start()] if root else text).split():
        match = _CLAUSE.fullmatch(clause)
        bits = _bits(match.group(1)) if match else None
        if match is None or bits is None:
            return None
        for operator, flags in _ACTION.findall(match.group(2)):
            _apply(sets, bits, operator, flags)
    return Capabilities(sets["p"], sets["i"], bool(sets["e"]), int(root.group(1)) if root else 0)


def _bits(names: str) -> int | None:
    if names in ("", "all"):
        return _ALL
    bits = 0
    for name in names.split(","):
        number = int(name) if name.isdigit() and len(name) < 3 else _NUMBERS.get(name)
        if number is None or number > 63:
            return None
        bits |= 1 << number
    return bits


def _apply(sets: dict[str, int], bits: int, operator: str, flags: str) -> None:
    """Do one action of a clause: ``=`` sets these flags and no others, ``+`` adds and ``-`` takes them away."""
    for flag in sets:
        if operator == "=" or (operator == "-" and flag in flags):
            sets[flag] &= ~bits
        if operator != "-" and flag in flags:
            sets[flag] |= bits


def to_text(capabilities: Capabilities) -> str:
    """Return the text form; empty when there are none. The root of another user namespace follows in brackets."""
    by_flags: dict[str, list[str]] = {}
    for name, number in _NUMBERS.items():
        permitted = capabilities.permitted >> number & 1
        inheritable = capabilities.inheritable >> number & 1
        if permitted or inheritable:
            flags = "e" * capabilities.effective + "i" * inheritable + "p" * permitted
            by_flags.setdefault(flags, []).append(name)
    text = " ".join(f"{','.join(names)}={flags}" for flags, names in by_flags.items())
    return f"{text} [rootid={capabilities.root_id}]" if capabilities.root_id else text
