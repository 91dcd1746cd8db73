# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of the package manager, run without a shell, in a bounded time, with a bounded output."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import IO, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError

MAX_OUTPUT_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
#: What of this process's own environment a program may know: how the network is reached.
_PASSED_ON = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Output(NamedTuple):
    """How a program ended, and the beginning of what it wrote (at most `MAX_OUTPUT_BYTES` of each)."""

    status: int
    stdout: bytes
    stderr: str


def run(
    argv: Sequence[str], timeout_seconds: float, added: Mapping[str, str] | None = None, directory: str = "/"
) -> Output:
    """Run a program to its end, and return how it ended; what it writes beyond a limit is dropped.

    ``added`` goes into a plain environment (C locale, UTC, the proxies of this process). Raises `MeasurementError`
    when the program cannot be started, or has not ended in time; then it and what it started are ended.
    """
    with started(argv, added, directory, subprocess.PIPE) as process:
        texts = {_descriptor(process.stdout): bytearray(), _descriptor(process.stderr): bytearray()}
        deadline = time.monotonic() + timeout_seconds
        for descriptor, data in _chunks(set(texts), deadline, argv[0]):
            kept = texts[descriptor]
            kept += data[: MAX_OUTPUT_BYTES - len(kept)]
        try:
            status = process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise _too_slow(argv[0]) from error
        stdout, stderr = texts.values()
        return Output(status, bytes(stdout), stderr.decode("utf-8", "replace"))


def stream(argv: Sequence[str], deadline: float, source: int = subprocess.DEVNULL) -> Generator[bytes, None, None]:
    """Yield what a program writes to its standard output, piece by piece.

    ``deadline`` is a reading of `time.monotonic`, ``source`` the descriptor of its standard input. Raises
    `MeasurementError` when it cannot be started, takes longer, or ends with another status than 0. The program does not
    outlive the iteration.
    """
    with started(argv, None, "/", subprocess.DEVNULL, source) as process:
        for _from, data in _chunks({_descriptor(process.stdout)}, deadline, argv[0]):
            yield data
        try:
            status = process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise _too_slow(argv[0]) from error
        if status:
            raise MeasurementError(argv[0], f"it ended with status {status}", "Run it by hand to see why")


def _descriptor(pipe: IO[bytes] | None) -> int:
    """Return the descriptor of a pipe that the program was started with."""
    if pipe is None:
        raise ValueError("the program was started without this pipe")
    return pipe.fileno()


def environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a program of the package manager may know: a plain environment, the proxies, and what is added."""
    passed_on = {name: value for name, value in os.environ.items() if name.lower() in _PASSED_ON}
    return {**passed_on, "PATH": PATH, "LC_ALL": "C", "TZ": "UTC", "HOME": "/nonexistent", **(added or {})}


@contextlib.contextmanager
def started(
    argv: Sequence[str],
    added: Mapping[str, str] | None,
    directory: str,
    errors: int,
    source: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in a process group of its own, which is ended with the block."""
    try:
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
            list(argv),
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=directory,
            env=environment(added),
            start_new_session=True,
        )
    except OSError as error:
        reason = f"it cannot be started: {error.strerror}"
        raise MeasurementError(argv[0], reason, "Install the package that has it, or repair it") from error
    with process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _chunks(descriptors: set[int], deadline: float, name: str) -> Iterator[tuple[int, bytes]]:
    """Read from pipes until all have ended."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    while descriptors:
        left = deadline - time.monotonic()
        ready = poll.poll(left * 1000) if left > 0 else []
        if not ready:
            raise _too_slow(name)
        for descriptor, _event in ready:
            data = os.read(descriptor, _CHUNK_BYTES)
            if data:
                yield descriptor, data
            else:
                poll.unregister(descriptor)
                descriptors.remove(descriptor)


def _too_slow(name: str) -> MeasurementError:
    return MeasurementError(name, "it did not end in time", "Look at what keeps the host or its network busy")
