# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Package verification of this machine, against the tools that others use for it, and its growth, in one run.

Every tool is a whole process, with a warm page cache; the rounds go through the tools in turn, and the best time of
each counts, so that what else the machine does weighs on all of them alike.

Growth is measured in a root that is made for it: packages of small files, each file a name of one of a few inodes.
Every name is looked up, opened, read and hashed like any other; only the disk has less to hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import (
    Options,
    check,
    default_jobs,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

OURS = "package_consistency_info"

#: At least so much faster than each tool, or, for md5sum, at most so many times its time.
TARGETS = {"md5sum, parallel": "at most 1.1", "dpkg --verify": "at most 0.59", "debsums -s -a": "at most 0.125"}

#: Growth is measured with so many files, in so many rounds each; the first shows what it costs to begin.
GROWTH = (100, 10_000, 100_000, 1_000_000)
GROWTH_ROUNDS = 2
FILES_A_PACKAGE = 100
#: Fewer than the names that any usual file system allows an inode (ext4: 65,000).
NAMES_AN_INODE = 50_000
CONTENT = b"content of a small file\n" * 40


def file_list(destination: Path) -> int:
    """Write the names of all files with a digest, separated by NUL; returns their number."""
    entries = read_manifest(Tree("/")).entries
    paths = [entry.path for entry in entries if entry.digest and Path(os.fsdecode(entry.path)).is_file()]
    destination.write_bytes(b"".join(path + b"\0" for path in paths))
    return len(paths)


def tools(files: Path, jobs: int) -> dict[str, list[str]]:
    """Return the commands to compare, by name."""
    commands = {
        OURS: [sys.executable, __file__, "--verify", "--jobs", str(jobs)],
        "md5sum, parallel": ["xargs", "-0", "-a", str(files), "-n", "128", "-P", str(jobs), "md5sum"],
        "dpkg --verify": ["dpkg", "--verify"],
    }
    if shutil.which("debsums"):
        commands["debsums -s -a"] = ["debsums", "-s", "-a"]
    return commands


def seconds(command: list[str]) -> float:
    """Return how long a command takes. What it finds is not the question."""
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - begin


def watched(command: list[str]) -> tuple[bytes, int]:
    """Return a command's output (short), and the largest sum of PSS of its processes, looked at ten times a second."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak_bytes = 0
    while process.poll() is None:
        peak_bytes = max(peak_bytes, sum(_pss(pid) for pid in [process.pid, *_children(process.pid)]))
        time.sleep(0.1)
    return process.communicate()[0], peak_bytes


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _pss(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


def compare(rounds: int, jobs: int) -> None:
    """Run the tools in turn and print the table."""
    with tempfile.TemporaryDirectory() as directory:
        files = Path(directory) / "files"
        count = file_list(files)
        commands = tools(files, jobs)
        for command in commands.values():
            seconds(command)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _round in range(rounds):
            for name, command in commands.items():
                times[name].append(seconds(command))
        _output, peak_bytes = watched(commands[OURS])
    ours = min(times[OURS])
    print(f"{count} files, {jobs} processes, best of {rounds}; warm page cache")
    print(f"{'':28}{'seconds':>10}{'ours is':>10}   target")
    for name, measured in times.items():
        ratio = f"{ours / min(measured):9.2f}x" if name != OURS else ""
        print(f"{name:28}{min(measured):10.2f}{ratio:>10}   {TARGETS.get(name, '')}")
    if "debsums -s -a" not in times:
        print("debsums is not installed, so there is nothing to compare with")
    print(f"peak memory (PSS of all processes): {peak_bytes / 2**20:.0f} MiB")


class ManyPackages:
    """A root with packages of dpkg that grows; its database is written as dpkg does."""

    def __init__(self, root: Path) -> None:
        """Begin with none."""
        self._root = root
        self._info = root / "var/lib/dpkg/info"
        self._info.mkdir(parents=True)
        (self._info / "format").write_text("1\n")
        self._packages = 0

    def grow(self, packages: int) -> None:
        """Add packages until there are so many."""
        with (self._root / "var/lib/dpkg/status").open("a") as status:
            for number in range(self._packages, packages):
                name = f"package{number}"
                status.write(f"Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n")
                self._install(name, number)
        self._packages = packages

    def _install(self, name: str, number: int) -> None:
        directory = self._root / f"usr/lib/{name}"
        directory.mkdir(parents=True)
        inode = self._root / f"inode{number * FILES_A_PACKAGE // NAMES_AN_INODE}"
        if not inode.exists():
            inode.write_bytes(CONTENT)
        names = [f"usr/lib/{name}/file{file}" for file in range(FILES_A_PACKAGE)]
        for path in names:
            os.link(inode, self._root / path)
        parents = ["/.", "/usr", "/usr/lib", f"/usr/lib/{name}"]
        (self._info / f"{name}.list").write_text(
            "".join(f"{line}\n" for line in [*parents, *(f"/{path}" for path in names)])
        )
        digest = hashlib.md5(CONTENT).hexdigest()
        (self._info / f"{name}.md5sums").write_text("".join(f"{digest}  {path}\n" for path in names))


class Growth(NamedTuple):
    """One measurement: how many files were verified, in what time and CPU time, with how much memory at most."""

    files: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def verification(root: Path, jobs: int) -> Growth:
    """Verify a root in a process of its own. Its seconds are its own, its CPU time is with the start of Python."""
    before = os.times()
    command = [sys.executable, __file__, "--verify", "--jobs", str(jobs), "--root", str(root)]
    output, peak_bytes = watched(command)
    after = os.times()
    result = json.loads(output)
    if result["summary"]["verdict"] != "consistent":
        raise SystemExit(f"the root that was made is not sound: {result['summary']}")
    cpu_seconds = sum(after[2:4]) - sum(before[2:4])
    return Growth(result["coverage"]["files"]["verified"], result["duration_ms"] / 1000, cpu_seconds, peak_bytes)


def best(rounds: list[Growth]) -> Growth:
    """Return the best times of some measurements of the same root, and the most memory."""
    _files, seconds, cpu_seconds, peak_bytes = zip(*rounds)
    return Growth(rounds[0].files, min(seconds), min(cpu_seconds), max(peak_bytes))


def growth(jobs: int) -> None:
    """Verify a root that grows, and print what each further file costs: the same, where growth is linear."""
    print(f"\ngrowth, {jobs} processes, best of {GROWTH_ROUNDS}; target for 100,000 files: at most 150 MiB")
    print(f"{'files':>10}{'seconds':>10}{'CPU s':>8}{'peak MiB':>10}   each further file")
    with tempfile.TemporaryDirectory() as directory:
        packages = ManyPackages(Path(directory))
        measured: list[Growth] = []
        for files in GROWTH:
            packages.grow(files // FILES_A_PACKAGE)
            now = best([verification(Path(directory), jobs) for _round in range(GROWTH_ROUNDS)])
            shown = f"{now.files:10}{now.seconds:10.2f}{now.cpu_seconds:8.2f}{now.peak_bytes / 2**20:10.0f}"
            measured.append(now)
            costs = [further(*pair) for pair in zip(measured, measured[1:])]
            if costs:
                shown += f"   {costs[-1][0] * 1e6:.1f} us of CPU, {costs[-1][1]:.0f} bytes"
            if costs[1:]:
                shown += "; {:.2f}x and {:.2f}x of before".format(*(new / old for old, new in zip(*costs[-2:])))
            print(shown, flush=True)


def further(before: Growth, now: Growth) -> tuple[float, float]:
    """Return the CPU seconds and the bytes that each further file cost."""
    more = now.files - before.files
    return (now.cpu_seconds - before.cpu_seconds) / more, (now.peak_bytes - before.peak_bytes) / more


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=default_jobs())
    parser.add_argument("--verify", action="store_true", help="only verify, once (what the comparison runs)")
    parser.add_argument("--root", default="/", help="what --verify verifies")
    arguments = parser.parse_args()
    if arguments.verify:
        print(json.dumps(check(Options(root=arguments.root, jobs=arguments.jobs, max_findings=0))))
    else:
        compare(arguments.rounds, arguments.jobs)
        growth(arguments.jobs)


if __name__ == "__main__":
    main()
