# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a repair that install whole packages, from verified files and by the package manager itself.

``dpkg --install FILE`` unpacks all files of exactly that file and configures it. apt's ``--reinstall`` would look for a
version of its own and may change other packages. Maintainer scripts run, but start, stop and restart no service.

dpkg is never ended half-way through a package, neither for being slow nor because somebody interrupts the repair.

Everything that it replaces or removes is kept before, also what nobody has found damaged.

Triggers are put off until all packages are installed, so that none makes something, an initramfs say, of files that are
still damaged. dpkg runs one before that only where a package could not be configured otherwise (measured, dpkg 1.21).
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
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.aftermath import is_in_initramfs
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import DatabaseLocks
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import CONFFILE, DIRECTORY, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import (
    NotMovableError,
    Quarantine,
    QuarantineError,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Facts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Step
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_replaced import packages_of, replaced_by
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import RepairError, obstacle
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.silent_services import (
    PARENT,
    Silence,
    silent_services,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import left_out

#: How somebody ends a program who means to let it clear up.
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MAX_MESSAGE_BYTES = 2000
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    # Whoever holds lock-frontend says so (dpkg(1)); it is we.
    "DPKG_FRONTEND_LOCKED": "true",
    "NEEDRESTART_SUSPEND": "1",
    "HOME": "/root",
}
#: Conffiles keep what they have, whatever dpkg.cfg says, which ``--force-confold`` alone does not outdo (measured, dpkg
#: 1.21): those that may be restored are, each by a step of its own.
_KEEP_CONFFILES = ("--refuse-confnew,confdef,confask,confmiss", "--force-confold")
_INSTALL = ("--no-triggers", *_KEEP_CONFFILES, "--install")
#: Packages that change together may break each other in the meantime; dpkg then configures the first once more.
_UPGRADE = ("--auto-deconfigure", *_INSTALL)
_RUN_TRIGGERS = ("--triggers-only", "--pending")
#: What means something in a glob, and how it is written to mean itself (glob(7)).
_GLOB, _ESCAPED = re.compile(r"[][*?\\]"), r"\\\g<0>"
#: What a trigger makes anew, by the package whose trigger it is.
_INITRAMFS_MAKERS = frozenset(("initramfs-tools", "dracut"))
_INITRAMFS = (b"initrd", b"initramfs")
_MAX_STATUS_BYTES = 64 * 1024 * 1024


def held_packages(tree: Tree) -> frozenset[str]:
    """Return the labels of the packages that the administrator holds at their version."""
    try:
        data = tree.read(b"/var/lib/dpkg/status", _MAX_STATUS_BYTES)
    except OSError:
        return frozenset()
    held = set()
    for fields in _paragraphs(data, "Status: hold "):
        name, architecture = fields.get("Package", ""), fields.get("Architecture", "")
        held.add(f"{name}:{architecture}" if fields.get("Multi-Arch") == "same" else name)
    return frozenset(held)


def with_pending_triggers(tree: Tree) -> frozenset[str]:
    """Return the names of the packages whose triggers are to be run."""
    try:
        data = tree.read(b"/var/lib/dpkg/status", _MAX_STATUS_BYTES)
    except OSError:
        return frozenset()
    return frozenset(fields.get("Package", "") for fields in _paragraphs(data, "Triggers-Pending: "))


def _paragraphs(data: bytes, beginning: str) -> list[dict[str, str]]:
    """Return the fields of the paragraphs with a line that begins in a way."""
    parts = [part for part in data.decode("utf-8", "replace").split("\n\n") if f"\n{beginning}" in f"\n{part}"]
    return [dict(re.findall(r"^([A-Za-z-]+): *(.*)$", part, re.MULTILINE)) for part in parts]


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

    def __init__(
        self,
        tree: Tree,
        quarantine: Quarantine,
        locks: DatabaseLocks,
        facts: Facts,
        to_inherit: tuple[int, ...],
    ) -> None:
        """Take a root that is open, where damaged files are kept, the locks that are held, and what is planned with.

        ``to_inherit`` keeps the packages where they are while dpkg runs.
        """
        self._tree = tree
        self._quarantine = quarantine
        self._locks = locks
        self._facts = facts
        self._to_inherit = to_inherit

    def perform(self, step: Step) -> None:
        """Install the package of a step, or all that it upgrades.

        Raises `RepairError`, of which an `InstallationError` comes after dpkg was begun, `QuarantineError` and
        `LockedError`. An interruption (SIGINT, SIGTERM, SIGHUP) arrives when dpkg has ended.
        """
        packages = packages_of(step, self._facts)
        self._refuse_obstacles(step, packages)
        for package in packages.values():
            self._refuse_ways_out(package)
        moved: list[tuple[bytes, bytes]] = []
        try:
            self._keep(step, packages, moved)
            self._install(packages, _UPGRADE if step.upgrades else _INSTALL)
        except BaseException:
            self._move_back(moved)
            raise

    def _install(self, packages: Mapping[str, VerifiedPackage], action: tuple[str, ...]) -> None:
        held = sorted(held_packages(self._tree) & packages.keys())
        self._quarantine.note_triggers()
        for label in held:
            self._quarantine.note_held(label)
        with _interruptions_deferred():
            try:
                with self._locks.lent():
                    ended = self._run(
                        [*self._filters(packages), *action, *(package.path for package in packages.values())]
                    )
            finally:
                if held:
                    self.hold(held)
        if ended.status != 0:
            versions = ", ".join(f"{label} {package.version}" for label, package in packages.items())
            remedy = f"Look at it with dpkg --audit, and install {versions} by hand"
            raise InstallationError(", ".join(packages), f"dpkg ended with status {ended.status}: {ended.said}", remedy)

    def run_triggers(self, damaged: Sequence[bytes]) -> None:
        """Run the triggers that were put off, if any were.

        ``damaged`` are paths that stay damaged: no initramfs is made of them. Raises `InstallationError` and
        `LockedError`.
        """
        if not self._quarantine.triggers_put_off:
            return
        if with_pending_triggers(self._tree) & _INITRAMFS_MAKERS:
            copied = sorted(path for path in damaged if is_in_initramfs(path))
            if copied:
                reason = f"they are not run, since an initramfs would be made of what is damaged: {text(copied[0])}"
                remedy = "Make these files good first, and then repair again, or run dpkg --configure --pending"
                raise InstallationError("triggers of packages", f"{reason} ({len(copied)} files)", remedy)
            self._keep_initramfs()
        with _interruptions_deferred(), self._locks.lent():
            ended = self._run(_RUN_TRIGGERS)
        if ended.status != 0:
            reason = f"dpkg {' '.join(_RUN_TRIGGERS)} ended with status {ended.status}: {ended.said}"
            remedy = "Mend what it complains of, then run dpkg --configure --pending"
            raise InstallationError("triggers", reason, remedy)
        self._quarantine.triggers_put_off = False

    def _keep_initramfs(self) -> None:
        """Keep what is made anew; it is no reason to leave a system half-configured that there is no room for that."""
        directory = self._tree.resolve(b"/boot")
        with contextlib.suppress(OSError):
            for name in self._tree.names(directory):
                if name.startswith(_INITRAMFS):
                    self._quarantine.keep_if_possible(directory + b"/" + name)

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

        It outlives this process: it writes to a file, since a pipe would end with us, and holds lock-frontend and the
        directory of the packages too.
        """
        argv = [*self._dpkg(), *arguments]
        with self._silence() as silence, tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
            stdin.write(given)
            stdin.seek(0)
            try:
                process = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
                    argv,
                    stdin=stdin,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=commands.environment({**_ENVIRONMENT, **silence.environment}),
                    start_new_session=True,
                    pass_fds=(*self._locks.to_inherit(), *self._to_inherit, *silence.to_inherit),
                )
            except OSError as error:
                reason = f"dpkg cannot be started: {error.strerror}"
                raise InstallationError(argv[-1], reason, "Repair dpkg itself first") from error
            status = process.wait()
            output.seek(max(0, os.fstat(output.fileno()).st_size - _MAX_MESSAGE_BYTES))
            return _Ended(status, output.read(_MAX_MESSAGE_BYTES).decode("utf-8", "replace").strip())

    @contextlib.contextmanager
    def _silence(self) -> Iterator[Silence]:
        """Keep maintainer scripts from services. In another root they are in a chroot, where none runs."""
        if self._tree.root:
            yield Silence({"SYSTEMD_OFFLINE": "1"}, ())
            return
        with contextlib.ExitStack() as stack:
            try:
                silence = stack.enter_context(silent_services())
            except OSError as error:
                raise InstallationError(
                    PARENT,
                    f"nothing can be put there that keeps services from being restarted: {error.strerror}",
                    "Make room there, and see that the directory belongs to root",
                ) from error
            yield silence

    def _dpkg(self) -> list[str]:
        """Return how dpkg is called."""
        if not self._tree.root:
            return ["dpkg"]
        # Without it the machine's own log would speak of packages that it does not have.
        log = os.fsdecode(self._tree.root + self._tree.resolve(b"/var/log/dpkg.log"))
        return ["dpkg", f"--root={os.fsdecode(self._tree.root)}", f"--log={log}"]

    def _filters(self, packages: Mapping[str, VerifiedPackage]) -> list[str]:
        """Return what another root leaves out: dpkg itself would leave out what this machine does (dpkg.cfg(5))."""
        if not self._tree.root:
            return []
        paths = [path for package in packages.values() for path in package.members]
        left = [os.fsdecode(path) for path in paths if left_out(path, self._facts.filters)]
        return ["--path-include=*", *(f"--path-exclude={_GLOB.sub(_ESCAPED, path)}" for path in left)]

    def _refuse_obstacles(self, step: Step, packages: Mapping[str, VerifiedPackage]) -> None:
        """Refuse before dpkg does it half-way through the packages."""
        facts = self._facts.of(step)
        for label, package in packages.items():
            paths = [facts.places[label, path] for path in package.members]
            paths += [entry.path for entry in facts.listed_only.get(label, ())]
            for path in paths:
                reason = obstacle(self._tree, path)
                if reason is not None:
                    remedy = "Find out who set it, clear it with chattr -i -a, and repair again"
                    raise RepairError(package.name, reason, remedy)

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

    def _keep(self, step: Step, packages: Mapping[str, VerifiedPackage], moved: list[tuple[bytes, bytes]]) -> None:
        """Keep what dpkg replaces; ``moved`` gets the directories that are moved, with their names in the quarantine.

        A directory in the place of a file is: dpkg removes it with all that is in it, or leaves it for a link.
        """
        replaced = {each.path: each for each in replaced_by(self._tree, step, self._facts)}
        kept = dict.fromkeys([*step.damaged, *self._conffiles(step)])
        for path in kept:
            self._quarantine.keep(path)
        for path, each in replaced.items():
            if path not in kept:
                self._quarantine.keep(path, with_content=each.has_content)
        facts = self._facts.of(step)
        no_directories = {
            facts.places[label, listed]
            for label, package in packages.items()
            for listed, member in package.members.items()
            if member.kind != DIRECTORY
        }
        # A new version has no more what is damaged, perhaps: then dpkg removes it, but not a directory in its place.
        no_directories |= {
            path for path in step.damaged if path in facts.entries and facts.entries[path].kind != DIRECTORY
        }
        for path in sorted({*step.damaged, *replaced} & no_directories):
            self._set_aside(path, moved)

    def _conffiles(self, step: Step) -> list[bytes]:
        """Return the conffiles of what is upgraded: scripts move, change and remove them in ways of their own."""
        labels = frozenset(each.label for each in step.upgrades)
        entries = self._facts.of(step).entries.values() if labels else ()
        return [entry.path for entry in entries if entry.kind == CONFFILE and not labels.isdisjoint(entry.packages)]

    def _set_aside(self, path: bytes, moved: list[tuple[bytes, bytes]]) -> None:
        directory, _slash, name = path.rpartition(b"/")
        walk = DirectoryWalk(self._tree)
        try:
            parent = walk.enter(directory)
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                moved.append((path, self._quarantine.move(path, parent, name)))
        except (FileNotFoundError, NotADirectoryError):
            return
        except NotMovableError as error:
            raise RepairError(error.value, error.reason, error.remedy) from error
        finally:
            walk.close()

    def _move_back(self, moved: Sequence[tuple[bytes, bytes]]) -> None:
        """Put directories back where dpkg has put nothing; where that fails, the records say where they are."""
        for path, kept in moved:
            with contextlib.suppress(QuarantineError):
                self._quarantine.move_back(path, kept)


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
