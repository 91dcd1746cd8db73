# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that runs on a host by itself: the shell commands that look at it and that end it.

Its processes are known by the temporary directory of their task, whose name Ansible makes up anew for each: it is in
the command line of the module, of all processes that it forked, and of Ansible's own that wait for it, from before the
module has written anything until the last has gone. A process number alone, read from a file, could by then be
another's.
"""

from __future__ import annotations

import posixpath
import shlex
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.plugin_utils import progress_line

#: How Ansible's record of a job begins while the job runs; afterwards it is the module's result, an object as well.
_RUNNING, _OBJECT = '{"started":', "{"

#: An answer stands between these two. A connection that breaks may print nothing, or a part, and call that success.
_BEGIN, _END = "webops-answer-begins", "webops-answer-ends"

#: Prints the beginning of the record in one line, and the progress, if it is a plain file, in the next.
_LOOK = (
    f"echo {_BEGIN}; head -c {{record_bytes}} {{record}}; echo; "
    f"if [ -f {{progress}} ] && [ ! -h {{progress}} ]; then {{head}}; fi; echo; echo {_END}"
)

#: Finds the numbers of the job's processes. The name is put together only here, or the shell would find itself.
_FIND = """d={parent} n={name}
found=$(printf '%s\\n' "$d/$n" | grep -Fls -f - /proc/[0-9]*/cmdline | tr -cd '0-9\\n')
"""

#: Prints this number by the programs that find processes: where they are damaged, they find none.
_PROVEN = "0"
_PROOF = f"printf '%s\\n' {_PROVEN} | grep -Fs {_PROVEN} | tr -cd '0-9\\n'"

#: First the one that Python turns into an exception, so that a module removes what it has begun to write, and Ansible
#: what it has unpacked; what takes too long for that, or was started to ignore it, is ended all the same.
_SIGNALS = "INT 0 0 0 0 TERM 0 KILL 0 KILL"


class Job(NamedTuple):
    """Paths on the host: ``directory`` is the task's temporary one, ``record`` that of Ansible's record of the job.

    The record, and the module's progress file, have the directory ``own`` for themselves.
    """

    directory: str
    own: str
    record: str = ""

    @property
    def progress(self) -> str:
        """Return the path of the module's progress file."""
        return f"{self.own}/progress"


class Glance(NamedTuple):
    """What a look at a job showed: whether it still runs as far as its record says, and how far it is."""

    is_running: bool
    progress: progress_line.Progress | None


def look(job: Job) -> str:
    """Return the command that looks at a job; `glance` understands what it prints."""
    progress = _quoted(job.progress)
    # One byte more than may be there, so that what is cut off is noticed.
    head = f"head -c {progress_line.MAX_BYTES + 1} {progress}"
    return _LOOK.format(
        record_bytes=len(_RUNNING),
        record=_quoted(job.record),
        progress=progress,
        head=head,
    )


def glance(output: str) -> Glance | None:
    """Understand what the command of `look` printed; `None` when that is no whole answer, or shows no record.

    A host whose ``head`` or disk is damaged shows none, and its module may run all the same.
    """
    answer = _whole(output)
    if answer is None:
        return None
    record, _newline, progress = answer.partition("\n")
    if not record.startswith(_OBJECT):
        return None
    is_running = record.startswith(_RUNNING)
    return Glance(is_running, progress_line.parse(progress.strip()) if is_running else None)


def find(job: Job) -> str:
    """Return the command that looks for the job's processes; `processes` understands what it prints."""
    return f"echo {_BEGIN}; {_PROOF}; {_found(job)}echo $found; echo {_END}"


def processes(output: str) -> list[int] | None:
    """Return the numbers of a job's processes, as the command of `find` printed them.

    `None` for no whole answer, and for one of a host on which the programs that find processes do not work.
    """
    words = (_whole(output) or "").split()
    if words[:1] != [_PROVEN]:
        return None
    return [int(word) for word in words[1:] if word.isascii() and word.isdigit()]


def _whole(output: str) -> str | None:
    """Return the lines that a command printed, without what a login prints before; `None` when a part is lacking."""
    _before, begun, rest = output.partition(_BEGIN)
    answer, ended, _after = rest.rpartition(_END)
    return answer.partition("\n")[2] if begun and ended else None


def end(job: Job, remove_directory: bool) -> str:
    """Return the command that ends all processes of a job, and removes its files."""
    directory = 'rm -rf "$d/$n"' if remove_directory else ":"
    return (
        f"for s in {_SIGNALS}; do\n{_found(job)}"
        '[ -n "$found" ] || break\n'
        "kill -s $s $found 2>/dev/null\nsleep 0.5\ndone\n"
        f"{directory}\n{forget(job)}"
    )


def forget(job: Job) -> str:
    """Return the command that removes the record and the progress of a job that has ended."""
    return f"rm -rf {_quoted(job.own)}"


def _quoted(path: str) -> str:
    """Quote a path for a shell, but for the ``~`` of the user whom the module runs as."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def _found(job: Job) -> str:
    parent, name = posixpath.split(job.directory.rstrip("/"))
    return _FIND.format(parent=shlex.quote(parent), name=shlex.quote(name))
