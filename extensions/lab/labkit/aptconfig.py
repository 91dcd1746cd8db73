# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's settings that lab hosts inherit from the machine (apt.conf(5)), services on its loopback. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

# Ways to reach an archive, and its clock. Nothing that would switch a signature check off.
_INHERITED = re.compile(
    r"Acquire::(?:(?:http|https)::.+|Check-Valid-Until|Check-Date|Max-ValidTime(?:::.+)?|Min-ValidTime(?:::.+)?"
    r"|Retries|ForceIPv4)",
    re.IGNORECASE,
)
_NOT_INHERITED = re.compile(r"Acquire::(?:http|https)::Proxy-?Auto-?Detect", re.IGNORECASE)
_FILE_SETTING = re.compile(r"Acquire::https::(?:.+::)?(?:CaInfo|SslCert|SslKey|CrlFile|IssuerCert)", re.IGNORECASE)
LOOPBACK_NAMES = ("localhost", "ip6-localhost", "::1")


@dataclass(frozen=True)
class Setting:
    """One line of `apt-config dump`."""

    key: str
    value: str


def parse_dump(text: str) -> list[Setting]:
    """Return the settings that lab hosts inherit, from the output of `apt-config dump`."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r'(\S+) "(.*)";', line)
        if match and match[2] and _INHERITED.fullmatch(match[1]) and not _NOT_INHERITED.fullmatch(match[1]):
            found.append(Setting(match[1], match[2]))
    return found


def with_environment_proxies(settings: Sequence[Setting], environment: Mapping[str, str]) -> list[Setting]:
    """Add the proxies of the environment, which apt uses where its configuration names none."""
    result = list(settings)
    present = {setting.key.lower() for setting in settings}
    for scheme in ("http", "https"):
        proxy = environment.get(f"{scheme}_proxy", "")
        key = f"Acquire::{scheme}::Proxy"
        if proxy and key.lower() not in present:
            result.append(Setting(key, proxy if "://" in proxy else f"http://{proxy}"))
            direct = [word.strip().lstrip(".") for word in environment.get("no_proxy", "").split(",")]
            result += [Setting(f"{key}::{word}", "DIRECT") for word in direct if re.fullmatch(r"[\w.-]+", word)]
    return result


def files_named(settings: Iterable[Setting]) -> list[str]:
    """Return the files that the settings refer to (certificates and keys): they must be where the settings are."""
    return [setting.value for setting in settings if _FILE_SETTING.fullmatch(setting.key)]


def is_loopback(host: str) -> bool:
    """Whether a name or address means the machine itself and so something else inside a lab host."""
    return host.lower() in LOOPBACK_NAMES or bool(re.fullmatch(r"127\.\d+\.\d+\.\d+", host))


def seen_from_lab(url: str, gateway: str) -> tuple[str, int | None]:
    """Return a URL as a lab host must write it: a service on the machine's loopback is reached by the lab's gateway.

    Returns the URL and the port on loopback that the gateway must pass on, or None.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return url, None
    if not is_loopback(host) or port is None:
        return url, None
    user, at, _host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{gateway}:{port}")), port


def render(settings: Iterable[Setting]) -> str:
    """Return the settings as an apt.conf file."""
    return "".join(f'{setting.key} "{setting.value}";\n' for setting in settings)
