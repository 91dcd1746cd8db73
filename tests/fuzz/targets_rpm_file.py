# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reader of packages of rpm, which may come from anybody, and of what stands in them for a signature."""

from __future__ import annotations

import hashlib
import tempfile

from peers.hand_made_rpm import COMPRESSIONS, MAGIC, TRAILER, File, entry, payload_of, rpm, stripped, tags
from peers.rpm_system import encode_header

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import rpm_file, rpm_signature
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_payload import RpmError
from fuzz.engine import Target

_FILES = (
    File(b"/usr/a", b"first\n", capabilities=b"cap_net_raw=ep"),
    File(b"/usr/d", mode=0o40755),
    File(b"/usr/h", b"hard\n", inode=7),
    File(b"/usr/i", b"hard\n", inode=7),
    File(b"/usr/s", mode=0o120777, target=b"../a", size=4),
    File(b"/usr/c", mode=0o20600, device=0x103),
    File(b"/usr/g", flags=64),
)
_PAYLOADS = (
    payload_of(*_FILES),
    b"".join(stripped(number, content) for number, content in enumerate((b"first\n", b"", b"", b"hard\n", b"../a")))
    + TRAILER,
    entry(b"./usr/a", b"first\n", b"070702") + entry(b"./usr/h") + entry(b"./usr/i", b"hard\n") + TRAILER,
)
_PACKAGES = tuple(rpm(tags(*_FILES), _PAYLOADS[0], compressor=name).joined() for name in COMPRESSIONS)
_HEADER = rpm(tags(*_FILES), _PAYLOADS[0], compressor="", with_payload_digest=False).header
_SIGNATURES = (b"\x88\x07\4\0\1\x08abc", b"\xc2\x08\6\0\1\x08abcd", b"\xc2\xff\0\0\0\7\3\5\0abcd")


def _package(data: bytes) -> None:
    """Read a package; what is in it must lie inside the root, each file with a digest."""
    with tempfile.NamedTemporaryFile(suffix=".rpm") as stream:
        stream.write(data)
        stream.flush()
        found = rpm_file.read(stream.name)
    for path, one in found.members.items():
        assert path == one.path
        assert path.startswith(b"/") and not {b"", b".", b".."} & set(path.split(b"/")[1:]) and b"\n" not in path
        assert (one.kind == "file") is (one.sha256 is not None)
        assert one.linked_to is None or found.members[one.linked_to].sha256 == one.sha256
        assert 0 <= one.mode <= 0o7777 and one.size >= 0
    assert found.package.name
    assert set(found.conffiles) | set(found.capabilities) <= set(found.members)


def _package_of(data: bytes) -> None:
    """Read a package with this payload, of which nothing has a digest but the files."""
    _package(rpm(tags(*_FILES), data, compressor="", with_payload_digest=False).joined())


def _package_with(data: bytes) -> None:
    """Read a package with this header, whose digest is made right: else no change comes through."""
    signatures = MAGIC + encode_header({273: (6, (hashlib.sha256(data).hexdigest().encode(),))}, {}, (), region=62)
    parts = rpm(tags(*_FILES), _PAYLOADS[0], compressor="")
    padding = bytes(-len(signatures) % 8)
    _package(parts._replace(signatures=signatures, padding=padding, header=data).joined())


def _signature(data: bytes) -> None:
    rpm_signature.require_signature(data)
    assert data[0] in (0x88, 0x89, 0x8A, 0xC2)


#: Each takes a millisecond or more, since it goes by way of a file.
SLOW_TARGETS = (
    Target("package of rpm", _PACKAGES, _package, (RpmError,)),
    Target("payload of rpm", _PAYLOADS, _package_of, (RpmError,)),
    Target("header in a package of rpm", (_HEADER,), _package_with, (RpmError,)),
)
#: Each takes microseconds.
TARGETS = (Target("signature in a package of rpm", _SIGNATURES, _signature, (RpmError,)),)
