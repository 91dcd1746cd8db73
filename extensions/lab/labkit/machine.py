# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine is and has: rights, programs, apt configuration, name servers. Reads, changes nothing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from labkit import aptconfig, resolver, sources
from labkit.commands import run
from labkit.errors import LabError
from labkit.progress import say

# What must be there -> the Debian package that brings it.
_NEEDED = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mount": "mount",
    "apt-config": "apt",
    sources.DEBIAN_KEYRING: "debian-archive-keyring",
}
_APT_HELPER = "/usr/lib/apt/apt-helper"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOCAL_CA_DIRECTORY = Path("/usr/local/share/ca-certificates")
SOURCES_VARIABLE = "RINGMASTER_LAB_APT_SOURCES"


@dataclass(frozen=True)
class AptSetup:
    """How this machine reaches Debian's archive: what the base trees are built with and the hosts inherit."""

    sources: tuple[sources.Source, ...]
    settings: tuple[aptconfig.Setting, ...]


def missing_packages() -> list[str]:
    """Return the Debian packages that the lab needs and this machine lacks, sorted."""
    missing = set()
    for thing, package in _NEEDED.items():
        present = Path(thing).exists() if thing.startswith("/") else shutil.which(thing, path=SYSTEM_PATH)
        if not present:
            missing.add(package)
    return sorted(missing)


def require_root() -> None:
    """Raise LabError with one sentence when this is no Linux machine or its user is not root."""
    if not sys.platform.startswith("linux"):
        raise LabError(
            f"{sys.platform}: the lab needs a Linux machine; run it on Debian 12 or 13, a virtual one will do"
        )
    if os.geteuid() != 0:
        raise LabError(
            f"user id {os.geteuid()}: the lab needs root for mounts and networks; run it as root or with sudo"
        )
    if not Path("/proc/self/ns/net").exists():
        raise LabError("/proc/self/ns/net: this kernel has no network namespaces; run the lab on another machine")


def require_programs() -> None:
    """Raise LabError with one sentence when Debian packages are missing."""
    missing = missing_packages()
    if missing:
        raise LabError(f"missing on this machine: {', '.join(missing)}; run: apt-get install -y {' '.join(missing)}")


def _read(path: Path | str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _source_files() -> list[Path]:
    named = os.environ.get(SOURCES_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise LabError(
                f"{SOURCES_VARIABLE}={named}: no such file; name a .list or .sources file, or unset the variable"
            )
        return [Path(named)]
    parts = Path("/etc/apt/sources.list.d")
    return [Path("/etc/apt/sources.list"), *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]


def apt_setup() -> AptSetup:
    """Return the machine's own package sources and apt settings."""
    found: list[sources.Source] = []
    for path in _source_files():
        parse = sources.parse_deb822 if path.suffix == ".sources" else sources.parse_one_line
        found += parse(_read(path))
    found = sources.expand_mirror_lists(found, _read)
    settings = aptconfig.parse_dump(run(["apt-config", "dump"]).stdout)
    settings = aptconfig.with_environment_proxies(settings, os.environ)
    return AptSetup(tuple(found), tuple(settings))


def debian_sources(setup: AptSetup, suite: str, cache: Path) -> list[sources.Source]:
    """Return the machine's sources mapped to a release, reduced to what its mirrors serve.

    Empty when the machine has no Debian sources (mmdebstrap's own default then). What was found out is kept in the
    directory `cache`. Raises LabError.
    """
    mapped = sources.map_sources(setup.sources, suite)
    if not mapped:
        return []
    digest = hashlib.sha256(sources.render(mapped).encode()).hexdigest()[:12]
    kept = cache / f"{suite}-{digest}.sources"
    if not kept.is_file():
        served = _served(mapped, suite)
        cache.mkdir(parents=True, exist_ok=True)
        draft = cache / f".{kept.name}.{os.getpid()}"
        draft.write_text(sources.render(served))
        draft.replace(kept)
    return sources.parse_deb822(kept.read_text())


def _served(mapped: list[sources.Source], suite: str) -> list[sources.Source]:
    """Return the sources reduced to what their mirrors serve, Debian's own when there are such. Raises LabError."""
    origins: dict[tuple[str, str], str | None] = {}

    def serves(uri: str, word: str) -> bool:
        if (uri, word) not in origins:
            origins[uri, word] = _release_origin(uri, word)
        return origins[uri, word] is not None

    served = sources.served_only(mapped, serves)
    debian = [source for source in served if origins.get((source.uris[0], source.suites[0])) == "Debian"]
    result = debian or served
    if not any(suite in source.suites for source in result):
        asked = ", ".join(sorted({source.uris[0] for source in mapped if suite in source.suites}))
        raise LabError(
            f"{suite}: not served by {asked or 'any Debian source of this machine'}; "
            f"name an archive that still has it in a sources.list file and set {SOURCES_VARIABLE} to its path"
        )
    dropped = {word for source in mapped for word in source.suites} - {
        word for source in result for word in source.suites
    }
    if dropped:
        say(f"{', '.join(sorted(dropped))}: not served by this machine's mirrors, left out")
    return result


def _release_origin(uri: str, suite: str) -> str | None:
    """Return the Origin field of a suite's release file ('' without one), None when the mirror does not serve it.

    Only chooses among sources; apt checks the signature of what it then uses. Raises LabError when it cannot be known.
    """
    with tempfile.TemporaryDirectory(prefix="ringmaster-lab-") as directory:
        Path(directory).chmod(0o755)
        for name in ("InRelease", "Release"):
            path = Path(directory, name)
            url = f"{uri.rstrip('/')}/dists/{suite}/{name}"
            result = run([_APT_HELPER, "download-file", url, path], check=False, timeout_seconds=120)
            if result.returncode == 0 and path.is_file():
                match = re.search(r"^Origin: *(.*)$", path.read_text(errors="replace")[:4096], re.MULTILINE)
                return match[1].strip() if match else ""
            if not re.search(r"\b(?:403|404|410)\b", result.stderr):
                reason = " ".join(result.stderr.split())
                raise LabError(f"{url}: {reason}; see that `apt-get update` works on this machine, then try again")
    return None


def nameservers() -> list[str]:
    """Return the machine's name servers; behind a local stub resolver (systemd-resolved) those it asks itself."""
    return resolver.choose_nameservers([_read("/etc/resolv.conf"), _read("/run/systemd/resolve/resolv.conf")])


def mirror_names(setup: AptSetup) -> set[str]:
    """Return the host names that apt contacts: of sources and proxies."""
    urls = [uri for source in setup.sources for uri in source.uris]
    urls += [setting.value for setting in setup.settings if "proxy" in setting.key.lower()]
    names = set()
    for url in urls:
        try:
            names.add(urlsplit(url).hostname or "")
        except ValueError:
            continue
    return names - {""}


def local_names(setup: AptSetup) -> list[tuple[str, str]]:
    """(address, name) of those that this machine knows from its /etc/hosts."""
    return resolver.hosts_entries(_read("/etc/hosts"), mirror_names(setup))


def apt_credentials() -> list[Path]:
    """Return the machine's files with passwords for apt archives (apt_auth.conf(5))."""
    return [path for path in [Path("/etc/apt/auth.conf"), *Path("/etc/apt/auth.conf.d").glob("*")] if path.is_file()]


def local_ca_certificates() -> list[Path]:
    """Extra certificate authorities that this machine trusts (update-ca-certificates(8))."""
    return sorted(LOCAL_CA_DIRECTORY.rglob("*.crt"))


def boot_id() -> str:
    """Return the id of the machine's current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
