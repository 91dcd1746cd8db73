# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order a damaged system is repaired: first what the rest of the repair needs itself. Pure."""

from __future__ import annotations

import re

#: The stages, in order. Directories come first, because anything may lie in them.
DIRECTORIES = "directories"
ACCOUNTS = "accounts"
ARCHIVE = "archive"
DATABASE = "database"
TOOLCHAIN = "toolchain"
BOOT = "boot"
LIBRARIES = "libraries"
REST = "rest"
#: A kernel's package has an initramfs made at once, which copies what is on the disk by then.
KERNEL = "kernel"
STAGES = (DIRECTORIES, ACCOUNTS, ARCHIVE, DATABASE, TOOLCHAIN, BOOT, LIBRARIES, REST, KERNEL)

_ACCOUNTS = re.compile(
    rb"/etc/(?:passwd|group|shadow|gshadow|fstab|nsswitch\.conf|resolv\.conf|hosts)|/usr/share/base-passwd/"
)
_ARCHIVE = re.compile(rb"/etc/(?:apt|yum|yum\.repos\.d|dnf|pki|ssl)/|/usr/share/keyrings/")
_ARCHIVE_PACKAGES = re.compile(r"(?:debian|ubuntu|debian-ports)-(?:archive-)?keyring|ca-certificates")
_DATABASE = re.compile(rb"(?:/usr/lib/sysimage/rpm|/var/lib/(?:dpkg|rpm))/")
_BOOT = re.compile(rb"/boot/|(?:/usr)?/lib/(?:modules|firmware)/")
_BOOT_PACKAGES = re.compile(
    r"systemd.*|libsystemd.*|udev|libudev.*|init|sysvinit.*|kmod|libkmod.*|dbus.*|libdbus.*|initramfs-tools.*|dracut.*"
    r"|linux-(?:image|modules|signed).*|kernel.*|grub.*|shim.*|mount|util-linux"
)
_KERNEL_PACKAGES = re.compile(r"linux-image.*")
_LIBRARY = re.compile(rb".*/lib[^/]*/.*\.so(?:\.[^/]*)?", re.DOTALL)

#: What unpacks packages and runs this repair, each after what it needs itself.
_TOOLCHAIN = tuple(
    re.compile(names)
    for names in (
        r"libc6|glibc.*|libc-bin|libcrypt1|libgcc-s1|libgcc",
        r"coreutils.*|libacl1|libattr1|libselinux.*|libpcre2-8-0|libgmp10|libmd0|libcap2?|libtinfo6|bash|dash|sed|grep",
        r"tar|gzip|bzip2|libbz2.*|xz.*|liblzma5|libzstd1|zstd|zlib.*|perl-base|findutils|diffutils",
        r"dpkg.*|rpm.*|librpm.*",
        r"apt|libapt-pkg.*|dnf.*|libdnf.*|yum|gpgv|libgcrypt20|libgpg-error0|libssl3.*|openssl.*|libgnutls30.*",
        r"python3.*|libpython3.*|libexpat1|libffi8|libsqlite3-0",
    )
)


def stage(path: bytes, package: str) -> str:
    """Return the stage to which a path of a package (with or without its architecture) belongs."""
    name = package.partition(":")[0]
    if _ACCOUNTS.match(path) or name == "base-passwd":
        return ACCOUNTS
    if _ARCHIVE.match(path) or _ARCHIVE_PACKAGES.fullmatch(name):
        return ARCHIVE
    if _DATABASE.match(path):
        return DATABASE
    if _toolchain(name) is not None:
        return TOOLCHAIN
    if _BOOT.match(path) or _BOOT_PACKAGES.fullmatch(name):
        return BOOT
    return LIBRARIES if _LIBRARY.fullmatch(path) else REST


def installation_stage(paths: list[bytes], package: str) -> str:
    """Return the stage to which the installation of a package belongs over paths that are damaged."""
    if _KERNEL_PACKAGES.fullmatch(package.partition(":")[0]):
        return KERNEL
    return min((stage(path, package) for path in paths or [b""]), key=lambda name: rank(name, package))


def rank(stage_name: str, package: str) -> tuple[int, int]:
    """Return what steps are sorted by: their stage, and within the toolchain what their package is needed for."""
    return STAGES.index(stage_name), _toolchain(package.partition(":")[0]) or 0


def _toolchain(name: str) -> int | None:
    return next((number for number, names in enumerate(_TOOLCHAIN) if names.fullmatch(name)), None)
