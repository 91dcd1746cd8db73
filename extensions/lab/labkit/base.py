# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base trees: a small Debian of each release, built with mmdebstrap, kept between runs, read-only for all hosts."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labkit import aptconfig, cgroups, machine, sources, syscalls
from labkit.errors import LabError
from labkit.layout import Clone
from labkit.progress import Step, say

# What a plain server has, and python3-apt, without which Ansible's apt module would install it and call that a change.
PACKAGES = (
    "ca-certificates",
    "dbus",
    "debian-archive-keyring",
    "iproute2",
    "iputils-ping",
    "kmod",
    "netbase",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "systemd",
    "systemd-sysv",
    "tzdata",
    "udev",
)
# apt's own timers would hold its locks at random moments; a login prompt on a console that is a pipe would respawn.
MASKED_UNITS = ("apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service")
BUILD_TIMEOUT_SECONDS = 900
_RECIPE = r"""
set -eu
root="$1"; cache="$2"; authorities="$3"; own_sources="$4"
cp -l -n "$root"/var/cache/apt/archives/*.deb "$cache"/ 2>/dev/null || true
rm -f "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/ssh/ssh_host_*
if [ "$own_sources" = no ]; then rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*; fi
for unit in MASKED_UNITS; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
if [ -n "$(ls "$authorities")" ]; then
    cp "$authorities"/* "$root"/usr/local/share/ca-certificates/
    chroot "$root" update-ca-certificates >/dev/null
fi
""".replace("MASKED_UNITS", " ".join(MASKED_UNITS))
# Every release from 11 on is installed with /bin, /lib and /sbin in /usr; mmdebstrap's own hook knows that from 12 on.
_MERGED_USR = "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr"
_MERGED_USR_11 = (
    '--setup-hook=cd "$1"; for name in bin lib lib32 lib64 libx32 sbin; do '
    'mkdir -p "usr/$name" && ln -s "usr/$name" . || exit; done'
)
_SKIPPED = "download/empty,essential/unlink,cleanup/apt/lists"


def _merged_usr(suite: str) -> str:
    return _MERGED_USR_11 if suite == "bullseye" else _MERGED_USR


def recipe_digest(suite: str) -> str:
    """Return what changes whenever a base tree built now could differ in kind from one built before."""
    digest = hashlib.sha256("\n".join([suite, *PACKAGES, _RECIPE, _merged_usr(suite), _SKIPPED]).encode())
    for path in machine.local_ca_certificates():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def base_path(clone: Clone, suite: str) -> Path:
    """Where the base tree of a release lies, or will lie."""
    return clone.bases / f"{suite}-{recipe_digest(suite)}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(clone: Clone, suite: str, setup: machine.AptSetup) -> Path:
    """Return the base tree of a release, built when it is not there. Raises LabError."""
    path = base_path(clone, suite)
    if path.is_dir():
        return path
    with _locked(clone.bases / f".{suite}.lock"):
        if not path.is_dir():
            with Step(f"building the base tree of {suite} (once, kept in .lab)"):
                _build(clone, suite, path, setup)
    return path


def ensure_all(clone: Clone, suites: Iterable[str], setup: machine.AptSetup) -> None:
    """Build the base trees that are not there, several at a time. Raises LabError."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(lambda suite: ensure(clone, suite, setup), sorted(set(suites))))


def _build(clone: Clone, suite: str, path: Path, setup: machine.AptSetup) -> None:
    group = cgroups.group(f"{clone.prefix}-build-{suite}")
    cgroups.kill(group)  # what a killed run may have left at work
    for leftover in clone.bases.glob(f".new-{suite}-*"):
        remove_tree(leftover)
    cache = clone.apt_cache(suite)
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".new-{suite}-", dir=clone.bases))
    work.chmod(0o755)
    try:
        command = _command(work, suite, cache, machine.debian_sources(setup, suite, clone.bases), setup.settings)
        with (clone.bases / f"{suite}.log").open("wb") as log:
            _run_build(command, group, log.fileno(), suite, clone.bases / f"{suite}.log")
        (work / "root").rename(path)
    finally:
        cgroups.kill(group)
        remove_tree(work)


def _run_build(command: list[str], group: Path, log: int, suite: str, log_path: Path) -> None:
    def in_child() -> None:
        # mmdebstrap mounts /proc and more inside the new tree: a killed run must not leave that on the machine.
        syscalls.enter_new_mount_namespace()
        cgroups.enter(group)

    try:
        status = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=BUILD_TIMEOUT_SECONDS,
            check=False,
            env=_environment(),
            preexec_fn=in_child,
        ).returncode
    except subprocess.TimeoutExpired:
        raise LabError(f"{suite}: mmdebstrap did not end within {BUILD_TIMEOUT_SECONDS} s; see {log_path}") from None
    if status != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-15:])
        raise LabError(f"{suite}: mmdebstrap ended with status {status}; see {log_path}, which ends:\n{tail}")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {**kept, "PATH": machine.SYSTEM_PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def quote(path: Path) -> str:
    """Return the path as one word of a shell command (mmdebstrap's hooks are such)."""
    return shlex.quote(str(path))


def _command(
    work: Path, suite: str, cache: Path, mapped: list[sources.Source], settings: Sequence[aptconfig.Setting]
) -> list[str]:
    """mmdebstrap(1) with everything that it needs in files beside the new tree."""
    authorities = work / "authorities"
    authorities.mkdir()
    for certificate in machine.local_ca_certificates():
        shutil.copy(certificate, authorities)
    recipe = work / "recipe.sh"
    recipe.write_text(_RECIPE)
    options = work / "apt.conf"
    options.write_text(aptconfig.render(settings) + 'Acquire::Languages "none";\n')
    own_sources = "no" if mapped else "yes"
    command = [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--skip={_SKIPPED}",
        f"--include={','.join(PACKAGES)}",
        f"--aptopt={options}",
        _merged_usr(suite),
        # Whether the disk has it all matters when the tree is whole, not at every file.
        "--dpkgopt=force-unsafe-io",
        f'--setup-hook=mkdir -p "$1"/var/cache/apt/archives && cp -al {quote(cache)}/. "$1"/var/cache/apt/archives/',
        *(f'--setup-hook=install -D -m 600 {quote(path)} "$1"{quote(path)}' for path in machine.apt_credentials()),
        f'--customize-hook=sh {quote(recipe)} "$1" {quote(cache)} {quote(authorities)} {own_sources}',
        *(f'--customize-hook=rm -f "$1"{quote(path)}' for path in machine.apt_credentials()),
        suite,
        str(work / "root"),
    ]
    if mapped:
        listing = work / "debian.sources"
        listing.write_text(sources.render(mapped))
        command.append(str(listing))
    else:
        say("this machine has no Debian package sources: mmdebstrap's own default mirror is used")
    return command


def prune(clone: Clone, in_use: set[str]) -> None:
    """Remove base trees of former recipes that no host uses. `in_use`: directory names."""
    for path in clone.bases.glob("*-*"):
        current = base_path(clone, path.name.rpartition("-")[0])
        if path.is_dir() and not path.name.startswith(".") and path.name not in in_use and path != current:
            remove_tree(path)


def remove_tree(path: Path) -> None:
    """Remove a directory and all below it, never crossing into another file system."""
    if path.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", "--", str(path)], check=False, stdin=subprocess.DEVNULL)
    if path.exists():
        raise LabError(f"{path}: could not be removed whole; see what holds it (mount, lsattr) and remove it by hand")
