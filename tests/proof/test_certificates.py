# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role certificate on real hosts: an ACME server that really asks, sources that vanish, keys that nobody sees."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

ROOT = Path(__file__).resolve().parents[2]
LAB = "certificates"
NAME = "web1.ringmaster.test"
# nginx as Debian installs it, and answering the challenge.
NGINX_CHALLENGE = "location ^~ /.well-known/acme-challenge/ { root /var/lib/ringmaster/acme; }"
NGINX_TLS = """server {
    listen 443 ssl;
    ssl_certificate /etc/letsencrypt/live/site/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/site/privkey.pem;
}"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")


def run(*command: object, status: int = 0) -> str:
    done = subprocess.run(
        list(map(str, command)), check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def lab(*arguments: str) -> str:
    return run(sys.executable, ROOT / "extensions/lab/lab.py", *arguments)


def on(host: str, script: str, status: int = 0) -> str:
    return run("ssh", "-F", ROOT / "build/lab" / LAB / "ssh_config", host, script, status=status)


def write_on(host: str, path: str, content: str) -> None:
    subprocess.run(
        ["ssh", "-F", ROOT / "build/lab" / LAB / "ssh_config", host, f"mkdir -p $(dirname {path}) && cat > {path}"],
        input=content,
        check=True,
        text=True,
        timeout=60,
    )


@dataclass(frozen=True)
class Outcome:
    """What a run of the role exported and printed, and how many tasks it executed."""

    changed: bool
    days_left: dict[str, int]
    failures: list[dict[str, str]]
    output: str

    @property
    def executed(self) -> int:
        found = re.search(r"web1 +: ok=(\d+)", self.output)
        assert found is not None
        return int(found.group(1)) - 1  # one of them wrote the facts down


class Control:
    """The control node: its files, its names, and the role as a play runs it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.hosts = directory / "hosts"
        self.ca_path = directory / "roots.pem"

    def play(self, *options: str, **variables: object) -> Outcome:
        """Run the role on web1, in a mount namespace where the control node knows the names of the lab."""
        facts = self.directory / "facts.json"
        play = [
            {
                "hosts": "web1",
                "become": True,
                "gather_facts": False,
                "any_errors_fatal": True,
                "vars": {"certificate_ca_directory": str(self.directory / "authority"), **variables},
                "roles": ["ringmaster.webops.certificate"],
                "post_tasks": [
                    {
                        "ansible.builtin.copy": {
                            "content": "{{ {'changed': certificate_is_changed, 'days_left': certificate_days_left,"
                            " 'failures': certificate_failures} | to_json }}",
                            "dest": str(facts),
                            "mode": "0600",
                        },
                        "delegate_to": "localhost",
                        "become": False,
                        "check_mode": False,
                        "changed_when": False,
                    }
                ],
            }
        ]
        book = self.directory / "play.yml"
        book.write_text(json.dumps(play), encoding="utf-8")
        output = run(
            *("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', self.hosts),
            *("env", f"ANSIBLE_COLLECTIONS_PATH={ROOT / 'collections'}", f"ANSIBLE_HOME={self.directory / 'ansible'}"),
            *(sys.executable, "-m", "ansible", "playbook", "-i", ROOT / "build/lab" / LAB / "inventory.yml"),
            *(book, *options),
        )
        return Outcome(**json.loads(facts.read_text(encoding="utf-8")), output=output)

    def make_pair(self, name: str, days: int = 90) -> dict[str, str]:
        """Make a certificate that signs itself, as somebody might give it."""
        pair = {
            "fullchain": str(self.directory / f"{name}.pem"),
            "private_key": str(self.directory / f"{name}-key.pem"),
        }
        run(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days), "-subj", f"/CN={NAME}"),
            *("-addext", f"subjectAltName=DNS:{NAME}", "-keyout", pair["private_key"], "-out", pair["fullchain"]),
        )
        return pair


@pytest.fixture(name="control", scope="module")
def lab_with_an_acme_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    lab("up", LAB, "--host", "web1=bookworm", "--host", "acme1=trixie")
    addresses = {row[1]: row[3] for row in (line.split("\t") for line in lab("list").splitlines()) if row[0] == LAB}
    control = Control(tmp_path_factory.mktemp("control"))
    control.hosts.write_text(
        "127.0.0.1 localhost\n"
        + "".join(f"{address} {host}.ringmaster.test {host}\n" for host, address in addresses.items()),
        encoding="utf-8",
    )
    install = "apt-get -qq update && apt-get -qq install --yes --no-install-recommends"
    on("web1", f"{install} nginx-light")
    on("acme1", f"{install} pebble openssl")
    start_pebble(control, addresses["acme1"])
    yield control
    lab("down", LAB)


