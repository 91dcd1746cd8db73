# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apache on a Debian host, as :class:`~.server.Server` describes a server.

Its own test is blind to TLS: it accepts a curve that does not exist, a cipher list that is empty and a key that does
not fit, and the reload after it ends the main process (``AH00020: Configuration Failed, exiting``). Only a start finds
them all; :meth:`Apache.tls_problems` finds most of them where no start can be tried.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import apache_log, apache_tls, processes
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.apache_syntax import (
    Section,
    Statement,
    exported_variables,
    read_configuration,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.packaged import is_pristine
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import (
    Capabilities,
    Directive,
    Listener,
    Site,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PROGRAM = "/usr/sbin/apache2"
_CONTROL = "/usr/sbin/apachectl"
_MODULES = Path("/usr/lib/apache2/modules")
_DIRECTORY = "/etc/apache2"
_ENTRY = f"{_DIRECTORY}/apache2.conf"
_RELEASES = f"{_DIRECTORY}/ringmaster/"
_MAX_SMALL_FILE_BYTES = 64 * 1024
_WILDCARDS = ("0.0.0.0", "::")
# What the servers of this collection call a site that has no name.
_NO_NAME = "_"
# Directives that make the main server, outside of every virtual host, one that serves something.
_SERVING = ("documentroot", "proxypass", "proxypassmatch")


class Apache:
    """The package ``apache2`` of Debian: one instance, in ``/etc/apache2``."""

    name = "apache"
    unit = "apache2.service"
    directory = _DIRECTORY
    entry_path = _ENTRY
    main_file = "apache2.conf"
    entry_content: bytes | None = (
        b"# The configuration is in ringmaster/current; what was here before is in apache2.conf.before-ringmaster.\n"
        b"Include /etc/apache2/ringmaster/current/apache2.conf\n"
    )

    def capabilities(self) -> Capabilities | None:
        """Ask the program for its version, and the files on disk for what a start of it will load.

        A process that was started before OpenSSL was upgraded runs with the older one until it is restarted; Debian
        changes only the last number within a release.
        """
        asked = run([_PROGRAM, "-v"])
        if asked.status == 127:
            return None
        version = re.search(r"Apache/(\d+\.\d+\.\d+)", asked.stdout)
        if version is None:
            raise MeasurementError(
                f"{_PROGRAM} -v", f"it says {asked.stdout[:200]!r}", "Install the package apache2 again"
            )
        return Capabilities(version.group(1), apache_tls.openssl_version(_MODULES / "mod_ssl.so"), _modules())

    def test_argv(self, entry_path: str) -> list[str]:
        """Return the command that reads a configuration with the environment of the unit; it knows nothing of TLS."""
        return [_CONTROL, "-t", "-f", entry_path]

    def start_argv(self) -> list[str]:
        """Return the command of the unit; the variable keeps it from asking systemd to start the real one."""
        return ["/usr/bin/env", "APACHE_STARTED_BY_SYSTEMD=true", _CONTROL, "start"]

    def explanation(self, output: str) -> str:
        """Return what is worse than a warning, without dates and process numbers."""
        return apache_log.explanation(output)

    def upstream_names(self, texts: Iterable[str]) -> set[str]:
        """Return the host names in ``Listen`` and ``<VirtualHost>``; those of proxies wait for a request."""
        found = {name for text in texts for name in re.findall(_NAMED_SOCKET, text)}
        return {name for name in found if _address(name) is None and name not in ("*", "_default_")}

    def sites(self) -> list[Site]:
        """Return the virtual hosts, and the main server where it serves something of its own."""
        found = sites_of(_configuration())
        return [site for site in found if site.file.startswith(_RELEASES) or not is_pristine(site.file)]

    def tls_protocol_lines(self) -> list[Directive]:
        """Return the lines ``SSLProtocol`` of others; that of the package, which every later one replaces, is none."""
        lines = [
            each for each in _configuration() if each.name == "sslprotocol" and not each.file.startswith(_RELEASES)
        ]
        return [
            Directive(each.file, each.line, " ".join(each.arguments)) for each in lines if not is_pristine(each.file)
        ]

    def serving_since(self, main_pid: int) -> float | None:
        """Return when the main process last took its configuration into use.

        It writes its number into a file each time that it has read its configuration, on a start and on a reload, and
        at no other time: its children come and go without. Where that file is not found, the start of the process.
        """
        if not processes.children(main_pid):
            return None
        path = _pid_file()
        try:
            if int(read_regular(str(path), _MAX_SMALL_FILE_BYTES)) == main_pid:
                return path.stat().st_mtime
        except (OSError, ValueError):
            pass
        return processes.start_moment(main_pid)

    def errors_since(self, moment: float) -> list[str]:
        """Return what the error logs, that of each virtual host included, say about a failed start or reload."""
        configuration = _configuration()
        paths = {each.arguments[0] for each in configuration if each.name == "errorlog" and each.arguments}
        return apache_log.errors_since(sorted(path for path in paths if path.startswith("/")), moment)

    def tls_problems(self, entry_path: str) -> list[str]:
        """Return what is wrong with keys, cipher lists and groups of a configuration, as far as no start is needed."""
        return apache_tls.problems(_configuration(entry_path))


_NAMED_SOCKET = re.compile(
    r"^[ \t]*(?:Listen[ \t]+|<VirtualHost[ \t]+)\[?([^\s:\]>]+)\]?:\d+", re.MULTILINE | re.IGNORECASE
)


def _configuration(entry: str = _ENTRY) -> list[Statement]:
    try:
        envvars = read_regular(f"{_DIRECTORY}/envvars", _MAX_SMALL_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        envvars = ""
    return read_configuration(entry, _DIRECTORY, exported_variables(envvars))


def _pid_file() -> Path:
    """Return where the main process writes its number; in a configuration that is too large, where Debian's does."""
    try:
        configuration = _configuration()
    except MeasurementError:
        configuration = []
    return Path(_last(configuration, "pidfile", "/run/apache2/apache2.pid"))


def _last(statements: Sequence[Statement], name: str, otherwise: str) -> str:
    """Return the value of a directive of the main server: the last one counts."""
    values = [each.arguments[0] for each in statements if each.name == name and each.arguments]
    return values[-1] if values else otherwise


def _modules() -> tuple[str, ...]:
    """Return the names of the modules: those that ``apache2 -l`` prints, and those that can be loaded."""
    compiled = re.findall(r"^\s+(?:mod_)?(\w+?)(?:_core)?\.c$", run([_PROGRAM, "-l"]).stdout, re.MULTILINE)
    loadable = [path.stem[len("mod_") :] for path in _MODULES.glob("mod_*.so")]
    return tuple(sorted({f"{name}_module" for name in (*compiled, *loadable)}))


def sites_of(statements: Sequence[Statement]) -> list[Site]:
    """Return the virtual hosts that a configuration defines, and the main server if it serves files or a proxy."""
    listeners = _listeners(statements)
    hosts: dict[Section, list[Statement]] = {}
    main: list[Statement] = []
    for each in statements:
        section = each.enclosing("virtualhost")
        (main if section is None else hosts.setdefault(section, [])).append(each)
    found = [_site(section, inside, listeners) for section, inside in hosts.items()]
    serving = next((each for each in main if each.name in _SERVING), None)
    if serving is not None:
        taken = {listener for site in found for listener in site.listeners}
        found.append(Site(serving.file, _names(main), tuple(each for each in listeners if each not in taken)))
    return found


def _site(section: Section, inside: Sequence[Statement], listeners: Sequence[Listener]) -> Site:
    matching = [each for each in listeners for wanted in section.arguments if _matches(wanted, each)]
    return Site(section.file, _names(inside), tuple(dict.fromkeys(matching)))


def _names(statements: Sequence[Statement]) -> tuple[str, ...]:
    names = [_host_name(each.arguments[0]) for each in statements if each.name == "servername" and each.arguments]
    aliases = [alias for each in statements if each.name == "serveralias" for alias in each.arguments]
    return tuple(dict.fromkeys([*(names[-1:] or [_NO_NAME]), *aliases]))


def _host_name(server_name: str) -> str:
    """Return the name in ``ServerName``, which may carry a scheme and a port."""
    return re.sub(r":\d+$", "", server_name.partition("://")[2] or server_name)


def _listeners(statements: Sequence[Statement]) -> list[Listener]:
    """Return the sockets; ``Listen 80`` is one for both families."""
    found: list[Listener] = []
    for each in statements:
        address, port = _socket(each.arguments[0]) if each.name == "listen" and each.arguments else ("", None)
        if port is not None:
            found += [Listener(one, port) for one in ((address,) if address not in ("", "*") else _WILDCARDS)]
    return list(dict.fromkeys(found))


def _socket(text: str) -> tuple[str, int | None]:
    """Split ``443``, ``192.0.2.7:443``, ``[2001:db8::7]:443``, ``*:443`` and ``*`` into an address and a port."""
    if text.isdecimal():
        return "", int(text)
    address, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        return text.strip("[]"), None
    return address.strip("[]"), int(port) if port.isdecimal() else None


def _matches(wanted: str, listener: Listener) -> bool:
    """Whether a virtual host for an address may get what comes in at a socket."""
    address, port = _socket(wanted)
    if port is not None and port != listener.port:
        return False
    return address in ("", "*", "_default_", listener.address) or listener.address in _WILDCARDS


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return None
