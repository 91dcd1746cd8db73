# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers on loopback: OpenSSL's, Python's, and stubs that behave badly byte by byte."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import trustme

from .....peers import servers as peers

SCHEMA = Path(__file__).resolve().parents[5] / "docs" / "schemas" / "tls_endpoint_info-2.0.json"

Handler = Callable[[socket.socket, int], None]


def installed(name: str) -> str:
    """Return the path of a program; a test that needs one that is not installed is skipped."""
    try:
        return _program(name)
    except peers.MissingProgramError:
        pytest.skip(f"the program {name} is not installed")


_program = peers.program


@dataclass
class Stub:
    """A server that counts its connections."""

    port: int
    connections: int = 0


class Servers:
    """Starts servers, and ends all of them."""

    def __init__(self, directory: Path, ca: trustme.CA) -> None:
        self.directory = directory
        self.ca = ca
        self._stack = contextlib.ExitStack()

    def close(self) -> None:
        """End everything."""
        self._stack.close()

    def files(self, *names: str, key_type: trustme.KeyType = trustme.KeyType.ECDSA) -> tuple[str, str]:
        """Return the paths of a certificate with its chain, and of its key."""
        leaf = self.ca.issue_cert(*(names or ("localhost", "127.0.0.1")), key_type=key_type)
        stem = self.directory / f"{len(list(self.directory.iterdir()))}"
        chain, key = stem.with_suffix(".pem"), stem.with_suffix(".key")
        chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        key.write_bytes(leaf.private_key_pem.bytes())
        return str(chain), str(key)

    def openssl(self, *options: str, key_type: trustme.KeyType = trustme.KeyType.RSA) -> int:
        """Start ``openssl s_server`` as a web server with a certificate for localhost; return its port."""
        return self.openssl_terminal("-www", *options, key_type=key_type)

    def openssl_terminal(self, *options: str, key_type: trustme.KeyType = trustme.KeyType.RSA) -> int:
        """Start ``openssl s_server``, which says what is typed at its terminal: nothing; return its port."""
        chain, key = self.files(key_type=key_type)
        files = ["-cert", chain, "-key", key]
        command = [installed("openssl"), "s_server", "-accept", "127.0.0.1:0", *files, *options]
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, text=True)
        self._stack.callback(self._end, process)
        assert process.stdout is not None
        for line in process.stdout:
            found = re.match(r"ACCEPT .*:(\d+)$", line.strip())
            if found:
                return int(found.group(1))
        raise AssertionError(f"{command} did not start")

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate()

    def stub(self, handler: Handler) -> Stub:
        """Start a server that gives each connection, with its number from 1, to ``handler`` in a thread."""
        server = socket.create_server(("127.0.0.1", 0), backlog=64)
        stub = Stub(server.getsockname()[1])
        threads: list[threading.Thread] = []

        def one(connection: socket.socket, number: int) -> None:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                handler(connection, number)

        def serve() -> None:
            while True:
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                stub.connections += 1
                threads.append(threading.Thread(target=one, args=(connection, stub.connections), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=serve, daemon=True)
        accepting.start()

        def stop() -> None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
            accepting.join()

        self._stack.callback(stop)
        return stub

    def forward(
        self,
        port: int,
        disturb: Callable[[socket.socket, int], bool] = lambda _connection, _number: False,
        change_hello: Callable[[bytes], bytes] | None = None,
    ) -> Stub:
        """Start a proxy in front of ``port``; a connection that ``disturb`` returns true for goes no further.

        ``change_hello`` returns what is passed on of the first bytes.
        """

        def handler(connection: socket.socket, number: int) -> None:
            if disturb(connection, number):
                return
            with socket.create_connection(("127.0.0.1", port), timeout=5) as other:
                if change_hello is not None:
                    other.sendall(change_hello(connection.recv(16384)))
                pump = threading.Thread(target=_copy, args=(connection, other), daemon=True)
                pump.start()
                _copy(other, connection)
                pump.join(5)

        return self.stub(handler)

    def https(self, head: bytes, **context_options: object) -> Stub:
        """Start a Python TLS server that answers every request with ``head``."""
        chain, key = self.files()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        for name, value in context_options.items():
            setattr(context, name, value)

        def handler(connection: socket.socket, _number: int) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(4096)
                secure.sendall(head)

        return self.stub(handler)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(16384):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture(autouse=True)
def _every_result_has_the_published_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold all results that a test gets against the schema."""
    assess = importlib.import_module("ansible_collections.ringmaster.webops.plugins.module_utils.tls.assess")
    whole = assess.assess

    def valid_results(*arguments: object, **options: object) -> dict[str, Any]:
        results = whole(*arguments, **options)
        jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(results)
        return results

    monkeypatch.setattr(assess, "assess", valid_results)


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def servers(tmp_path: Path, ca: trustme.CA) -> Iterator[Servers]:
    started = Servers(tmp_path, ca)
    yield started
    started.close()


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[peers.Servers]:
    """Give what starts servers of every make, each with its program if that is installed."""
    monkeypatch.setattr(peers, "program", installed)
    with peers.Servers(tmp_path) as started:
        yield started
