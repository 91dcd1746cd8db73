# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx on a Debian host.

Sources: nginx's manual (command-line switches, ngx_core_module, ngx_http_core_module, ngx_stream_core_module,
ngx_mail_core_module, ngx_http_upstream_module), and Debian's unit for how it is started.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import (
    nginx_sites,
    nginx_syntax,
    nginx_upstreams,
    processes,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.packaged import is_pristine
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import (
    Capabilities,
    Directive,
    Site,
    run,
)

PROGRAM = "/usr/sbin/nginx"
DIRECTORY = "/etc/nginx"

_VERSION = re.compile(r"^nginx version: [^/\s]+/(\d+(?:\.\d+)+)", re.MULTILINE)
_RUNNING_OPENSSL = re.compile(r"\(running with OpenSSL (\d[^\s)]*)")
_BUILT_OPENSSL = re.compile(r"^built with OpenSSL (\d\S*)", re.MULTILINE)
_COMPILED_IN = re.compile(r"--with-((?:\w+_module)|stream|mail)(?=\s|$)")
_MODULES_PATH = re.compile(r"--modules-path=(\S+)")
_LOADABLE = re.compile(r"ngx_(\w+)\.so")

# "nginx: [emerg] text" on the terminal, "2026/11/28 14:20:38 [emerg] 12#12: *3 text" in a log.
_SERIOUS = re.compile(r"^(?:nginx: |[\d/]+ [\d:]+ )?(\[(?:emerg|alert)\]) (?:\d+#\d+: )?(?:\*\d+ )?(.*)$")
_LOGGED = re.compile(r"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[emerg\] ")
_MOST_LINES = 20
_LOG_TAIL_BYTES = 1024 * 1024
# Where Debian's configuration logs to, and releases before 12 when no configuration says anything.
_USUAL_LOG = "/var/log/nginx/error.log"

_WORKER = b"nginx: worker process"
_LEAVING = b"is shutting down"


class Nginx:
    """See :class:`~ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server.Server`."""

    name = "nginx"
    unit = "nginx.service"

    def __init__(self, directory: str = DIRECTORY, program: str = PROGRAM) -> None:
        """Take the places where Debian has them, or others."""
        self.program = program
        self.directory = directory
        self.entry_path = f"{directory}/nginx.conf"
        self.main_file = "nginx.conf"
        self.entry_content: bytes | None = (
            "# Managed by ringmaster.webops; this file does not change any more. Everything is in the release that\n"
            f"# {directory}/ringmaster/current leads to. What was here before is in nginx.conf.before-ringmaster.\n"
            f"include {directory}/ringmaster/current/nginx.conf;\n"
        ).encode()

    def capabilities(self) -> Capabilities | None:
        """Ask ``nginx -V``; the parts are named as in the manual, without ``ngx_``."""
        output = run([self.program, "-V"])
        if output.status == 127:
            return None
        version = _VERSION.search(output.stderr)
        openssl = _RUNNING_OPENSSL.search(output.stderr) or _BUILT_OPENSSL.search(output.stderr)
        if version is None or openssl is None:
            missing = "its version" if version is None else "the OpenSSL that it runs with"
            reason = f"its answer {output.stderr[:200]!r} does not name {missing}"
            raise MeasurementError(f"{self.program} -V", reason, "Install the distribution's package of nginx")
        return Capabilities(version.group(1), openssl.group(1), _modules(output.stderr))

    def test_argv(self, entry_path: str) -> list[str]:
        """Return nginx's own test. As root it makes logs, directories and a pid file: not for a live host."""
        return [self.program, "-t", "-q", "-c", entry_path]

    def start_argv(self) -> list[str]:
        """Return what Debian's unit starts."""
        return [self.program, "-g", "daemon on; master_process on;"]

    def explanation(self, output: str) -> str:
        """Return the lines of level emerg and alert, each once, without date and process number."""
        found = dict.fromkeys(map(_serious, output.splitlines()))
        found.pop("", None)
        return "\n".join(list(found)[:_MOST_LINES]) or output.strip()

    def upstream_names(self, texts: Iterable[str]) -> set[str]:
        """Return the hosts that requests are passed to, and the others that a configuration names."""
        return nginx_upstreams.host_names(texts)

    def sites(self) -> list[Site]:
        """Read the configuration as the server does; servers of ``stream`` and ``mail`` are sites too."""
        found = nginx_sites.sites(nginx_syntax.read(self.entry_path))
        files = {site.file for site in found}
        packaged = {file for file in files if is_pristine(file)}
        return [
            Site(self._origin(site.file), site.names, site.listeners) for site in found if site.file not in packaged
        ]

    def tls_protocol_lines(self) -> list[Directive]:
        """Return each ``ssl_protocols``, and each ``ssl_conf_command`` to the same end."""
        found = nginx_sites.tls_protocols(nginx_syntax.read(self.entry_path))
        lines = [Directive(self._origin(statement.file), statement.line, str(statement)) for statement in found]
        return [line for line in lines if not line.file.startswith(f"{self.directory}/ringmaster/")]

    def serving_since(self, main_pid: int) -> float | None:
        """Return when the oldest of the workers that are not about to leave was made."""
        moments = [
            processes.start_moment(pid) for pid in processes.children(main_pid) if _serves(processes.command_line(pid))
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def errors_since(self, moment: float) -> list[str]:
        """Return the lines of level emerg at the end of the error logs. Logs are in local time, in whole seconds."""
        first = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(moment))
        found: dict[str, None] = {}
        for log in self._error_logs():
            for line in _tail(log).splitlines():
                stamp = _LOGGED.match(line)
                if stamp is not None and stamp.group(1) >= first:
                    found[_serious(line)] = None
        return list(found)[-_MOST_LINES:]

    def _error_logs(self) -> list[str]:
        """Return the files of the server's own log; those of ``http`` and below are about requests."""
        configured = (
            statement.arguments[0]
            for statement in nginx_syntax.read(self.entry_path)
            if statement.name == "error_log" and statement.arguments
        )
        return list(dict.fromkeys([_USUAL_LOG, *(path for path in configured if path.startswith("/"))]))

    def _origin(self, file: str) -> str:
        """Return the file that a configuration came from: the release ``original`` is what the entry file was."""
        original = os.path.realpath(f"{self.directory}/ringmaster/releases/original") + "/"
        return self.entry_path if os.path.realpath(file).startswith(original) else file


def _modules(configured: str) -> tuple[str, ...]:
    """Return what is compiled in, and what is there to be loaded."""
    compiled_in = {name if name.endswith("_module") else f"{name}_module" for name in _COMPILED_IN.findall(configured)}
    path = _MODULES_PATH.search(configured)
    try:
        names = [entry.name for entry in Path(path.group(1)).iterdir()] if path else []
    except OSError:
        names = []
    loadable = {match.group(1) for match in map(_LOADABLE.fullmatch, names) if match}
    return tuple(sorted(compiled_in | loadable))


def _serious(line: str) -> str:
    match = _SERIOUS.match(line)
    return f"{match.group(1)} {match.group(2)}" if match else ""


def _serves(command_line: bytes) -> bool:
    return command_line.startswith(_WORKER) and not command_line.rstrip().endswith(_LEAVING)


def _tail(path: str) -> str:
    try:
        return read_regular(path, _LOG_TAIL_BYTES, from_end=True).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise MeasurementError(path, f"it cannot be read ({error.strerror})", "Run as root (become: true)") from error
