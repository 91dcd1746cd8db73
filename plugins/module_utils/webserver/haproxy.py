# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy on a Debian host, behind the same questions as the other servers.

Source: HAProxy's management guide (command line, master-worker mode); what a reload leaves was measured with 2.6 and
3.0 of Debian 12 and 13.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import haproxy_syntax, packaged, processes
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import (
    Capabilities,
    Directive,
    Output,
    Site,
    run,
)

_PROGRAM = "/usr/sbin/haproxy"
_MAX_FILE_BYTES = 4 * 1024 * 1024
_MAX_LOG_LINES = 1000
_MAX_ERRORS = 50
_VERSION = re.compile(r"^HA-?Proxy version (\d+(?:\.\d+)+)", re.MULTILINE)
_OPENSSL = re.compile(r"^Running on OpenSSL version : \S+ (\d+(?:\.\d+)+[a-z]*)", re.MULTILINE)
_FEATURES = re.compile(r"^Feature list : (.+)$", re.MULTILINE)
_SERVICES = re.compile(r"^Available services :(.*)$", re.MULTILINE)
# HAProxy 2.2 has the time between the level and the number of the process.
_ALERT = re.compile(r"^\[(?:ALERT|EMERG)\]\s+(?:\d+/\d+ )?\(\d+\) : (.*)$")
# What only follows from the other lines.
_SAYS_NOTHING = re.compile(
    r"config : (?:Error\(s\) found in configuration file|Fatal errors found in configuration)"
    r"|.*Some protocols failed to start their listeners"
)
# What goes wrong while a configuration is in use, and says nothing about a new one.
_OF_RUNNING = re.compile(r".*(?:has no server available|failed in logger)")
# What the master says when it goes on without the new configuration (2.2 says it in words of its own), or gives up.
_REFUSED = re.compile(r"Loading failure|Failed to load worker|Reexecuting Master process in waitpid|exit-on-failure")


