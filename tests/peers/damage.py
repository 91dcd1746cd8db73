# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damage for the root of an installed system, as storage and people do it: seeded, and always a real change.

Every kind changes one path in one way. Which paths a kind can be applied to is part of it, and a kind that would leave
a path as it was (a zeroed block in a file of zeros) says so instead of pretending.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BLOCK_BYTES = 4096


@dataclass
class Sample:
    """A root in which nothing is wrong, and what can be damaged in it; paths are relative to the root.

    ``older`` maps a file to its content in the version of its package before. ``database`` are files of the package
    database, which is ``sealed`` when it holds digests of itself.
    """

    root: Path
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    older: dict[str, bytes] = field(default_factory=dict)
    database: list[str] = field(default_factory=list)
    sealed: bool = False

    def path(self, name: str) -> Path:
        """Return where a path of the sample is."""
        return self.root / name.lstrip("/")


Apply = Callable[[Sample, str, random.Random], bool]


@dataclass(frozen=True)
class Kind:
    """One way to damage one path; ``apply`` tells whether the path is another one now."""

    name: str
    applies_to: str
    apply: Apply


def _rewrite(path: Path, content: bytes) -> bool:
    """Put other content in place, as a disk does: same inode, same mode, same owner."""
    if content == path.read_bytes():
        return False
    with path.open("r+b") as stream:
        stream.write(content)
        stream.truncate()
    return True


def _with_block(content: bytes, block: bytes, generator: random.Random) -> bytes:
    """Return the content with one of its blocks replaced; it keeps its length."""
    first = generator.randrange(max(1, -(-len(content) // BLOCK_BYTES))) * BLOCK_BYTES
    end = min(first + BLOCK_BYTES, len(content))
    return content[:first] + block[: end - first].ljust(end - first, b"\0") + content[end:]


def zeroed_block(sample: Sample, name: str, generator: random.Random) -> bool:
    """A block that never reached the disk."""
    content = sample.path(name).read_bytes()
    return _rewrite(sample.path(name), _with_block(content, bytes(BLOCK_BYTES), generator))


def random_block(sample: Sample, name: str, generator: random.Random) -> bool:
    """A block of something else, or of a broken cipher."""
    content = sample.path(name).read_bytes()
    return _rewrite(sample.path(name), _with_block(content, generator.randbytes(BLOCK_BYTES), generator))


def block_of_another_file(sample: Sample, name: str, generator: random.Random) -> bool:
    """A misdirected write: plausible bytes in the wrong place."""
    content = sample.path(name).read_bytes()
    donors = [other for other in sample.database if name in sample.database and other != name] or sample.files
    donor = sample.path(generator.choice(donors))
    if donor.is_symlink() or not donor.is_file():
        return False
    return _rewrite(sample.path(name), _with_block(content, donor.read_bytes()[:BLOCK_BYTES], generator))


def flipped_bit(sample: Sample, name: str, generator: random.Random) -> bool:
    """One bit, of memory or of a cable."""
    content = bytearray(sample.path(name).read_bytes())
    if not content:
        return False
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    return _rewrite(sample.path(name), bytes(content))


def reverted(sample: Sample, name: str, _generator: random.Random) -> bool:
    """The content of the version before: a snapshot that came back."""
    return name in sample.older and _rewrite(sample.path(name), sample.older[name])


def truncated(sample: Sample, name: str, generator: random.Random) -> bool:
    """The end of the file is gone, anywhere in it."""
    content = sample.path(name).read_bytes()
    return bool(content) and _rewrite(sample.path(name), content[: generator.randrange(len(content))])


def grown(sample: Sample, name: str, generator: random.Random) -> bool:
    """Something was appended."""
    content = sample.path(name).read_bytes()
    return _rewrite(sample.path(name), content + generator.randbytes(generator.randrange(1, 2 * BLOCK_BYTES)))


def deleted(sample: Sample, name: str, _generator: random.Random) -> bool:
    """The name is gone; of a directory with all that was in it."""
    path = sample.path(name)
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        path.unlink()
    return True


def to_directory(sample: Sample, name: str, _generator: random.Random) -> bool:
    """A directory in its place."""
    sample.path(name).unlink()
    sample.path(name).mkdir()
    return True


def to_link(sample: Sample, name: str, _generator: random.Random) -> bool:
    """A link to nowhere in its place."""
    sample.path(name).unlink()
    sample.path(name).symlink_to("/nowhere")
    return True


def to_fifo(sample: Sample, name: str, _generator: random.Random) -> bool:
    """A FIFO in its place: whoever opens it waits for ever."""
    sample.path(name).unlink()
    os.mkfifo(sample.path(name))
    return True


def to_socket(sample: Sample, name: str, _generator: random.Random) -> bool:
    """A socket in its place; bound by a short name, since the length of such a name is limited."""
    path = sample.path(name)
    path.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)
    return True


def to_file(sample: Sample, name: str, generator: random.Random) -> bool:
    """A regular file in the place of a link."""
    sample.path(name).unlink()
    sample.path(name).write_bytes(generator.randbytes(100))
    return True


def other_mode(sample: Sample, name: str, generator: random.Random) -> bool:
    """Another set of permissions, never one that keeps root from reading it."""
    path = sample.path(name)
    before = stat.S_IMODE(os.lstat(path).st_mode)
    path.chmod(before ^ generator.choice([0o001, 0o020, 0o111, 0o4000]))
    return True


def other_owner(sample: Sample, name: str, generator: random.Random) -> bool:
    """Another owner or another group."""
    number = generator.randrange(1, 60000)
    pair = generator.choice([(number, -1), (-1, number)])
    os.chown(sample.path(name), *pair, follow_symlinks=False)
    return True


def other_target(sample: Sample, name: str, generator: random.Random) -> bool:
    """A link that leads elsewhere."""
    path = sample.path(name)
    path.unlink()
    path.symlink_to(f"elsewhere-{generator.randrange(10**6)}")
    return True


KINDS = (
    Kind("zeroed block", "files", zeroed_block),
    Kind("random block", "files", random_block),
    Kind("block of another file", "files", block_of_another_file),
    Kind("flipped bit", "files", flipped_bit),
    Kind("reverted content", "files", reverted),
    Kind("truncated", "files", truncated),
    Kind("grown", "files", grown),
    Kind("deleted file", "files", deleted),
    Kind("directory for a file", "files", to_directory),
    Kind("link for a file", "files", to_link),
    Kind("FIFO for a file", "files", to_fifo),
    Kind("socket for a file", "files", to_socket),
    Kind("mode of a file", "files", other_mode),
    Kind("owner of a file", "files", other_owner),
    Kind("deleted link", "links", deleted),
    Kind("file for a link", "links", to_file),
    Kind("target of a link", "links", other_target),
    Kind("owner of a link", "links", other_owner),
    Kind("deleted directory", "directories", deleted),
    Kind("mode of a directory", "directories", other_mode),
    Kind("owner of a directory", "directories", other_owner),
)
DATABASE_KINDS = (
    Kind("zeroed block", "database", zeroed_block),
    Kind("random block", "database", random_block),
    Kind("block of another file", "database", block_of_another_file),
    Kind("flipped bit", "database", flipped_bit),
    Kind("reverted content", "database", reverted),
    Kind("truncated", "database", truncated),
    Kind("deleted", "database", deleted),
    Kind("directory for a file", "database", to_directory),
)