def start_pebble(control: Control, address: str) -> None:
    """Start pebble with a certificate of its own for its interface, and learn which root it issues under."""
    settings = {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": "/root/pebble.pem",
        "privateKey": "/root/pebble-key.pem",
        "httpPort": 80,
        "tlsPort": 443,
    }
    write_on("acme1", "/root/pebble.json", json.dumps({"pebble": settings}))
    on(
        "acme1",
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=acme1.ringmaster.test"
        " -addext subjectAltName=DNS:acme1.ringmaster.test -keyout /root/pebble-key.pem -out /root/pebble.pem",
    )
    (control.directory / "acme-ca.pem").write_text(on("acme1", "cat /root/pebble.pem"), encoding="utf-8")
    on("acme1", "systemd-run --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1 pebble -config /root/pebble.json")
    context = ssl.create_default_context(cafile=str(control.directory / "acme-ca.pem"))
    context.check_hostname = False
    for _attempt in range(60):
        try:
            with urllib.request.urlopen(f"https://{address}:15000/roots/0", context=context, timeout=5) as answer:
                control.ca_path.write_bytes(answer.read(65536))
                return
        except urllib.error.URLError:
            time.sleep(0.5)
    raise AssertionError(on("acme1", "journalctl -u pebble"))


def acme(control: Control, **variables: object) -> dict[str, Any]:
    """Return the role's variables for the ACME server."""
    return {
        "certificate_certificates": [{"name": "acme", "names": [NAME]}],
        "certificate_acme_directory_url": "https://acme1.ringmaster.test:14000/dir",
        "certificate_acme_ca_path": str(control.directory / "acme-ca.pem"),
        "certificate_acme_terms_agreed": True,
        "certificate_acme_email": "webmaster@ringmaster.test",
        "certificate_ca_path": str(control.ca_path),
        **variables,
    }


def certificate_on_host(name: str) -> x509.Certificate:
    """Return what the host has, once its key was found to fit."""
    directory = f"/etc/ssl/ringmaster/{name}"
    of_key = on("web1", f"openssl pkey -in {directory}/privkey.pem -pubout")
    assert of_key == on("web1", f"openssl x509 -in {directory}/fullchain.pem -noout -pubkey")
    return x509.load_pem_x509_certificate(on("web1", f"cat {directory}/fullchain.pem").encode())


def issuer(name: str) -> str:
    return certificate_on_host(name).issuer.rfc4514_string()


def answer_challenges() -> None:
    on(
        "web1",
        f"sed -i 's,^\\s*server_name _;,server_name _; {NGINX_CHALLENGE},' /etc/nginx/sites-available/default"
        " && nginx -t && systemctl reload nginx",
    )


def test_check_mode_on_a_bare_host_says_what_would_be_made(control: Control) -> None:
    outcome = control.play("--check", "--diff", **acme(control))

    assert outcome.changed
    assert "The certificate acme is not there yet. It comes from acme, then own_ca, then self_signed." in outcome.output
    assert not (control.directory / "authority").exists()
    on("web1", "test -e /etc/ssl/ringmaster", status=1)


def test_a_server_starts_with_its_own_authority_and_goes_over_to_acme_once_the_challenge_is_answered(
    control: Control,
) -> None:
    bootstrap = control.play(**acme(control))
    (failure,) = bootstrap.failures
    assert (failure["name"], failure["source"]) == ("acme", "acme")
    assert f"{NAME}: http, port 80, does not give" in failure["reason"]
    assert issuer("acme") == "CN=ringmaster.webops CA"

    answer_challenges()
    real = control.play(**acme(control))
    assert (real.changed, real.failures) == (True, [])
    assert "Pebble" in issuer("acme")
    assert on("web1", "find /var/lib/ringmaster/acme -type f") == ""

    again = control.play(**acme(control))
    assert (again.changed, again.failures) == (False, [])
    assert again.executed <= 6
    assert re.search(r"web1 .*changed=0 ", again.output)


def vanish_given(control: Control) -> dict[str, Any]:
    pair = control.make_pair("given")
    variables = {"certificate_certificates": [{"name": "kept", "names": [NAME], "given": [pair]}]}
    assert control.play(**variables).failures == []
    Path(pair["fullchain"]).unlink()
    return variables


def vanish_acme(control: Control) -> dict[str, Any]:
    entry = {"name": "kept", "names": [NAME]}
    assert control.play(**acme(control, certificate_certificates=[entry])).failures == []
    on("acme1", "systemctl stop pebble")
    return acme(control, certificate_certificates=[{**entry, "key_types": ["ecdsa-p384"]}])


