# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a web server is to us: where its configuration begins, how it is tested, started and recognised.

Everything that differs between nginx, Apache and HAProxy on the host is behind :class:`Server`; what stages, measures
and switches knows nothing else of them.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_OUTPUT_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Output:
    """What a program said. The text is decoded with replacement: nothing in it is believed to be well-formed."""

    status: int
    stdout: str
    stderr: str


def run(argv: Sequence[str], timeout_seconds: float = 30) -> Output:
    """Run a program without a shell and without input; a program that is not there has the status 127.

    Raises MeasurementError when it does not end in time.
    """
    try:
        # The library knows nothing of Ansible, so it cannot call run_command.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            list(argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_seconds, check=False
        )
    except (FileNotFoundError, PermissionError) as error:
        return Output(127, "", f"{argv[0]}: {error.strerror}")
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(
            " ".join(argv), f"it did not end within {timeout_seconds} seconds", "Look at what keeps the host busy"
        ) from error
    stdout, stderr = (part[:_OUTPUT_MAX_BYTES].decode("utf-8", "replace") for part in (done.stdout, done.stderr))
    return Output(done.returncode, stdout, stderr)


@dataclass(frozen=True)
class Capabilities:
    """What the installed server is: asked from its binary, never assumed from the distribution.

    ``openssl_version`` is that of the library it runs with (not the one it was built with). ``modules`` are the names
    by which the server itself calls its compiled-in or loadable parts.
    """

    version: str
    openssl_version: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Listener:
    """A socket: an address as the kernel knows it (``0.0.0.0``, ``::``, ``192.0.2.7``) and a port."""

    address: str
    port: int


@dataclass(frozen=True)
class Site:
    """A virtual host that a configuration file defines: the names and the sockets it answers for."""

    file: str
    names: tuple[str, ...]
    listeners: tuple[Listener, ...]


@dataclass(frozen=True)
class Directive:
    """One line of a configuration that somebody else wrote."""

    file: str
    line: int
    value: str


class Server(Protocol):
    """One web server program on a Debian host. Stateless; everything is asked anew."""

    name: str
    unit: str
    """The systemd unit, such as ``nginx.service``."""
    directory: str
    """Where its configuration lies, such as ``/etc/nginx``; ``ringmaster`` is a directory in it."""
    entry_path: str
    """The file that the unit reads first."""
    main_file: str
    """The path within a release of the file that the entry leads to."""
    entry_content: bytes | None
    """What the entry file becomes; None where it becomes a symbolic link to the main file of the current release."""

    def capabilities(self) -> Capabilities | None:
        """Ask the binary what it is; None where it is not installed.

        Raises MeasurementError where its answer makes no sense.
        """

    def test_argv(self, entry_path: str) -> list[str]:
        """Return the command by which the server tests the configuration that begins with a file."""

    def start_argv(self) -> list[str]:
        """Return the command that starts the server in the background with its entry file, as the unit does."""

    def explanation(self, output: str) -> str:
        """Return the lines of an output or a log that say why a configuration is refused; all if none stands out."""

    def upstream_names(self, texts: Iterable[str]) -> set[str]:
        """Return the host names in configuration texts that the server resolves when it starts."""

    def sites(self) -> list[Site]:
        """Return the virtual hosts of the configuration that the entry file leads to now, whoever wrote them.

        Only those that a visitor may be served by: what a package brought and nobody changed is left out.
        """

    def tls_protocol_lines(self) -> list[Directive]:
        """Return where the configuration, as it is now, sets TLS protocols outside of our own releases."""

    def serving_since(self, main_pid: int) -> float | None:
        """Return since when the configuration in use has been in use (seconds since the epoch); None if nothing serves.

        It is the moment at which the processes that take connections were made, or the server last read its files.
        """

    def errors_since(self, moment: float) -> list[str]:
        """Return what was logged since a moment (seconds since the epoch) about a configuration it could not take."""


def server_named(name: str) -> Server:
    """Return the server of that name: ``nginx``, ``apache`` or ``haproxy``."""
    # Imported here, because each of them imports this file.
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.apache import Apache
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy import HAProxy
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx import Nginx

    servers: dict[str, type[Server]] = {"nginx": Nginx, "apache": Apache, "haproxy": HAProxy}
    return servers[name]()
