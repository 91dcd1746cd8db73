# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hundred thousand changed answers for every decoder, endless ones for memory, and servers that lie throughout.

The examples are the same in every run; FUZZ_SEED=... gives others. An input that fails is in the message, as
hexadecimal digits: ``engine.run(target, bytes.fromhex(...))`` does it again.
"""

from __future__ import annotations

import itertools
import json
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from fuzz import corpus, engine, targets, trial
from fuzz.hostile import HostileServer

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import assess, scan, wire

RUNS = 100_000
SLOW_RUNS = 5_000
HOSTILE_SERVERS = 100
_LEVELS = ("passive", "active", "deep")
# What one flight may take while it is decoded, and where what is called endless ends after all.
_MAX_MEMORY_BYTES = 1024 * 1024
_MOST_BYTES = 8 * 1024 * 1024


@pytest.mark.parametrize("target", (*targets.TARGETS, *targets.SLOW_TARGETS), ids=lambda target: target.name)
def test_a_decoder_reads_or_refuses(target: engine.Target, capsys: pytest.CaptureFixture[str]) -> None:
    runs = RUNS if target in targets.TARGETS else SLOW_RUNS
    read = trial.many(target, runs)

    with capsys.disabled():
        print(f"\n{target.name}: {runs} changed inputs, {read} read, {runs - read} refused", end="")


_HELLO = corpus.read()[0][0][: 5 + int.from_bytes(corpus.read()[0][0][3:5], "big")]
_BODY = b"\x16\x03\x03\x40\x00" + bytes(0x4000)
#: How an answer without end begins, and what is repeated.
ENDLESS = {
    "one message": (_HELLO + b"\x16\x03\x03\x00\x04\x0b\x03\xff\xff", _BODY),
    "empty records": (b"", b"\x16\x03\x03\x00\x00" * 3000),
    "warnings": (b"", b"\x15\x03\x03\x00\x02\x01\x70" * 2000),
    "certificates": (_HELLO, b"\x16\x03\x03\x00\x0d\x0b\x00\x00\x09\x00\x00\x06\x00\x00\x03abc" * 800),
    "unknown messages": (_HELLO, b"\x16\x03\x03\x00\x04\x63\x00\x00\x00" * 1500),
}


@pytest.mark.parametrize("in_single_bytes", (False, True), ids=("in pieces", "in single bytes"))
@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_answer_takes_little_memory(
    kind: str, in_single_bytes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    beginning, piece = ENDLESS[kind]
    pieces = itertools.chain([beginning], itertools.repeat(piece, _MOST_BYTES // len(piece)))
    decoder = wire.FlightDecoder()
    tracemalloc.start()
    try:
        with pytest.raises(wire.DecodeError):
            for data in pieces:
                for part in (data[at : at + 1] for at in range(len(data))) if in_single_bytes else (data,):
                    decoder.feed(part)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    with capsys.disabled():
        print(f"\nendless, {kind}: at most {peak // 1024} KiB", end="")
    assert peak <= _MAX_MEMORY_BYTES


def _scan(number: int) -> dict[str, Any]:
    options = scan.Options(timeout_seconds=0.5, vulnerability_tests=_LEVELS[number % len(_LEVELS)])
    with HostileServer(number) as server:
        target = {"host": "127.0.0.1", "port": server.port, "server_name": "localhost"}
        return scan.scan_targets([target], options)[0]


def test_facts_and_a_verdict_come_of_servers_that_lie(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [int(trial.SEED) * HOSTILE_SERVERS + number for number in range(HOSTILE_SERVERS)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(_scan, numbers))

    faults = [facts["error"]["message"] for facts in found if facts["error"] and "fault" in facts["error"]["kind"]]
    assert faults == []
    result = assess.assess(found, targets.ANCHORS, targets.NOW)
    assert len(json.loads(json.dumps(result))["results"]) == HOSTILE_SERVERS
    with capsys.disabled():
        reached = sum(facts["reachable"] for facts in found)
        connections = sum(facts["connections"] for facts in found)
        print(f"\nservers that lie: {HOSTILE_SERVERS}, {reached} with facts, {connections} connections", end="")
