# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dialogue before TLS, the injection into it and the upgrade within HTTP, against the real servers of Debian.

Nothing is installed: a server's packages are unpacked into a directory, which it sees over /usr, /etc and /var in a
mount namespace of its own, and nothing is left of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import http_plain, probe
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.scan import Options, scan_targets
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import starttls_injection
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
)

_DEBIAN = Path("/etc/debian_version")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces are made by root; run make proof as root"),
    pytest.mark.skipif(
        not _DEBIAN.exists() or not _DEBIAN.read_text(encoding="ascii").startswith("12."),
        reason="the servers and their configurations are those of Debian 12",
    ),
]

_START_SECONDS = 30.0
_DIRECTORY = "/run/served"
# Run a command with the unpacked packages and a copy of the server's files in place.
_INSIDE = """
root=$1 own=$2 users=$3 directory=$4
shift 4
for name in usr etc var; do
    mkdir -p "$own/$name.upper" "$own/$name.work" "$root/$name"
    mount -t overlay overlay -o "lowerdir=$root/$name:/$name,upperdir=$own/$name.upper,workdir=$own/$name.work" "/$name"
done
mount -t tmpfs -o mode=755 tmpfs /run
for user in $users; do
    getent passwd "$user" >/dev/null || useradd --system --user-group --no-create-home "$user"
done
cp -r "$own/files" "$directory"
cd "$directory"
"$@" || exit  # not exec: the shell stays to adopt what a server leaves behind, which a server may not expect
"""


@dataclass(frozen=True)
class Server:
    """A server of Debian: its packages, the users it wants, its files and the shell command that runs it.

    In files and command the name of a port behind a ``$`` stands for its number, ``$chain``, ``$key`` and
    ``$directory``, which is the working directory too, for paths. Everything in it is readable by all, since it holds
    nothing that lasts.
    """

    packages: tuple[str, ...]
    command: str
    ports: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()


EXIM = """\
local_interfaces = 127.0.0.1
daemon_smtp_ports = $smtp
tls_advertise_hosts = *
tls_certificate = $chain
tls_privatekey = $key
log_file_path = $directory/spool/%slog
spool_directory = $directory/spool
host_lookup =
never_users =
"""

POSTFIX = """\
compatibility_level = 3.6
queue_directory = $directory/spool
data_directory = $directory/data
inet_interfaces = 127.0.0.1
myhostname = mail.example.com
maillog_file = /dev/stdout
alias_maps =
local_recipient_maps =
smtpd_tls_security_level = may
smtpd_tls_cert_file = $chain
smtpd_tls_key_file = $key
"""

POSTFIX_SERVICES = """\
127.0.0.1:$smtp inet n - n - - smtpd
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT = """\
protocols = imap pop3 lmtp sieve
base_dir = /run/dovecot
listen = 127.0.0.1
log_path = /dev/stderr
ssl = yes
ssl_cert = <$chain
ssl_key = <$key
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$directory
}
service imap-login {
  inet_listener imap {
    port = $imap
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = $pop3
  }
  inet_listener pop3s {
    port = 0
  }
}
service managesieve-login {
  inet_listener sieve {
    port = $sieve
  }
}
service lmtp {
  inet_listener lmtp {
    port = $lmtp
  }
}
"""

SLAPD = """\
include /etc/ldap/schema/core.schema
TLSCertificateFile $chain
TLSCertificateKeyFile $key
"""

VSFTPD = """\
listen=YES
listen_address=127.0.0.1
listen_port=$ftp
ssl_enable=YES
rsa_cert_file=$chain
rsa_private_key_file=$key
secure_chroot_dir=$directory
background=NO
"""

PROSODY = """\
run_as_root = true
data_path = "$directory"
interfaces = { "127.0.0.1" }
c2s_ports = { $xmpp }
s2s_ports = { $xmpp_server }
modules_enabled = { "tls", "saslauth" }
ssl = { certificate = "$chain", key = "$key" }
log = { info = "*console" }
VirtualHost "localhost"
"""

INSPIRCD = """\
<server name="irc.example.com" description="x" network="x">
<admin name="x" nick="x" email="x@example.com">
<bind address="127.0.0.1" port="$irc" type="clients">
<module name="ssl_gnutls">
<module name="starttls">
<sslprofile name="Clients" provider="gnutls" certfile="$chain" keyfile="$key">
<starttls provider="Clients">
<connect allow="*">
<pid file="$directory/pid">
<log method="file" type="*" level="default" target="$directory/log">
"""

CUPS = """\
Listen 127.0.0.1:$http
DefaultEncryption IfRequested
WebInterface Yes
<Location />
  Order allow,deny
  Allow all
