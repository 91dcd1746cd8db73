# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every batch has a result or a reason, whatever becomes of the processes, and none of them is left."""

from __future__ import annotations

import os
import resource
import signal
import time

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.workers import BatchResult, run_batches


def square(number: int) -> object:
    return number * number


def no_child_is_left() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_every_batch_comes_back_once(jobs: int, count: int) -> None:
    results = sorted(run_batches(count, square, jobs))
    assert results == [BatchResult(number, number * number, None) for number in range(count)]
    assert no_child_is_left()


def test_the_caller_is_woken_while_it_waits() -> None:
    ticks: list[int] = []

    def work(number: int) -> object:
        time.sleep(1.0)
        return number

    list(run_batches(1, work, 1, lambda: ticks.append(1)))
    assert len(ticks) > 2


def test_the_work_is_done_in_other_processes() -> None:
    assert os.getpid() not in {done.result for done in run_batches(4, lambda _number: os.getpid(), 2)}


@pytest.mark.parametrize("jobs", [1, 3])
def test_killed_process_is_a_failure_of_its_batch_alone(jobs: int) -> None:
    def work(number: int) -> object:
        if number in (3, 7):
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    results = {done.batch: done for done in run_batches(10, work, jobs)}
    assert {batch for batch, done in results.items() if done.failure} == {3, 7}
    assert results[3].failure == "the process that did it was killed by signal 9"
    assert all(done.result == batch for batch, done in results.items() if not done.failure)
    assert no_child_is_left()


def test_process_that_has_nothing_left_to_do_is_gone_while_others_work() -> None:
    def work(number: int) -> object:
        time.sleep(0.3 * number)
        return os.getpid()

    iteration = run_batches(2, work, 2)
    first = next(iteration)
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(first.result)), 0)
    assert [done.batch for done in iteration] == [1]


@pytest.mark.parametrize("limit", [0, 3])
def test_system_that_has_no_room_for_the_processes(limit: int) -> None:
    """With room for none every batch says so; with room for one that one does everything."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (write + 1 + 2 * limit, hard))
        failures = {done.failure for done in run_batches(5, square, 4)}
        os.write(write, repr(failures).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    said = os.read(read, 1000).decode()
    os.close(read)
    assert said == ("{None}" if limit else "{'no process could be started for it: Too many open files'}")


def test_exception_is_a_failure_of_its_batch_alone() -> None:
    def work(number: int) -> object:
        if number == 1:
            raise ValueError("of all numbers")
        return number

    failures = [done.failure for done in sorted(run_batches(3, work, 2)) if done.failure]
    assert len(failures) == 1
    assert "ValueError: of all numbers" in failures[0]


def test_large_result_comes_back_whole() -> None:
    results = [done.result for done in run_batches(3, lambda _number: b"x" * 3_000_000, 2)]
    assert results == [b"x" * 3_000_000] * 3


def test_iteration_that_is_given_up_leaves_no_process() -> None:
    iteration = run_batches(100, lambda _number: time.sleep(0.01), 3)
    next(iteration)
    iteration.close()
    assert no_child_is_left()


def test_processes_end_when_their_parent_is_killed() -> None:
    read, write = os.pipe()
    parent = os.fork()
    if not parent:
        os.close(read)
        for _done in run_batches(1000, lambda _number: time.sleep(0.01), 2):
            pass
        os._exit(0)
    os.close(write)
    time.sleep(0.1)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert os.read(read, 1) == b""  # End of file: every process that had the other end is gone.
    os.close(read)
