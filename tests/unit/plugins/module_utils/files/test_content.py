# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What looks damaged, and what must not."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.files.content import MAX_BYTES, suspicions

TEXT = b"setting = value # a line of text\n" * 400
RANDOM = random.Random(1).randbytes(4096)


def damaged(data: bytes, block: bytes, at: int = 4096) -> bytes:
    return data[:at] + block + data[at + len(block) :]


@pytest.mark.parametrize(
    ("path", "data", "words"),
    [
        (b"/usr/share/a.txt", damaged(TEXT, bytes(4096)), "1 of its 4 blocks hold NUL bytes alone, the first at 4096"),
        (b"/etc/hosts", damaged(TEXT, bytes(4096), 0), "the first at 0"),
        (b"/etc/a.conf", TEXT[:4200].ljust(9000, b"\0"), "the first at 8192"),
        (b"/usr/bin/script", b"#!/bin/sh\n" + damaged(TEXT, bytes(3)), "a NUL byte in text, at 4106"),
        (b"/etc/a.conf", damaged(TEXT, RANDOM, 8192), "random bytes, the first at 8192"),
        (b"/usr/lib/a.so", bytes(5000), "all of it is NUL bytes (5000)"),
        (b"/usr/share/a.gz", TEXT, "it does not begin as a gz file does"),
        (b"/usr/share/a.PNG", b"\x89PNG\r\n\x1a\n" + RANDOM * 2 + bytes(8192), "NUL bytes alone"),
    ],
)
def test_what_looks_damaged(path: bytes, data: bytes, words: str) -> None:
    found = suspicions(path, data)
    assert len(found) == 1 and words in found[0]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (b"/etc/hosts", TEXT),
        (b"/etc/empty", b""),
        (b"/usr/lib/a.so", b"\x7fELF" + bytes(20_000) + RANDOM),
        (b"/var/lib/a.db", b"SQLite format 3\0" + bytes(20_000)),
        (b"/usr/share/a.gz", gzip.compress(RANDOM * 5)),
        (b"/usr/share/a.txt", "\ufeffwide text\n".encode("utf-16-le") * 2000),
        (b"/usr/share/a.txt", "漢字かな交じり文。".encode() * 2000),
        (b"/etc/key.pem", b"MIIEpAIBAAKCAQEAx2+/abcdefghijklmnopqrstuvwyzBCDEFGHJKLMNOPRSTUVWXYZ0123456789\n" * 200),
    ],
)
def test_what_does_not(path: bytes, data: bytes) -> None:
    assert suspicions(path, data) == ()


def test_configuration_of_this_machine_is_not_suspected() -> None:
    suspected = {
        path: found
        for path in sorted(Path("/etc").rglob("*.conf"))
        if path.is_file() and (found := suspicions(bytes(path), path.read_bytes()[:MAX_BYTES]))
    }
    assert suspected == {}
