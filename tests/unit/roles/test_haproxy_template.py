# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role haproxy renders, with Ansible itself."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy import HAProxy

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "haproxy"
PROGRAM = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
WWW = "/etc/ssl/ringmaster/www"
FRONTENDS: list[dict[str, Any]] = [
    {"name": "plain", "binds": [{"port": 80}], "redirect_to_https": True},
    {"name": "secure", "binds": [{"port": 443, "tls": True, "certificates": ["www"]}]},
]
CERTIFICATE: dict[str, Any] = {
    "fullchain": f"{WWW}/fullchain.pem",
    "private_key": f"{WWW}/privkey.pem",
    "exists": True,
    "sha256": "ab" * 32,
    "key_type": "ecdsa",
    "trusted": True,
    "reason": None,
    "names": ["www.example.org"],
}
ASKED: dict[str, Any] = {
    "installed": True,
    "version": "2.6.12",
    "openssl_version": "3.0.19",
    "modules": ["prometheus-exporter"],
    "certificates": {WWW: [CERTIFICATE]},
}
VARIABLES = {"haproxy_frontends": FRONTENDS, "__haproxy_asked": ASKED}


def render(directory: Path, changes: dict[str, Any], inventory: dict[str, Any] | None = None) -> str:
    """Return the configuration as the role's task would write it with ``changes`` to :data:`VARIABLES`."""
    hosts = directory / "inventory.json"
    hosts.write_text(json.dumps(inventory or {"all": {"hosts": {"localhost": {}}}}))
    result = directory / "haproxy.cfg"
    given = directory / "given.json"
    given.write_text(json.dumps({**VARIABLES, "ansible_python_interpreter": sys.executable, **changes}))
    files = [ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml", given]
    task = json.dumps({"src": f"{ROLE}/templates/haproxy.cfg.j2", "dest": str(result), "lstrip_blocks": True})
    program = str(Path(sys.executable).with_name("ansible"))
    connection = ["-i", str(hosts), "-c", "local"]
    command = [program, "localhost", *connection, "-m", "ansible.builtin.template", "-a", task]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_HOME": str(directory)}
    done = subprocess.run(
        [*command, *(f"-e@{file}" for file in files)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return result.read_text()


def sections(configuration: str) -> dict[str, list[str]]:
    """Return the lines of each section."""
    parts = [part.splitlines() for part in configuration.split("\n\n")]
    heads = [[line for line in part if not line.startswith("#")] for part in parts]
    return {lines[0]: [line.strip() for line in lines[1:]] for lines in heads if lines}


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(tmp_path_factory.mktemp("haproxy"), {})


def asked(**changes: object) -> dict[str, Any]:
    """Return what the host says of its one certificate, with ``changes``."""
    return {"__haproxy_asked": {**ASKED, "certificates": {WWW: [{**CERTIFICATE, **changes}]}}}


def test_same_variables_have_the_same_configuration(configuration: str, tmp_path: Path) -> None:
    assert render(tmp_path, {}) == configuration


def test_a_renewed_certificate_of_somebody_elses_is_a_change(tmp_path: Path) -> None:
    binds = [{"port": 443, "tls": True, "certificates": ["/srv/www.pem"]}]
    rendered = [
        render(
            tmp_path,
            {
                "haproxy_frontends": [{"name": "secure", "binds": binds}],
                "__haproxy_asked": {**ASKED, "certificates": {"/srv/www.pem": [{**CERTIFICATE, "sha256": digest}]}},
            },
        )
        for digest in ("ab" * 32, "cd" * 32)
    ]
    assert rendered[0] != rendered[1]


def test_transport_security_is_for_tls_alone(configuration: str) -> None:
    of = sections(configuration)
    set_header = 'http-after-response set-header Strict-Transport-Security "max-age=300" if { ssl_fc }'
    remove_header = "http-after-response del-header Strict-Transport-Security unless { ssl_fc }"

    assert set_header in of["frontend secure"]
    assert [line for line in of["frontend plain"] if "Strict-Transport-Security" in line] == [remove_header]


@pytest.mark.parametrize("section", ["frontend plain", "frontend secure"])
def test_visitors_cannot_forge_who_they_are(configuration: str, section: str) -> None:
    lines = sections(configuration)[section]

    for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP"):
        assert f"http-request del-header {header}" in lines
    assert "option forwardfor" in lines
    assert "http-request set-header X-Forwarded-Proto https if { ssl_fc }" in lines
    assert "http-request set-header X-Forwarded-Proto http unless { ssl_fc }" in lines


def test_visitors_cannot_go_on_in_a_protocol_that_is_not_looked_into(configuration: str) -> None:
    rule = "http-request del-header Upgrade if { req.hdr(Upgrade) -i -m sub h2c }"
    assert rule in sections(configuration)["frontend secure"]


def test_transport_security_is_held_back_from_a_server_too(tmp_path: Path) -> None:
    lines = sections(render(tmp_path, asked(trusted=False, reason="self-signed")))["frontend secure"]
    (first, *_others) = [line for line in lines if "Strict-Transport-Security" in line]
    assert first == "http-after-response del-header Strict-Transport-Security"


def test_https_is_where_plain_requests_go_but_those_of_an_authority(configuration: str) -> None:
    redirect = (
        "http-request redirect scheme https code 308 unless { ssl_fc } || { path_beg /.well-known/acme-challenge/ }"
    )
    assert redirect in sections(configuration)["frontend plain"]


@pytest.mark.parametrize("section", ["frontend plain", "frontend secure"])
def test_names_without_a_certificate_are_refused(configuration: str, section: str) -> None:
    lines = sections(configuration)[section]
    assert "acl ringmaster_known_name req.hdr(host),field(1,:),lower -m str www.example.org" in lines
    assert (
        "http-request deny deny_status 421 unless ringmaster_known_name || { path_beg /.well-known/acme-challenge/ }"
        in (lines)
    )


def test_headers_are_set_where_the_server_has_not(configuration: str) -> None:
    expected = (
        'http-after-response set-header X-Frame-Options "SAMEORIGIN" unless { res.hdr(X-Frame-Options) -m found }'
    )
    assert expected in sections(configuration)["frontend secure"]


def test_the_usual_log_stays_and_json_goes_beside_it(configuration: str) -> None:
    lines = sections(configuration)["frontend secure"]
    assert "option httplog" in lines
    assert "log /dev/ringmaster-access len 16384 format rfc5424 local0" in lines


def test_anonymous_logs_have_no_address(tmp_path: Path) -> None:
    lines = sections(render(tmp_path, {"haproxy_anonymise_clients": True}))["frontend secure"]
    (usual,) = [line for line in lines if line.startswith("log-format ")]
    (json_log,) = [line for line in lines if line.startswith("log-format-sd ")]
    assert usual.startswith('log-format "%[src,ipmask(24,48)]:%cp [%tr] ')
    assert "%ci" not in usual
    assert "%[src]" not in json_log


def test_nothing_is_limited_unless_asked(configuration: str) -> None:
    assert "stick-table" not in configuration
    assert "429" not in configuration


def test_the_next_process_learns_sessions_and_what_servers_were_told(configuration: str) -> None:
    of = sections(configuration)
    assert of["peers ringmaster"] == ["bind 127.0.0.1:1023", "server localhost"]
    assert "localpeer localhost" in of["global"]
    assert "server-state-file /var/lib/ringmaster-haproxy/server-state" in of["global"]
    assert "load-server-state-from-file global" in of["defaults"]


def test_load_balancers_of_a_group_are_peers(tmp_path: Path) -> None:
    peers = {"haproxy_load_balancers": "lbs", "haproxy_peers": {"address_variable": "own_address"}}
    hosts = {"localhost": {"own_address": "192.0.2.1"}, "lb2": {"own_address": "192.0.2.2"}, "lb3": {}}
    inventory = {"lbs": {"hosts": hosts}}
    lines = sections(render(tmp_path, peers, inventory))["peers ringmaster"]
    assert [line for line in lines if not line.startswith("default-")] == [
        "bind 192.0.2.1:1023",
        "server localhost",
        "server lb2 192.0.2.2:1023 verifyhost lb2.peers.haproxy.internal",
        "server lb3 lb3:1023 verifyhost lb3.peers.haproxy.internal",
    ]
    assert [line.split()[0] for line in lines if "verify required" in line] == ["default-bind", "default-server"]


ALL = {
    "haproxy_frontends": [
        {**FRONTENDS[0], "use_backends": [{"backend": "app", "condition": "{ path_beg /a }"}]},
        {
            "name": "secure",
            "binds": [
                {"port": 443, "tls": True, "certificates": ["PEM"]},
                {"port": 444, "address": "::", "tls": True, "certificates": ["PEM"], "tls_profile": "old"},
            ],
            "default_backend": "app",
            "security_headers": {"X-Own": 'a"b\\c$HOME%[src]'},
        },
    ],
    "haproxy_backends": [
        {
            "name": "app",
            "app_session": "appsession PHPSESSID len 64 timeout 3h request-learn prefix",
            "health_check": {"path": "/", "host": "www.example.org"},
            "servers": [
                {"name": "s", "address": "192.0.2.1", "port": 443, "tls": {"server_name": "{name}.example.org"}},
                {"name": "b", "address": "2001:db8::1", "port": 80, "backup": True, "weight": 3},
            ],
        },
        {
            "name": "shop",
            "app_session": {"cookie": ["A", "B.C"], "timeout": "1d", "sessions": 1000, "ignore": ["{ path_end .css }"]},
            "servers_group": "all",
            "server": {"port": 80, "address_variable": "inventory_hostname"},
        },
    ],
    # Alone, but not on loopback.
    "haproxy_peers": {"address": "192.0.2.7", "certificate": "PEM", "ca_file": "PEM"},
    "haproxy_acme_thumbprint": "x_-9",
    "haproxy_rate_limits": {"requests_per_second": 5, "connections": 9, "new_session_ids_per_minute": 60},
    "haproxy_anonymise_clients": True,
}


@pytest.mark.skipif(PROGRAM is None, reason="haproxy is not installed: apt-get install haproxy")
def test_haproxy_itself_accepts_all_of_it_together(tmp_path: Path) -> None:
    pem = tmp_path / "www.pem"
    leaf = trustme.CA().issue_cert("www.example.org")
    pem.write_bytes(b"".join(blob.bytes() for blob in [*leaf.cert_chain_pems, leaf.private_key_pem]))
    capabilities = HAProxy(str(PROGRAM)).capabilities()
    assert capabilities is not None
    said = {**ASKED, **dataclasses.asdict(capabilities), "certificates": {str(pem): [CERTIFICATE]}}
    changes = json.loads(json.dumps(ALL).replace('"PEM"', json.dumps(str(pem))))
    configuration, states = tmp_path / "test.cfg", tmp_path / "states"
    states.write_text("1\n# be_id be_name srv_id srv_name\n")
    rendered = render(tmp_path, {**changes, "__haproxy_asked": said, "__haproxy_states": str(states)})
    # The release is not there.
    for name in ("peer", "ca"):
        rendered = rendered.replace(f"/etc/haproxy/ringmaster/current/peers/{name}.pem", str(pem))
    assert "lua-load /etc/haproxy/ringmaster/current/hold.lua" in rendered
    rendered = rendered.replace("/etc/haproxy/ringmaster/current/hold.lua", str(ROLE / "files" / "hold.lua"))
    configuration.write_text(rendered)
    done = subprocess.run(
        [str(PROGRAM), "-c", "-dW", "-f", str(configuration)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("given", "bits"), [({}, 64), ({"ipv6_prefix_length": 128}, 128)])
def test_limits_count_a_visitor_by_the_network_that_a_provider_gives_them(
    tmp_path: Path, given: dict[str, int], bits: int
) -> None:
    lines = sections(render(tmp_path, {"haproxy_rate_limits": {"connections": 9, **given}}))["frontend plain"]
    assert f"tcp-request connection track-sc2 src,ipmask(32,{bits}) table ringmaster-rates" in lines