def vanish_own_ca(control: Control) -> dict[str, Any]:
    entry = {"name": "kept", "names": [NAME], "sources": ["own_ca"]}
    assert control.play(certificate_certificates=[entry]).failures == []
    (control.directory / "authority/ca-key.pem").rename(control.directory / "away.pem")
    return {"certificate_certificates": [{**entry, "key_types": ["ecdsa-p384"]}]}


@pytest.mark.parametrize("vanish", [vanish_given, vanish_own_ca, vanish_acme])
def test_the_present_certificate_stays_when_its_source_vanishes(
    control: Control, vanish: Callable[[Control], dict[str, Any]]
) -> None:
    on("web1", "rm -rf /etc/ssl/ringmaster/kept /etc/ssl/ringmaster/.versions/kept")
    run("rm", "-rf", control.directory / "authority/hosts/web1/kept")
    variables = vanish(control)
    before = certificate_on_host("kept")
    outcome = control.play(**variables)
    if (control.directory / "away.pem").exists():
        (control.directory / "away.pem").rename(control.directory / "authority/ca-key.pem")

    assert certificate_on_host("kept") == before
    assert [failure["source"] for failure in outcome.failures] == [vanish.__name__.removeprefix("vanish_")]
    assert not outcome.changed
    assert outcome.days_left["kept"] > 80
    assert "WARNING: kept" in outcome.output


def test_both_key_types_lie_side_by_side_and_change_together(control: Control) -> None:
    entry = {"name": "both", "names": [NAME], "key_types": ["ecdsa-p256", "rsa-2048"], "group": "www-data"}
    control.play(certificate_certificates=[entry])
    listing = on("web1", "cd /etc/ssl/ringmaster/both && stat -c '%n %a %U %G' . *")
    version = on("web1", "readlink /etc/ssl/ringmaster/both")

    assert listing.splitlines() == [
        ". 750 root www-data",
        "fullchain.pem 644 root www-data",
        "fullchain.rsa.pem 644 root www-data",
        "privkey.pem 640 root www-data",
        "privkey.rsa.pem 640 root www-data",
    ]
    control.play(certificate_certificates=[{**entry, "names": [NAME, "www.ringmaster.test"]}])
    assert on("web1", "readlink /etc/ssl/ringmaster/both") != version
    assert on("web1", "ls /etc/ssl/ringmaster/.versions/both | wc -l").strip() == "1"


def test_keys_are_seen_nowhere(control: Control) -> None:
    outcome = control.play(
        "-vvv", "--diff", certificate_certificates=[{"name": "secret", "names": [NAME], "key_types": ["rsa-2048"]}]
    )
    key = (control.directory / "authority/hosts/web1/secret/privkey.pem").read_text(encoding="ascii")
    canary = key.splitlines()[5]

    assert canary not in outcome.output
    elsewhere = f"grep --recursive --files-with-matches --fixed-strings -e '{canary}' /etc /root /tmp /var /run || true"
    assert on("web1", f"journalctl --no-pager | grep -c -F '{canary}' || true").strip() == "0"
    assert re.fullmatch(r"/etc/ssl/ringmaster/\.versions/secret/\w+/privkey\.pem\n", on("web1", elsewhere))


def test_the_hook_reloads_for_a_good_pair_and_for_no_other(control: Control) -> None:
    control.play(certificate_certificates=[], certificate_deploy_hooks=["certbot", "lego"])
    on(
        "web1",
        "mkdir -p /etc/letsencrypt/live/site && cd /etc/letsencrypt/live/site && openssl req -x509 -newkey rsa:2048"
        f" -nodes -days 9 -subj /CN={NAME} -addext subjectAltName=DNS:{NAME} -keyout privkey.pem -out fullchain.pem",
    )
    write_on("web1", "/etc/nginx/conf.d/site.conf", NGINX_TLS)
    on("web1", "systemctl restart nginx")
    hook = f"RENEWED_LINEAGE=/etc/letsencrypt/live/site RENEWED_DOMAINS={NAME}"
    hook += " /etc/letsencrypt/renewal-hooks/deploy/ringmaster-webops"
    workers = on("web1", "pgrep -f 'nginx: worker'")
    on("web1", hook)
    reloaded = on("web1", "sleep 1; pgrep -f 'nginx: worker'")
    assert reloaded != workers

    on("web1", "openssl genrsa -out /etc/letsencrypt/live/site/privkey.pem 2048")
    assert "not reloaded: " in on("web1", hook, status=1)
    assert on("web1", "pgrep -f 'nginx: worker'") == reloaded
