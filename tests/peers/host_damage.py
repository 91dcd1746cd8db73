# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run on a host: damages files of the packages named there, and says which. What runs keeps the old inode.

Usage: host_damage.py SEED COUNT PACKAGE... - prints one line of JSON, a list of [kind, path].
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

BLOCK_BYTES = 4096
#: What the host needs to be reached, and to start, whatever the seed says.
ALWAYS = (
    ("zeroed", "/usr/sbin/sshd"),
    ("deleted", "/lib/systemd/system/ssh.service"),
    ("random", "/lib/systemd/systemd"),
    ("truncated", "/lib/systemd/systemd-logind"),
    ("directory", "/usr/bin/ssh-keygen"),
    ("deleted", "/sbin/init"),
    ("zeroed", "/usr/bin/dbus-daemon"),
)
KINDS = ("zeroed", "random", "truncated", "deleted", "directory", "fifo", "link")


def rewrite(path: Path, content: bytes) -> None:
    """Put another content at a path; a program that runs keeps the one that it has, as it does on a disk's damage."""
    beside = path.with_name(path.name + ".damage")
    beside.write_bytes(content)
    shutil.copystat(path, beside)
    status = path.stat()
    os.chown(beside, status.st_uid, status.st_gid)
    shutil.copystat(path, beside)
    beside.replace(path)


def damage(kind: str, path: Path) -> bool:
    """Damage a path; tells whether it is another one now."""
    if path.is_symlink() or kind == "deleted":
        path.unlink()
        return True
    content = path.read_bytes()
    end = min(len(content), BLOCK_BYTES)
    changed = {
        "zeroed": bytes(end) + content[end:],
        "random": random.randbytes(end) + content[end:],
        "truncated": content[: len(content) // 2],
    }
    if kind in changed:
        if changed[kind] == content:
            return False
        rewrite(path, changed[kind])
        return True
    path.unlink()
    if kind == "directory":
        path.mkdir()
        (path / "lost").write_bytes(b"lost")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/nonexistent")
    return True


def candidates(packages: list[str]) -> list[Path]:
    """Return the files and links of packages, but conffiles and what several names share."""
    listed = subprocess.run(["dpkg-query", "--listfiles", *packages], check=True, capture_output=True, text=True).stdout
    conffiles = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Conffiles}\n", *packages], check=True, capture_output=True, text=True
    ).stdout
    kept = {line.split()[0] for line in conffiles.splitlines() if line.split()}
    found = []
    for line in sorted(set(listed.splitlines())):
        path = Path(line)
        if (
            line.startswith("/")
            and line not in kept
            and (path.is_symlink() or (path.is_file() and path.stat().st_size))
        ):
            found.append(path)
    return found


def main() -> None:
    """Damage what must be, then what the seed chooses."""
    random.seed(int(sys.argv[1]))
    done = [(kind, path) for kind, path in ALWAYS if damage(kind, Path(path))]
    taken = {os.path.realpath(Path(path).parent) + "/" + Path(path).name for _kind, path in done}
    for path in random.sample(candidates(sys.argv[3:]), 5 * int(sys.argv[2])):
        place = os.path.realpath(path.parent) + "/" + path.name
        if place in taken or not os.path.lexists(place):
            continue
        kind = random.choice(KINDS)
        if damage(kind, path):
            done.append((kind, str(path)))
            taken.add(place)
        if len(done) == int(sys.argv[2]):
            break
    os.sync()
    print(json.dumps(done))


if __name__ == "__main__":
    main()