</Location>
"""

CUPS_FILES = """\
ServerKeychain $directory/keys
ErrorLog stderr
AccessLog stderr
StateDir /run/cups
CacheDir $directory
RequestRoot $directory/spool
User nobody
Group nogroup
"""

NEWS = """\
pathhost: news.example.com
domain: example.com
tlscertfile: $chain
tlskeyfile: $key
"""

SERVERS: Mapping[str, Server] = {
    "exim": Server(
        ("exim4-daemon-light",),
        "mkdir spool && chown Debian-exim spool && exec /usr/sbin/exim4 -bdf -C $directory/exim.conf",
        ("smtp",),
        {"exim.conf": EXIM},
        ("Debian-exim",),
    ),
    "postfix": Server(
        ("postfix",),
        "groupadd --system postdrop; mkdir spool data && chown postfix data && "
        "cp /usr/share/postfix/main.cf.* . && exec /usr/sbin/postfix -c $directory start-fg",
        ("smtp",),
        {"main.cf": POSTFIX, "master.cf": POSTFIX_SERVICES},
        ("postfix",),
    ),
    "dovecot": Server(
        ("dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd", "dovecot-managesieved"),
        "exec /usr/sbin/dovecot -F -c $directory/dovecot.conf",
        ("imap", "pop3", "sieve", "lmtp"),
        {"dovecot.conf": DOVECOT},
        ("dovecot", "dovenull"),
    ),
    "slapd": Server(
        ("slapd",),
        "exec /usr/sbin/slapd -d 0 -h ldap://127.0.0.1:$ldap -f $directory/slapd.conf",
        ("ldap",),
        {"slapd.conf": SLAPD},
    ),
    "vsftpd": Server(
        ("vsftpd",),
        "exec /usr/sbin/vsftpd $directory/vsftpd.conf",
        ("ftp",),
        {"vsftpd.conf": VSFTPD},
        ("ftp",),
    ),
    "prosody": Server(
        ("prosody",),
        "exec /usr/bin/prosody -F --config $directory/prosody.cfg.lua",
        ("xmpp", "xmpp_server"),
        {"prosody.cfg.lua": PROSODY},
        ("prosody",),
    ),
    "postgresql": Server(
        ("postgresql-15",),
        "chown -R nobody $directory && chmod 600 $key && "
        "setpriv --reuid=nobody --clear-groups /usr/lib/postgresql/15/bin/initdb -D $directory/data -A trust && "
        "exec setpriv --reuid=nobody --clear-groups /usr/lib/postgresql/15/bin/postgres -D $directory/data "
        "-c listen_addresses=127.0.0.1 -c port=$postgres -c unix_socket_directories=$directory "
        "-c ssl=on -c ssl_cert_file=$chain -c ssl_key_file=$key",
        ("postgres",),
    ),
    "mariadb": Server(
        ("mariadb-server-core",),
        "mkdir data && chown -R nobody $directory && exec /usr/sbin/mariadbd --no-defaults --user=nobody "
        "--datadir=$directory/data --skip-grant-tables --skip-networking=0 --bind-address=127.0.0.1 --port=$mysql "
        "--socket=$directory/socket --ssl-cert=$chain --ssl-key=$key",
        ("mysql",),
    ),
    "inspircd": Server(
        ("inspircd",),
        "chown -R irc $directory && exec setpriv --reuid=irc --clear-groups "
        "/usr/sbin/inspircd --nofork --runasroot --config=$directory/inspircd.conf",
        ("irc",),
        {"inspircd.conf": INSPIRCD},
        ("irc",),
    ),
    "inn": Server(
        ("inn2",),
        "sed -i '/^pathhost/d' /etc/news/inn.conf && cat inn.conf >>/etc/news/inn.conf && mkdir /run/news && "
        "mkdir -p /var/spool/news/overview && chmod 600 $key && "
        "chown -R news $directory /run/news /var/spool/news/overview && "
        "setpriv --reuid=news --clear-groups /usr/lib/news/bin/tdx-util -i && "
        "exec /usr/lib/news/bin/nnrpd -D -f -b 127.0.0.1 -p $nntp",
        ("nntp",),
        {"inn.conf": NEWS},
        ("news",),
    ),
    "cups": Server(
        ("cups-daemon",),
        "mkdir keys && cp $chain keys/localhost.crt && cp $key keys/localhost.key && "
        "exec /usr/sbin/cupsd -f -c $directory/cupsd.conf -s $directory/cups-files.conf",
        ("http",),
        {"cupsd.conf": CUPS, "cups-files.conf": CUPS_FILES},
        ("lp",),
    ),
}


class Machine:
    """Debian's servers, unpacked and run one by one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = trustme.CA()

    def _unpack(self, server: Server, own: Path) -> Path:
        """Download a server's packages, those that this machine lacks, and return where they are unpacked."""
        archives, root = own / "archives", own / "root"
        (archives / "partial").mkdir(parents=True)
        root.mkdir()
        options = ["--download-only", "--yes", "--no-install-recommends", f"--option=Dir::Cache::archives={archives}"]
        command = ["apt-get", "install", *options, "--option=Debug::NoLocking=1", *server.packages]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"run apt-get update, or give the machine a mirror: {done.stderr}")
        for archive in archives.glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", str(archive), str(root)], check=True)
        # A system with /lib in /usr sees nothing of a package's /lib, or of its /bin and /sbin.
        for name in ("lib", "bin", "sbin"):
            if (root / name).is_dir():
                shutil.copytree(root / name, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
        return root

    @contextlib.contextmanager
    def running(self, name: str) -> Iterator[dict[str, int]]:
        """Run a server; give its ports by name."""
        server = SERVERS[name]
        own = self.directory / name
        root = self._unpack(server, own)
        files = own / "files"
        files.mkdir()
        leaf = self.ca.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.RSA)
        (files / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        (files / "key.pem").write_bytes(leaf.private_key_pem.bytes())
        ports = free_ports(server.ports)
        values = {
            **{port: str(number) for port, number in ports.items()},
            "chain": f"{_DIRECTORY}/chain.pem",
            "key": f"{_DIRECTORY}/key.pem",
            "directory": _DIRECTORY,
        }
        for file, content in server.files.items():
            (files / file).write_text(filled(content, values), encoding="ascii")
        inside = ["sh", "-euc", _INSIDE, "inside", str(root), str(own), " ".join(server.users), _DIRECTORY]
        command = [*inside, "sh", "-euc", filled(server.command, values)]
        namespace = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        said = own / "said"
        with said.open("wb") as output:
            process = subprocess.Popen([*namespace, *command], stdout=output, stderr=output)
        try:
            wait_for(process, ports.values(), said)
            yield ports
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(own)


def filled(text: str, values: Mapping[str, str]) -> str:
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(f"${name}", values[name])
    return text


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in names}
        return {name: int(sock.getsockname()[1]) for name, sock in sockets.items()}