class HAProxy:
    """HAProxy as Debian's package runs it: a master that keeps its number, and workers that it makes at each reload."""

    name = "haproxy"
    unit = "haproxy.service"
    directory = "/etc/haproxy"
    entry_path = "/etc/haproxy/haproxy.cfg"
    main_file = "haproxy.cfg"
    # HAProxy cannot include a file, so the entry is a link: the unit's own variable stays, and nothing is restarted.
    entry_content: bytes | None = None

    def __init__(self, program: str = _PROGRAM, settings_path: str = "/etc/default/haproxy") -> None:
        """``settings_path`` is the file of variables that the unit reads."""
        self._program = program
        self._settings_path = settings_path

    def capabilities(self) -> Capabilities | None:
        """Ask the binary; ``modules`` are what it has built in (``LUA``) and its services (``prometheus-exporter``)."""
        output = run([self._program, "-vv"])
        if output.status == 127:
            return None
        version, openssl = _VERSION.search(output.stdout), _OPENSSL.search(output.stdout)
        if output.status != 0 or version is None or openssl is None:
            raise MeasurementError(
                f"{self._program} -vv",
                "it does not say which version it is, and with which OpenSSL",
                "Reinstall haproxy",
            )
        features, services = _FEATURES.search(output.stdout), _SERVICES.search(output.stdout)
        built_in = [word[1:] for word in (features[1].split() if features else []) if word.startswith("+")]
        return Capabilities(version[1], openssl[1], (*built_in, *(services[1].split() if services else [])))

    def test_argv(self, entry_path: str) -> list[str]:
        """Return the command; raises InvalidInputError where the unit's variables name another file."""
        return [self._program, "-c", "-f", entry_path, *self._extra_options()]

    def start_argv(self) -> list[str]:
        """Return the command; its first process ends as soon as the sockets are open, or says why they are not."""
        return [self._program, "-W", "-D", "-f", self.entry_path, "-p", "/run/haproxy.pid", *self._extra_options()]

    def _extra_options(self) -> list[str]:
        """Return the EXTRAOPTS that the host's administrator has given to the unit."""
        settings = _settings(self._settings_path)
        configuration = settings.get("CONFIG", self.entry_path)
        if configuration != self.entry_path:
            raise InvalidInputError(
                f"CONFIG={configuration} in {self._settings_path}",
                f"the unit reads that file in place of {self.entry_path}",
                "Take the line out, and restart HAProxy",
            )
        return settings.get("EXTRAOPTS", "").split()

    def explanation(self, output: str) -> str:
        """Return what the alerts of an output say."""
        return "\n".join(_alerts(output.splitlines())) or output.strip()

    def upstream_names(self, texts: Iterable[str]) -> set[str]:
        """Return the host names of servers, peers, binds and log targets."""
        return {name for text in texts for name in haproxy_syntax.resolved_names(haproxy_syntax.parse(text))}

    def sites(self) -> list[Site]:
        """Return the file as one site without names: which names a frontend answers for is anybody's guess."""
        file, text = self._configuration()
        sockets = haproxy_syntax.listeners(haproxy_syntax.parse(text))
        return [Site(file, (), tuple(sockets))] if sockets else []

    def tls_protocol_lines(self) -> list[Directive]:
        """Return the protocols on ``bind`` lines and in the defaults for them."""
        file, text = self._configuration()
        if file.startswith(f"{self.directory}/ringmaster/"):
            return []
        return [
            Directive(file, line, value) for line, value in haproxy_syntax.tls_protocols(haproxy_syntax.parse(text))
        ]

    def _configuration(self) -> tuple[str, str]:
        """Return the path and the text of the configuration; no text where it is as the package brought it."""
        file = os.path.realpath(self.entry_path)
        if file.startswith(f"{self.directory}/ringmaster/releases/original/"):
            # A copy of what the entry was.
            file = self.entry_path
        if packaged.is_pristine(file):
            return file, ""
        try:
            return file, read_regular(file, _MAX_FILE_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            return file, ""
        except OSError as error:
            raise MeasurementError(file, f"it cannot be read ({error.strerror})", "Look at what it is") from error

    def serving_since(self, main_pid: int) -> float | None:
        """Return when the newest worker was made.

        Workers of earlier configurations go on beside it until their visitors have left. A reload that fails, for
        instance because a port is taken, leaves the worker that there was: the master makes none before every socket is
        open.
        """
        workers = [pid for pid in processes.children(main_pid) if _is_haproxy(processes.command_line(pid))]
        moments = [processes.start_moment(pid) for pid in workers]
        return max((moment for moment in moments if moment is not None), default=None)

    def errors_since(self, moment: float) -> list[str]:
        """Return the alerts in the unit's journal, if the master has refused a configuration.

        What visitors ask for is not looked at. Workers in use have alerts too, which say nothing about a new one.
        """
        said = _journal(self.unit, moment).stdout.splitlines()
        if not any(_REFUSED.search(line) for line in said):
            return []
        found = _alerts(said)
        return ([text for text in found if not _OF_RUNNING.match(text)] or found)[:_MAX_ERRORS]


def _alerts(lines: Iterable[str]) -> list[str]:
    """Return what alerts say, each once; without what only follows from the others, unless there is nothing else."""
    found = list(dict.fromkeys(alert[1].strip() for alert in map(_ALERT.match, lines) if alert))
    return [text for text in found if not _SAYS_NOTHING.match(text)] or found


def _journal(unit: str, moment: float) -> Output:
    # What HAProxy logs about requests comes by way of syslog, what it says of itself by its standard error.
    since, most = f"--since=@{moment:.6f}", f"--lines={_MAX_LOG_LINES}"
    return run(["journalctl", "--quiet", "--no-pager", "-u", unit, "_TRANSPORT=stdout", since, most, "-o", "cat"])


def _is_haproxy(command_line: bytes) -> bool:
    """Tell workers from the programs that a master can run beside them."""
    return command_line.partition(b"\0")[0].rpartition(b"/")[2] == b"haproxy"


def _settings(path: str) -> dict[str, str]:
    """Return the variables of a file as systemd reads them (systemd.exec(5), EnvironmentFile)."""
    try:
        text = read_regular(path, _MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            try:
                found[name] = " ".join(shlex.split(value))
            except ValueError:
                continue
    return found
