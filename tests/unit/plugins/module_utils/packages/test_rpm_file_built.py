# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that rpmbuild makes, with every compression that it knows: what is read of them, and of their headers."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import rpm_file
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import Header
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_payload import RpmError

from .....peers.rpm_system import RpmSystem, sha256

_WRITERS = ("w.ufdio", "w9.gzdio", "w6.xzdio", "w6.lzdio", "w9.bzdio", "w3.zstdio", "w19T0.zstdio")
LARGE = random.Random(1).randbytes(700_000)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpmSystem]:
    base = tmp_path_factory.mktemp("rpm")
    yield RpmSystem.new(base)
    shutil.rmtree(base)


def build(system: RpmSystem, writer: str, name: str = "real") -> Path:
    return system.build(
        name,
        {"/usr/bin/real": LARGE, "/etc/real.conf": b"setting = 1\n", "/usr/share/real/empty": b""},
        [
            "%dir /",
            "%attr(4755,daemon,mail) %caps(cap_net_raw=ep) /usr/bin/real",
            "/usr/bin/hard",
            "/usr/bin/link",
            "%config(noreplace) /etc/real.conf",
            "%ghost /var/ghost",
            "%dev(c,1,3) %attr(0600,root,root) /usr/share/real/device",
            "/usr/share/real",
        ],
        install="ln %{buildroot}/usr/bin/real %{buildroot}/usr/bin/hard; ln -s real %{buildroot}/usr/bin/link; "
        "mkdir %{buildroot}/var; touch %{buildroot}/var/ghost",
        preamble="%post\nsetcap cap_net_raw=ep /usr/bin/real\n%posttrans\necho done",
        defines={"_binary_payload": writer},
    )


@pytest.mark.parametrize("writer", _WRITERS)
def test_what_rpmbuild_makes_is_read(system: RpmSystem, writer: str, tmp_path: Path) -> None:
    package = build(system, writer)

    found = rpm_file.read(str(package))

    members = found.members
    assert found.package.nevra == "real-1.0-1.noarch"
    assert set(members) == {
        b"/etc/real.conf",
        b"/usr/bin/hard",
        b"/usr/bin/link",
        b"/usr/bin/real",
        b"/usr/share/real",
        b"/usr/share/real/device",
        b"/usr/share/real/empty",
    }
    assert members[b"/usr/bin/hard"].sha256 == members[b"/usr/bin/real"].sha256 == sha256(LARGE)
    assert members[b"/usr/bin/real"].linked_to == b"/usr/bin/hard"
    assert members[b"/usr/bin/link"].target == b"real"
    assert members[b"/usr/share/real/device"].device == os.makedev(1, 3)
    assert found.conffiles == (b"/etc/real.conf",)
    assert [script.strip() for script in found.scripts] == [b"setcap cap_net_raw=ep /usr/bin/real", b"echo done"]
    real = members[b"/usr/bin/real"]
    assert (real.mode, real.owner, real.group, real.size) == (0o4755, "daemon", "mail", len(LARGE))
    assert found.capabilities[b"/usr/bin/real"] == "cap_net_raw=ep"
    for path in (b"/usr/bin/real", b"/usr/bin/hard"):
        with (tmp_path / "copy").open("wb") as stream:
            rpm_file.copy(str(package), members[path], stream.fileno())
        assert (tmp_path / "copy").read_bytes() == LARGE


@pytest.mark.parametrize("damage", ("none", "cut", "flip"))
def test_rpm2cpio_stands_in_for_zstd(
    system: RpmSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(rpm_file, "_ZSTD", ("no-such-zstd",))
    data = bytearray(build(system, "w3.zstdio").read_bytes())
    package = tmp_path / "package.rpm"
    if damage == "flip":
        data[-1000] ^= 0x10
    package.write_bytes(data[:-1000] if damage == "cut" else data)
    if damage == "none":
        assert rpm_file.read(str(package)).members[b"/usr/bin/real"].sha256 == sha256(LARGE)
        return
    with pytest.raises(RpmError):
        rpm_file.read(str(package))


def test_the_header_of_an_installed_package_is_that_of_its_file(system: RpmSystem) -> None:
    package = build(system, "w9.gzdio", "installed")
    system.install("--excludepath", "/usr/share/real/device", package)

    installed = Header(system.blob("installed"))

    in_file = rpm_file.read(str(package)).header
    assert installed.region_sha256() == in_file.region_sha256() == hashlib.sha256(in_file.region()).hexdigest()
    assert in_file.is_whole()
    assert not installed.is_whole()


def test_the_header_of_another_build_is_another(system: RpmSystem) -> None:
    one = rpm_file.read(str(build(system, "w9.gzdio"))).header
    other = rpm_file.read(str(build(system, "w3.zstdio"))).header

    assert one.region_sha256() != other.region_sha256()
