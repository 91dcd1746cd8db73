# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that is damaged under a mounted file system: the page cache hides it, and what a reboot will do is told.

The disk is a loop device on a lab host. Blocks are changed in the file behind it, as a faulty disk would.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.fleet import Fleet

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "/mnt/disk/system"
BLOCK_BYTES = 4096

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

#: The kernel's loop devices are those of the whole machine: one that nobody uses, made for this host alone.
MAKE_DISK = """
set -e
number=8
while [ -e /sys/block/loop$number/loop/backing_file ] || ! mknod -m 600 /dev/loop$number b 7 $number; do
    number=$((number - 1)); [ $number -gt 0 ]
done
mkdir -p /mnt/disk
truncate -s 64M /var/tmp/disk
mkfs.ext4 -q -F -b 4096 /var/tmp/disk
losetup /dev/loop$number /var/tmp/disk
echo /dev/loop$number > /var/tmp/device
mount -t ext4 /dev/loop$number /mnt/disk
"""

#: Three files, each block of which says whose it is and which one.
MAKE_SYSTEM = r"""
set -e
export PATH=$PATH:/usr/sbin:/sbin
mkdir -p /var/tmp/p/DEBIAN /var/tmp/p/usr/share/p
printf 'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: p\n' \
    > /var/tmp/p/DEBIAN/control
for name in fades heals sound; do
    python3 -c "import sys; sys.stdout.write(''.join(f'$name block {n} '.ljust(4096, '.') for n in range(8)))" \
        > /var/tmp/p/usr/share/p/$name
done
dpkg-deb --root-owner-group --build /var/tmp/p /var/tmp/p.deb > /var/tmp/build.log
mkdir -p SYSTEM/var/lib/dpkg/info SYSTEM/var/lib/dpkg/updates SYSTEM/var/lib/dpkg/triggers
touch SYSTEM/var/lib/dpkg/status
dpkg --root=SYSTEM --log=/var/tmp/dpkg.log --force-all --install /var/tmp/p.deb > /var/tmp/install.log
sync
""".replace("SYSTEM", SYSTEM)

VERIFY = """
import json, sys
sys.path.insert(0, "/opt/library")
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check
print(json.dumps(check(Options(root=sys.argv[1], read=sys.argv[2]))))
"""


class Disk:
    """The disk of the lab host, and verifications of the system on it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def run(self, command: str) -> str:
        return self.fleet.ssh("web1", command)

    def verify(self, read: str, root: str = SYSTEM) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.run(f"python3 /opt/verify.py {root} {read}"))
        return result

    def classes(self, read: str) -> dict[str, str]:
        return {finding["path"]: finding["class"] for finding in self.verify(read)["findings"]}

    def overwrite(self, name: str, with_text: str) -> None:
        """Change one block of a file on the disk, behind the back of the file system."""
        script = (
            "import sys; d = open('/var/tmp/disk', 'r+b'); at = d.read().index(sys.argv[1].encode());"
            f"assert at % {BLOCK_BYTES} == 0; d.seek(at); d.write(sys.argv[2].encode().ljust({BLOCK_BYTES}, b'.'))"
        )
        self.run(f'python3 -c "{script}" "{name}" "{with_text}"')

    def read_file(self, name: str) -> None:
        self.run(f"cat {SYSTEM}/usr/share/p/{name} > /var/tmp/read")

    def boot(self, options: str = "defaults") -> None:
        """Forget the page cache, as a boot does."""
        self.run(f"umount /mnt/disk && mount -t ext4 -o {options} $(cat /var/tmp/device) /mnt/disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    fleet = Fleet("pagecache", {"web1": "bookworm"}, tmp_path)
    try:
        library = tmp_path / "library.tar"
        prefix = "ansible_collections/ringmaster/webops/plugins/module_utils"
        parts = ("errors.py", "files", "packages")
        subprocess.run(
            [
                *("tar", "-C", str(ROOT / "plugins/module_utils"), "--exclude=__pycache__", "-cf", str(library)),
                *(f"--transform=s,^,{prefix}/,", *parts),
            ],
            check=True,
        )
        verify = tmp_path / "verify.py"
        verify.write_text(VERIFY)
        fleet.send("web1", library, "/opt/library.tar")
        fleet.send("web1", verify, "/opt/verify.py")
        fleet.ssh("web1", "mkdir /opt/library && tar -C /opt/library -xf /opt/library.tar")
        fleet.ssh("web1", MAKE_DISK)
        fleet.ssh("web1", MAKE_SYSTEM)
        yield Disk(fleet)
    finally:
        fleet.ssh("web1", "umount /mnt/disk; losetup -d $(cat /var/tmp/device)", check=False)
        fleet.down()


def test_what_the_page_cache_hides_and_what_a_boot_will_do(disk: Disk) -> None:
    result = disk.verify("both")
    assert result["summary"]["verdict"] == "consistent", result
    assert result["coverage"]["read"]["read_mode"] == "both"
    assert result["coverage"]["read"]["files_from_disk"] == 3

    disk.boot()
    disk.overwrite("heals block 3 ", "rubbish block 3 ")
    disk.read_file("heals")
    disk.overwrite("rubbish block 3 ", "heals block 3 ")
    disk.read_file("fades")
    disk.overwrite("fades block 5 ", "rubbish block 5 ")

    assert disk.classes("cached") == {"/usr/share/p/heals": "content_changed"}
    assert disk.classes("uncached") == {"/usr/share/p/fades": "content_changed"}
    assert disk.classes("both") == {
        "/usr/share/p/fades": "cached_good_disk_bad",
        "/usr/share/p/heals": "cached_bad_disk_good",
    }

    disk.boot()
    assert disk.classes("cached") == {"/usr/share/p/fades": "content_changed"}


def test_what_does_not_surely_read_the_disk_is_not_claimed_to(disk: Disk) -> None:
    disk.boot("data=journal")
    result = disk.verify("uncached")
    assert result["coverage"]["read"]["read_mode"] == "unproven"
    assert [(each["file_system"], each["files"]) for each in result["coverage"]["read"]["unproven"]] == [("ext4", 3)]
    assert "journals data" in result["coverage"]["read"]["unproven"][0]["reason"]
    assert [gap["reason"] for gap in result["coverage"]["gaps"]] == ["read_mode_unproven"]

    disk.run(f"mkdir -p /run/system && cp -a {SYSTEM}/. /run/system/")
    result = disk.verify("both", "/run/system")
    assert result["findings"] == []
    assert [each["file_system"] for each in result["coverage"]["read"]["unproven"]] == ["tmpfs"]
