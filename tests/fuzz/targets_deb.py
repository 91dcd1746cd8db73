# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The readers of what a package archive sends: packages, Releases, keyrings, and the sources that name them."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from peers.hand_made_deb import COMPRESSIONS, control_tar, member, tar
from peers.hand_made_deb import deb as make

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import (
    archive_release,
    archive_sources,
    attributes,
    deb,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_release import Release
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import DebError
from fuzz.engine import Target

_FILES = tar(
    member(b"./usr/", kind=b"5"),
    member(b"./usr/a", b"first\n", owner=b"games"),
    member(b"./usr/h", kind=b"1", link=b"./usr/a"),
    member(b"./usr/s", kind=b"2", link=b"../a"),
    member(b"././@LongLink", b"usr/" + b"n" * 200, b"L"),
    member(b"x", b"long\n", uid=b"\x80\0\0\0\0\1\0\0"),
    member(b"name", b"prefixed", magic=b"ustar\x0000", prefix=b"./pre"),
    member(b"./dev", kind=b"3", major=b"0000001\0", minor=b"0000003\0"),
)
_CONTROL = control_tar(md5sums=b"0123456789abcdef" * 2 + b"  usr/a\n", conffiles=b"/usr/a\n", postinst=b"#!/bin/sh\n")
_PACKAGES = tuple(make(_FILES, _CONTROL, suffix) for suffix in COMPRESSIONS)
_INDEX = b"Package: a\nVersion: 1:2-3\nArchitecture: all\nSize: 12\nSHA256: " + b"0a" * 32 + b"\n\n"
_LIST = b"deb [arch=amd64,i386 signed-by=/a.gpg] http://a.example.org/a stable main contrib # more\ndeb file:/a ./\n"
_SOURCES = (
    b"Types: deb deb-src\nURIs: http://a\nSuites: a b\nComponents: main\nSigned-By:\n -----BEGIN\n .\n x\n# c\n\nX: y\n"
)
_BORDER = b" PGP PUBLIC KEY BLOCK-----\n"
_KEY = b"-----BEGIN" + _BORDER + b"Comment: x\n\nmQENBFit\nAAAA\n=abcd\n-----END" + _BORDER
_STATUS = (
    b"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 0123 x\n[GNUPG:] VALIDSIG 01AB 2026-01-01 1 0 4 0 22 10 01 02CD\n",
    b"[GNUPG:] ERRSIG 0123 1 8 00 1 9 -\n[GNUPG:] NO_PUBKEY 0123\n[GNUPG:] BADSIG 0123 x\n",
)


def _package(data: bytes) -> None:
    """Read a package; what is in it must lie inside the root, each path once, each file with a digest."""
    with tempfile.NamedTemporaryFile(suffix=".deb") as stream:
        stream.write(data)
        stream.flush()
        found = deb.read(stream.name, md5=True)
    for path, one in found.members.items():
        assert path == one.path
        assert path.startswith(b"/") and b".." not in path.split(b"/") and b"\n" not in path
        assert (one.kind == "file") is (one.sha256 is not None) is (path in found.members_md5)
        assert one.linked_to is None or found.members[one.linked_to].sha256 == one.sha256
        assert 0 <= one.mode <= 0o7777 and one.size >= 0
    assert found.name and found.version and found.architecture


def _package_of(data: bytes) -> None:
    """Read a package with this data archive, the checksums of which are made right: else few changes come through."""
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    for number, block in enumerate(blocks):
        if block[257:262] == b"ustar" and len(block) == 512:
            total = sum(block) - sum(block[148:156]) + 8 * 32
            blocks[number] = block[:148] + b"%06o\0 " % total + block[156:]
    _package(make(b"".join(blocks), _CONTROL))


def _index(data: bytes) -> None:
    """Read an index of packages that has been signed as it is."""
    release = Release({b"Packages": hashlib.sha256(data).hexdigest().encode()}, "signed")
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(data)
        stream.flush()
        found = archive_release.read_index(Path(stream.name), release, "Packages", None, "http://a/")
    assert all(len(record.sha256) == 64 and record.size >= 0 for _identity, record in found)


def _sources(data: bytes) -> None:
    for fields in archive_sources.parse_list(data) + archive_sources.parse_sources(data):
        kept = "".join(value for name, value in fields.items() if name in ("uris", "suites", "components"))
        assert fields["uris"] and fields["suites"] and not set("\0\n\r") & set(kept)


def _signers(data: bytes) -> None:
    found = archive_release.signers_of_status(data.decode("ascii", "replace"))
    assert not found or (b"GOODSIG" in data and b"VALIDSIG" in data)


#: Each takes a millisecond or more, since it goes by way of a file.
SLOW_TARGETS = (
    Target("package", _PACKAGES, _package, (DebError,)),
    Target("data archive", (_FILES,), _package_of, (DebError,)),
    Target("index of packages", (_INDEX * 3, _INDEX), _index, (MeasurementError,)),
)
#: Each takes microseconds.
TARGETS = (
    Target("Release", (b"Suite: a\nSHA256:\n " + b"0a" * 32 + b" 12 main/a\nX: y\n",), archive_release.digests),
    Target("package sources", (_LIST, _SOURCES), _sources),
    Target("keyring", (_KEY,), archive_sources.dearmour),
    Target("signatures", _STATUS, _signers),
    Target("scripts", (b"chmod 755 /usr/bin/a\n",), lambda data: attributes.in_scripts([data])),
)
