# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real TLS servers on 127.0.0.1, as processes of their own, each ended by its process id."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

_START_SECONDS = 20.0
_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"

# Mozilla's intermediate profile 6.0: TLS 1.2 suites by OpenSSL's names (reference: the guideline's JSON).
INTERMEDIATE_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
INTERMEDIATE_GROUPS = "X25519:prime256v1:secp384r1"


class MissingProgramError(Exception):
    """A server cannot be started here: the text names the program that is missing."""


@dataclass(frozen=True)
class Certificate:
    """The paths of a certificate with its chain, of the chain alone, of the key, and other forms of these."""

    chain: str
    issuers: str
    key: str
    both: str
    pkcs8: str


def program(name: str) -> str:
    """Return the path of a program, wherever the system keeps its servers; raises :class:`MissingProgramError`."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise MissingProgramError(name)
    return found


class Servers:
    """Starts servers, and ends all of them."""

    def __init__(self, directory: Path) -> None:
        """Keep certificates, configurations and logs in ``directory``."""
        self.directory = directory
        self.ca = trustme.CA()
        self.issuer = self.ca.create_child_ca()
        self._stack = contextlib.ExitStack()
        self._files = 0
        self.rsa = self.certificate(trustme.KeyType.RSA)
        self.ecdsa = self.certificate(trustme.KeyType.ECDSA)

    def __enter__(self) -> Servers:
        """Use it as a context."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End everything."""
        self._stack.close()

    def path(self, name: str) -> Path:
        """Return a path for a new file."""
        self._files += 1
        return self.directory / f"{self._files}-{name}"

    def certificate(self, key_type: trustme.KeyType) -> Certificate:
        """Make a certificate for localhost and 127.0.0.1, with an intermediate."""
        leaf = self.issuer.issue_cert("localhost", "127.0.0.1", key_type=key_type)
        names = ("chain.pem", "issuers.pem", "key.pem", "both.pem", "key.der")
        chain, issuers, key, both, pkcs8 = map(self.path, names)
        chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        issuers.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems[1:]))
        key.write_bytes(leaf.private_key_pem.bytes())
        both.write_bytes(chain.read_bytes() + key.read_bytes())
        private = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
        form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pkcs8.write_bytes(private.private_bytes(*form))
        return Certificate(*map(str, (chain, issuers, key, both, pkcs8)))

    def run(self, command: Callable[[int], Sequence[str]], environment: dict[str, str] | None = None) -> int:
        """Start the command for a free port, wait until it listens there, and return the port."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        log = self.path("log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": _PATH, **(environment or {})},
            )
        self._stack.callback(_end, process)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return port
            time.sleep(0.05)
        raise AssertionError(f"{process.args!r} does not listen: {log.read_text(errors='replace')[-2000:]}")

    # --- the kinds

    def openssl(self, *options: str, certificates: Sequence[Certificate] = ()) -> int:
        """Start ``openssl s_server``, which serves one connection at a time."""
        first, *others = certificates or (self.rsa,)
        command = ["-cert", first.chain, "-cert_chain", first.issuers, "-key", first.key]
        for other in others:
            command += ["-dcert", other.chain, "-dcert_chain", other.issuers, "-dkey", other.key]
        path = program("openssl")
        return self.run(lambda port: [path, "s_server", "-accept", f"127.0.0.1:{port}", "-www", *command, *options])

    def gnutls(self, priorities: str, *options: str) -> int:
        """Start ``gnutls-serv`` with both certificates; it listens on every address, there is no option for one."""
        path = program("gnutls-serv")
        keys = [f"--x509certfile={self.ecdsa.chain}", f"--x509keyfile={self.ecdsa.key}"]
        keys += [f"--x509certfile={self.rsa.chain}", f"--x509keyfile={self.rsa.key}"]
        return self.run(lambda port: [path, "--http", f"--port={port}", f"--priority={priorities}", *keys, *options])

    def nginx(self, server: str, listen: Callable[[int], str] = "listen 127.0.0.1:{} ssl;".format) -> int:
        """Start nginx with one site that has both certificates; ``server`` are more directives for it."""
        path = program("nginx")
        home = self.path("nginx")
        home.mkdir()

        def command(port: int) -> list[str]:
            user = "user root;" if os.geteuid() == 0 else ""
            temporary = " ".join(f"{kind}_temp_path {home}/{kind};" for kind in _NGINX_TEMPORARY)
            (home / "nginx.conf").write_text(
                f"{user} daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;\n"
                "events { worker_connections 4096; }\n"
                f"http {{ access_log off; {temporary} server {{ {listen(port)} server_name localhost;\n"
                f"ssl_certificate {self.ecdsa.chain}; ssl_certificate_key {self.ecdsa.key};\n"
                f"ssl_certificate {self.rsa.chain}; ssl_certificate_key {self.rsa.key};\n"
                f"{server}\n location / {{ return 200 'here'; }} }} }}\n"
            )
            return [path, "-e", str(home / "error.log"), "-p", str(home), "-c", str(home / "nginx.conf")]

        return self.run(command)

    def apache(self, directives: str) -> int:
        """Start Apache with one site that has both certificates; ``directives`` are more of them for it."""
        path = program("apache2")
        home = self.path("apache")
        home.mkdir()
        modules = Path("/usr/lib/apache2/modules")

        def command(port: int) -> list[str]:
            loaded = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in _APACHE_MODULES)
            (home / "apache.conf").write_text(
                f'{loaded}\nServerRoot "{home}"\nServerName localhost\nPidFile {home}/pid\nErrorLog {home}/error.log\n'
                f"DefaultRuntimeDir {home}\nDocumentRoot {home}\nListen 127.0.0.1:{port}\n"
                "User www-data\nGroup www-data\nSSLRandomSeed startup builtin\nSSLSessionCache none\n"
                f"<VirtualHost *:{port}>\nServerName localhost\nSSLEngine on\n"
                f"SSLCertificateFile {self.ecdsa.both}\nSSLCertificateFile {self.rsa.both}\n"
                f"{directives}\n</VirtualHost>\n"
            )
            return [path, "-f", str(home / "apache.conf"), "-DFOREGROUND"]

        return self.run(command)

    def haproxy(self, bind: str, key_types: Sequence[str] = ("ecdsa", "rsa")) -> int:
        """Start HAProxy with a frontend that has certificates; ``bind`` are more options of its bind line."""
        path = program("haproxy")
        configuration = self.path("haproxy.cfg")
        certificates = self.path("certificates")
        certificates.mkdir()
        for name in key_types:
            shutil.copy({"ecdsa": self.ecdsa, "rsa": self.rsa}[name].both, certificates / f"site.pem.{name}")

        def command(port: int) -> list[str]:
            configuration.write_text(
                "global\n  ssl-load-extra-files bundle\n  tune.ssl.default-dh-param 2048\n"
                "defaults\n  mode http\n  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n"
                f"frontend site\n  bind 127.0.0.1:{port} ssl crt {certificates}/site.pem {bind}\n"
                "  http-request return status 200\n"
            )
            return [path, "-f", str(configuration), "-db"]

        return self.run(command)

    def python(self) -> int:
        """Start a server of Python's ssl module, as it comes, with both certificates."""
        files = [self.ecdsa.chain, self.ecdsa.key, self.rsa.chain, self.rsa.key]
        return self.run(lambda port: [sys.executable, str(_HERE / "python_server.py"), str(port), *files])

    def tlslite(self, lowest: str, highest: str, ciphers: str, key_exchanges: str) -> int:
        """Start a server of tlslite-ng with the RSA certificate; see :mod:`tlslite_server` for the arguments."""
        rest = [self.rsa.chain, self.rsa.key, lowest, highest, ciphers, key_exchanges]
        return self.run(lambda port: [sys.executable, str(_HERE / "tlslite_server.py"), str(port), *rest])

    def java(self, protocols: str = "") -> int:
        """Start a server of Java's own library with both certificates.

        ``protocols`` switches these on, with every suite that it has, whatever its policy forbids.
        """
        path = program("java")
        policy = self.path("java.security")
        policy.write_text("jdk.tls.disabledAlgorithms=\njdk.tls.legacyAlgorithms=\n")
        options = [f"-Djava.security.properties={policy}"] if protocols else []
        files = ["EC", self.ecdsa.chain, self.ecdsa.pkcs8, "RSA", self.rsa.chain, self.rsa.pkcs8]
        rest = [protocols or "default", *files]
        return self.run(lambda port: [path, *options, str(_HERE / "TlsServer.java"), str(port), *rest])


_HERE = Path(__file__).resolve().parent
_NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_APACHE_MODULES = ("mpm_event", "authz_core", "ssl", "socache_shmcb", "headers")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def nginx_intermediate() -> str:
    """Return nginx's directives for Mozilla's intermediate profile 6.0, as far as its OpenSSL has the groups."""
    return (
        f"ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers {INTERMEDIATE_CIPHERS}; ssl_prefer_server_ciphers off;\n"
        f"ssl_ecdh_curve {INTERMEDIATE_GROUPS}; ssl_session_timeout 1d; ssl_session_cache shared:ssl:10m;\n"
        "ssl_session_tickets off; add_header Strict-Transport-Security 'max-age=63072000' always;"
    )
