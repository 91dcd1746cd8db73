# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work in forked processes: batches out, results back, and no death unnoticed.

A process for each job is forked from this one, so it has the data already and is told only which batch is next. The
ready-made pools need POSIX semaphores, which some containers lack, and lose what was done, or wait for ever, when a
process is killed. Reading a damaged disk can get a process killed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import struct
import traceback
from collections.abc import Generator, Iterator
from typing import Callable, NamedTuple

TICK_SECONDS = 0.25

_INDEX = struct.Struct("=i")
_SIZE = struct.Struct("=Q")


class BatchResult(NamedTuple):
    """What became of one batch: its result, or the sentence that says why there is none."""

    batch: int
    result: object
    failure: str | None


class _Worker(NamedTuple):
    pid: int
    orders: int
    results: int


def run_batches(
    count: int, work: Callable[[int], object], jobs: int, tick: Callable[[], None] | None = None
) -> Generator[BatchResult, None, None]:
    """Call ``work`` with each batch number below ``count``, in ``jobs`` forked processes, and yield what it returns.

    Results come in any order, one for every batch. When a process dies, the batch that it had is yielded as a failure
    and a new process takes its place. What ``work`` raises is a failure of its batch. Where the system will not have
    as many processes, fewer do the work; batches that none is left for are yielded as failures. No process outlives
    the iteration, nor this process. ``tick`` is called in this process, at least every `TICK_SECONDS` while it waits.
    """
    crew = _Crew(work)
    try:
        yield from _distribute(count, crew, jobs, tick)
    finally:
        for worker in list(crew.workers.values()):
            crew.stop(worker)


class _Crew:
    """The processes that live, by the descriptor on which they are heard."""

    def __init__(self, work: Callable[[int], object]) -> None:
        self.work = work
        self.workers: dict[int, _Worker] = {}
        self.poll = select.poll()

    def start(self) -> _Worker:
        """Fork one more process. Raises `OSError` when the system will not have it."""
        worker = _start(self.work, list(self.workers.values()))
        self.workers[worker.results] = worker
        self.poll.register(worker.results, select.POLLIN)
        return worker

    def bury(self, worker: _Worker) -> str:
        """Let go of a process that has ended by itself, and say how it did."""
        self._forget(worker)
        _pid, status = os.waitpid(worker.pid, 0)
        if os.WIFSIGNALED(status):
            return f"the process that did it was killed by signal {os.WTERMSIG(status)}"
        return f"the process that did it ended with status {os.WEXITSTATUS(status)}"

    def stop(self, worker: _Worker) -> None:
        """End a process that is not needed any more."""
        self._forget(worker)
        os.kill(worker.pid, signal.SIGKILL)
        os.waitpid(worker.pid, 0)

    def _forget(self, worker: _Worker) -> None:
        self.poll.unregister(worker.results)
        del self.workers[worker.results]
        os.close(worker.orders)
        os.close(worker.results)


def _distribute(count: int, crew: _Crew, jobs: int, tick: Callable[[], None] | None) -> Iterator[BatchResult]:
    """Keep every process at work until all batches are done."""
    pending = list(range(count))[::-1]
    at_work: dict[int, int] = {}
    while pending or at_work:
        refused = _fill(crew, pending, at_work, jobs)
        if not at_work:
            yield from (BatchResult(batch, None, refused) for batch in pending)
            return
        if tick is not None:
            tick()
        for descriptor, _event in crew.poll.poll(TICK_SECONDS * 1000 if tick is not None else None):
            worker = crew.workers[descriptor]
            batch = at_work.pop(descriptor)
            message = _receive(descriptor)
            if message is None:
                yield BatchResult(batch, None, crew.bury(worker))
                continue
            # Nothing waits idle: whoever has no order is in nobody's list of those at work, and could die unnoticed.
            if pending:
                at_work[descriptor] = _order(worker, pending.pop())
            else:
                crew.stop(worker)
            yield BatchResult(batch, *message)


def _fill(crew: _Crew, pending: list[int], at_work: dict[int, int], jobs: int) -> str:
    """Start the processes that are missing, each with a batch. Returns why it went no further, if it had to stop."""
    while pending and len(crew.workers) < jobs:
        try:
            worker = crew.start()
        except OSError as error:
            return f"no process could be started for it: {error.strerror}"
        at_work[worker.results] = _order(worker, pending.pop())
    return ""


def _order(worker: _Worker, batch: int) -> int:
    """Give a process its next batch, and return that."""
    with contextlib.suppress(BrokenPipeError):  # It has died; its end of the other pipe says so next.
        os.write(worker.orders, _INDEX.pack(batch))
    return batch


def _start(work: Callable[[int], object], others: list[_Worker]) -> _Worker:
    """Fork one process. Raises `OSError` when the system will not have it."""
    ends: list[int] = []
    try:
        ends += os.pipe()
        ends += os.pipe()
        pid = os.fork()
    except OSError:
        for descriptor in ends:
            os.close(descriptor)
        raise
    orders_read, orders_write, results_read, results_write = ends
    if pid:
        os.close(orders_read)
        os.close(results_write)
        return _Worker(pid, orders_write, results_read)
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in [orders_write, results_read, *(end for other in others for end in other[1:])]:
            os.close(descriptor)
        gc.disable()
        _serve(work, orders_read, results_write)
        status = 0
    finally:
        os._exit(status)


def _serve(work: Callable[[int], object], orders: int, results: int) -> None:
    """Do batches until nobody orders any more."""
    while True:
        order = _read_exactly(orders, _INDEX.size)
        if order is None:
            return
        try:
            message: tuple[object, str | None] = (work(_INDEX.unpack(order)[0]), None)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = (None, f"{type(error).__name__}: {error} (in {place.name}, line {place.lineno})")
        data = pickle.dumps(message)
        view = memoryview(_SIZE.pack(len(data)) + data)
        while view:
            view = view[os.write(results, view) :]


def _receive(descriptor: int) -> tuple[object, str | None] | None:
    """Read one message of a process of our own; `None` when it has died."""
    size = _read_exactly(descriptor, _SIZE.size)
    data = _read_exactly(descriptor, _SIZE.unpack(size)[0]) if size is not None else None
    if data is None:
        return None
    message: tuple[object, str | None] = pickle.loads(data)
    return message


def _read_exactly(descriptor: int, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        chunk = os.read(descriptor, size - len(data))
        if not chunk:
            return None
        data += chunk
    return data
