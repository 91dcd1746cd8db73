# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Package verification of this machine, against the tools that others use for it, in one run.

Every tool is a whole process, with a warm page cache; the rounds go through the tools in turn, and the best time of
each counts, so that what else the machine does weighs on all of them alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def peak_memory(command: list[str]) -> int:
    """Return the largest sum of PSS, in bytes, of a command's processes, looked at ten times a second."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(_pss(pid) for pid in [process.pid, *_children(process.pid)]))
        time.sleep(0.1)
    return peak


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
        memory = peak_memory(commands[OURS])
    ours = min(times[OURS])
    print(f"{count} files, {jobs} processes, best of {rounds}; warm page cache")
    print(f"{'':28}{'seconds':>10}{'ours is':>10}   target")
    for name, measured in times.items():
        ratio = f"{ours / min(measured):9.2f}x" if name != OURS else ""
        print(f"{name:28}{min(measured):10.2f}{ratio:>10}   {TARGETS.get(name, '')}")
    if "debsums -s -a" not in times:
        print("debsums is not installed, so there is nothing to compare with")
    print(f"peak memory (PSS of all processes): {memory / 2**20:.0f} MiB")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=default_jobs())
    parser.add_argument("--verify", action="store_true", help="only verify, once (what the comparison runs)")
    arguments = parser.parse_args()
    if arguments.verify:
        print(check(Options(jobs=arguments.jobs))["summary"])
    else:
        compare(arguments.rounds, arguments.jobs)


if __name__ == "__main__":
    main()