def wait_for(process: subprocess.Popen[bytes], ports: Iterable[int], said: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    for port in ports:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"it did not start: {said.read_text(encoding='utf-8', errors='replace')[-4000:]}")
            time.sleep(0.1)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    for program in ("unshare", "setpriv", "useradd", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"the program {program} is not installed")
    directory = tmp_path_factory.mktemp("machine")
    return Machine(directory)


# What comes of the injection; for three protocols no command is known that could be injected. InspIRCd 3 does keep what
# it read before the handshake.
EXPECTED = {
    "exim": {"smtp": NOT_VULNERABLE},
    "postfix": {"smtp": NOT_VULNERABLE},
    "dovecot": {"imap": NOT_VULNERABLE, "pop3": NOT_VULNERABLE, "sieve": NOT_VULNERABLE, "lmtp": NOT_VULNERABLE},
    "vsftpd": {"ftp": NOT_VULNERABLE},
    "slapd": {"ldap": NOT_TESTED},
    "prosody": {"xmpp": NOT_TESTED, "xmpp-server": NOT_TESTED},
    "postgresql": {"postgres": NOT_VULNERABLE},
    "mariadb": {"mysql": NOT_TESTED},
    "inspircd": {"irc": VULNERABLE},
    "inn": {"nntp": NOT_VULNERABLE},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_dialogue_the_handshake_and_the_injection(machine: Machine, name: str) -> None:
    with machine.running(name) as ports:
        for protocol, expected in EXPECTED[name].items():
            port = ports[protocol.replace("-", "_")]
            target = {"host": "127.0.0.1", "port": port, "server_name": "localhost", "starttls": protocol}
            facts: dict[str, Any] = next(iter(scan_targets([target], Options(timeout_seconds=10))))
            assert (protocol, facts["error"]) == (protocol, None)
            offered = [entry["name"] for entry in facts["protocols"] if entry["status"] == "offered"]
            assert (protocol, offered[-2:]) == (protocol, ["TLSv1.2", "TLSv1.3"])
            assert len(facts["certificates"]) == 1
            endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", port, protocol, "localhost")
            session = Session(endpoint, probe.Pacer(2, 0), 10)
            finding = starttls_injection.probe(ProbeContext(session, "localhost", {}, starttls=protocol))
            assert (protocol, finding.status) == (protocol, expected), finding.evidence


def test_a_server_that_upgrades_within_http(machine: Machine) -> None:
    with machine.running("cups") as ports:
        endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", ports["http"])
        finding = http_plain.opossum(endpoint, "localhost", 10)
        assert finding.status == VULNERABLE
