# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The system calls behind a shadow start that Python 3.9 has no function for, and a network that leads nowhere.

Sources: unshare(2), mount(2), umount2(2), pivot_root(2), prctl(2), capset(2), rtnetlink(7), netdevice(7). Every
function raises OSError whose text names what was attempted.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000

_MNT_DETACH = 0x2
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LINUX_CAPABILITY_VERSION_3 = 0x2008_0522

#: What a server needs to start as root and to give its rights away again (capabilities(7)). Without the others, root in
#: the shadow can neither mount, nor make device nodes, nor open files by handle, nor touch kernel, clock or modules.
KEPT_CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
}

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_RTM_NEWROUTE = 24
_NLM_F_REQUEST_ACK_CREATE = 0x1 | 0x4 | 0x400
_RT_TABLE_LOCAL = 255
_RTPROT_BOOT = 3
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_HOST = 254
_RTN_LOCAL = 2
_RTA_OIF = 4
_LOOPBACK_INDEX = 1
_IPV6_NONLOCAL_BIND = Path("/proc/sys/net/ipv6/ip_nonlocal_bind")

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _encoded(value: str | Path | None) -> bytes | None:
    return None if value is None else os.fsencode(value)


def unshare(flags: int) -> None:
    """Leave namespaces (``CLONE_NEW*``) for new ones; a new PID namespace begins with the next child."""
    _checked(_libc.unshare(flags), "unshare")


def mount(
    source: str | Path | None, target: str | Path, kind: str | None = None, flags: int = 0, data: str | None = None
) -> None:
    """Mount a file system of a kind, or bind or change a mount (``MS_*``)."""
    status = _libc.mount(_encoded(source), _encoded(target), _encoded(kind), ctypes.c_ulong(flags), _encoded(data))
    _checked(status, f"mount {kind or source or ''} on {target}")


def bind_read_only(source: Path, target: Path, flags: int = 0) -> None:
    """Make a file or directory, without the mounts below it, visible at another path, where it cannot be written."""
    mount(source, target, flags=MS_BIND)
    # A bind mount takes its flags with a second call only.
    mount(None, target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def change_root(new_root: Path) -> None:
    """Make a mount the root of this mount namespace, and let go of the old root with all that is mounted in it."""
    os.chdir(new_root)
    _checked(_libc.pivot_root(b".", b"."), f"pivot_root to {new_root}")
    # Both roots are now at the same place, the old one on top (pivot_root(2), "pivot_root(".", ".")").
    _checked(_libc.umount2(b".", _MNT_DETACH), "umount2 of the old root")
    os.chdir("/")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends.

    A parent that ended before the call is not noticed: the caller has to look.
    """
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl PR_SET_PDEATHSIG")


def keep_capabilities(kept: frozenset[int] = frozenset(KEPT_CAPABILITIES.values())) -> None:
    """Give up all capabilities but those, for this process and for every program that it will start."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    held = [number for number in range(64) if _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1]
    for number in held:
        if number not in kept:
            _checked(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), f"prctl PR_CAPBSET_DROP {number}")
    mask = sum(1 << number for number in held if number in kept)
    low, high = mask & 0xFFFF_FFFF, mask >> 32
    header = struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    # Effective, permitted and inheritable, the lower halves first.
    _checked(_libc.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)), "capset")


def make_every_address_local() -> list[str]:
    """Give a new network namespace its loopback, and have every address of the world be an address of its own.

    A server can then bind whatever addresses its configuration names, and no packet has anywhere else to go
    (ip-route(8), type ``local``). Return the address families, ``["IPv4"]`` where the kernel has no IPv6. ``/proc/sys``
    must be writable. A network that is in use is refused: it would be cut off.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        if struct.unpack_from("=H", flags, 16)[0] & _IFF_UP:
            raise OSError(errno.EBUSY, "the network namespace is not a new one: its loopback is up")
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    _add_local_route(socket.AF_INET, _RT_SCOPE_HOST)
    try:
        _add_local_route(socket.AF_INET6, _RT_SCOPE_UNIVERSE)
    except OSError:
        # Switched off, by the kernel's command line or by sysctl: then the real host has none either.
        return ["IPv4"]
    # IPv6 takes a route for an answer to packets, and not for a permission to bind as IPv4 does.
    _IPV6_NONLOCAL_BIND.write_text("1", encoding="ascii")
    return ["IPv4", "IPv6"]


def _add_local_route(family: int, scope: int) -> None:
    """Route all addresses of a family to the loopback as local ones (rtnetlink(7))."""
    route = struct.pack("=8BI", family, 0, 0, 0, _RT_TABLE_LOCAL, _RTPROT_BOOT, scope, _RTN_LOCAL, 0)
    attribute = struct.pack("=HHI", 8, _RTA_OIF, _LOOPBACK_INDEX)
    length = 16 + len(route) + len(attribute)
    header = struct.pack("=IHHII", length, _RTM_NEWROUTE, _NLM_F_REQUEST_ACK_CREATE, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(5)
        netlink.send(header + route + attribute)
        answer = netlink.recv(4096)
    (status,) = struct.unpack_from("=i", answer, 16)
    if status not in (0, -errno.EEXIST):
        raise OSError(-status, f"a local route for family {family}: {os.strerror(-status)}")
