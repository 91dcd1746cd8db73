# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The step of a repair that installs a whole package again, from a verified file and by the package manager itself.

``dpkg --install FILE`` unpacks all files of exactly that file and configures it. apt's ``--reinstall`` would look for a
version of its own and may change other packages. Maintainer scripts run; that they start, stop or restart no service
is seen to by a variable of their environment (``SYSTEMD_OFFLINE``), so nothing is left behind by a run that is killed.

dpkg is never ended half-way through a package, neither for being slow nor because somebody interrupts the repair.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import DatabaseLocks
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DIRECTORY, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import Quarantine
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Step
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import RepairError, obstacle
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree

#: How somebody ends a program who means to let it clear up.
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MAX_MESSAGE_BYTES = 2000
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    # Whoever holds lock-frontend says so (dpkg(1)); it is we.
    "DPKG_FRONTEND_LOCKED": "true",
    # systemctl then talks to no service manager, as in a chroot (systemd, ENVIRONMENT).
    "SYSTEMD_OFFLINE": "1",
    "NEEDRESTART_SUSPEND": "1",
    "HOME": "/root",
}
#: Conffiles keep what they have: those that may be restored are, each by a step of its own.
_INSTALL = ("--force-confold", "--install")
_MAX_STATUS_BYTES = 64 * 1024 * 1024


def held_packages(tree: Tree) -> frozenset[str]:
    """Return the labels of the packages that the administrator holds at their version."""
    try:
        data = tree.read(b"/var/lib/dpkg/status", _MAX_STATUS_BYTES)
    except OSError:
        return frozenset()
    paragraphs = [part for part in data.decode("utf-8", "replace").split("\n\n") if "\nStatus: hold " in "\n" + part]
    held = set()
    for fields in (dict(re.findall(r"^([A-Za-z-]+): *(.*)$", part, re.MULTILINE)) for part in paragraphs):
        name, architecture = fields.get("Package", ""), fields.get("Architecture", "")
        held.add(f"{name}:{architecture}" if fields.get("Multi-Arch") == "same" else name)
    return frozenset(held)


class InstallationError(RepairError):
    """dpkg was begun and did not do it, so it is not known what the package is now."""


class HoldError(InstallationError):
    """A package that is to be held is not any more."""


class _Ended(NamedTuple):
    """How dpkg ended, and the end of what it said."""

    status: int
    said: str


class PackageRepair:
    """Installs packages on one root."""

    def __init__(self, tree: Tree, quarantine: Quarantine, locks: DatabaseLocks) -> None:
        """Take a root that is open, where damaged files are kept, and the locks that are held."""
        self._tree = tree
        self._quarantine = quarantine
        self._locks = locks

    def perform(self, step: Step, reference: VerifiedPackage) -> None:
        """Install the package of a step.

        Raises `RepairError`, of which an `InstallationError` comes after dpkg was begun, `QuarantineError` and
        `LockedError`. An interruption (SIGINT, SIGTERM, SIGHUP) arrives when dpkg has ended.
        """
        self._refuse_obstacles(reference)
        self._refuse_ways_out(reference)
        for path in step.damaged:
            self._set_aside(path, reference)
        held = step.package in held_packages(self._tree)
        if held:
            self._quarantine.note_held(step.package)
        with _interruptions_deferred():
            try:
                with self._locks.lent():
                    ended = self._run([*_INSTALL, reference.path])
            finally:
                if held:
                    self.hold([step.package])
        if ended.status != 0:
            remedy = f"Look at it with dpkg --audit, and install {Path(reference.path).name} by hand"
            raise InstallationError(step.package, f"dpkg ended with status {ended.status}: {ended.said}", remedy)

    def hold(self, labels: Sequence[str]) -> None:
        """Hold packages: dpkg takes that from a package which it is told to install.

        Raises `HoldError`, and `LockedError`.
        """
        selections = "".join(f"{label} hold\n" for label in labels).encode()
        with _interruptions_deferred(), self._locks.lent():
            ended = self._run(["--set-selections"], selections)
        if ended.status != 0:
            reason = f"dpkg --set-selections ended with status {ended.status}: {ended.said}"
            raise HoldError(", ".join(labels), reason, "Hold it by hand (apt-mark hold)")

    def _run(self, arguments: Sequence[str], given: bytes = b"") -> _Ended:
        """Run dpkg to its end, however long that takes. Raises `InstallationError` when it cannot be started.

        It outlives this process: it writes to a file, since a pipe would end with us, and holds lock-frontend too.
        """
        argv = [*self._dpkg(), *arguments]
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
            stdin.write(given)
            stdin.seek(0)
            try:
                process = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
                    argv,
                    stdin=stdin,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=commands.environment(_ENVIRONMENT),
                    start_new_session=True,
                    pass_fds=self._locks.to_inherit(),
                )
            except OSError as error:
                reason = f"dpkg cannot be started: {error.strerror}"
                raise InstallationError(argv[-1], reason, "Repair dpkg itself first") from error
            status = process.wait()
            output.seek(max(0, os.fstat(output.fileno()).st_size - _MAX_MESSAGE_BYTES))
            return _Ended(status, output.read(_MAX_MESSAGE_BYTES).decode("utf-8", "replace").strip())

    def _dpkg(self) -> list[str]:
        """Return how dpkg is called."""
        if not self._tree.root:
            return ["dpkg"]
        # Without it the machine's own log would speak of packages that it does not have.
        log = os.fsdecode(self._tree.root + self._tree.resolve(b"/var/log/dpkg.log"))
        return ["dpkg", f"--root={os.fsdecode(self._tree.root)}", f"--log={log}"]

    def _refuse_obstacles(self, reference: VerifiedPackage) -> None:
        """Refuse before dpkg does it half-way through the package."""
        for path in reference.members:
            reason = obstacle(self._tree, self._tree.locate(path))
            if reason is not None:
                remedy = "Find out who set it, clear it with chattr -i -a, and repair again"
                raise RepairError(reference.name, reason, remedy)

    def _refuse_ways_out(self, reference: VerifiedPackage) -> None:
        """Refuse a root with links on which dpkg, which is not chrooted there, would leave it."""
        if not self._tree.root:
            return
        top = os.path.realpath(self._tree.root)
        for directory in {path.rpartition(b"/")[0] for path in reference.members} | {b"/var/lib/dpkg", b"/var/log"}:
            if os.path.realpath(self._tree.root + directory) != top + self._tree.resolve(directory):
                raise RepairError(
                    reference.name,
                    f"dpkg would follow a link in {text(directory)} out of the root",
                    "Repair the system from within, or with the strategy file",
                )

    def _set_aside(self, path: bytes, reference: VerifiedPackage) -> None:
        """Keep what is at a path. A directory in place of a file is moved away: dpkg replaces only empty ones."""
        directory, _slash, name = path.rpartition(b"/")
        self._quarantine.keep(path)
        walk = DirectoryWalk(self._tree)
        try:
            parent = walk.enter(directory)
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                return
            kinds = {member.kind for listed, member in reference.members.items() if self._tree.locate(listed) == path}
            if kinds and DIRECTORY not in kinds:
                self._quarantine.move(path, parent, name)
        except OSError:
            return
        finally:
            walk.close()


@contextlib.contextmanager
def _interruptions_deferred() -> Iterator[None]:
    """Let interruptions wait for the end of the block. Only a main thread gets any (signal(3) of Python)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in _INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])
