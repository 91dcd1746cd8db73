# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role apache renders, with Ansible itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "apache"
FULLCHAIN = "/etc/letsencrypt/live/shop/fullchain.pem"
SITES: list[dict[str, Any]] = [
    {
        "name": "shop",
        "server_names": ["shop.test", "*.shop.test"],
        "certificate": {"fullchain": FULLCHAIN, "private_key": "/etc/letsencrypt/live/shop/privkey.pem"},
        "kind": "php_fpm",
        "root": "/srv/www/shop",
        "security_headers": {"Content-Security-Policy": 'default-src "self" 100%'},
        "locations": [{"path": "/embed/", "headers": {"X-Frame-Options": ""}, "extra": ["LimitRequestBody 1"]}],
        "extra": ["LimitRequestBody 2"],
    },
    {
        "name": "app",
        "server_names": ["app.test"],
        "certificate": "app",
        "kind": "reverse_proxy",
        "tls_profile": "modern",
        "upstream": {"url": "https://app.internal:8443", "headers": {"Authorization": "canary"}},
    },
    {
        "name": "old",
        "server_names": ["old.test"],
        "certificate": "app",
        "kind": "redirect",
        "redirect_to": "https://shop.test",
    },
]


def certificate(fullchain: str, names: tuple[str, ...], *, trusted: bool = True, responder: bool = False) -> list[Any]:
    """Return what webserver_info says of one certificate."""
    known = {"exists": True, "sha256": "ab" * 32, "key_type": "ecdsa", "reason": None if trusted else "self_signed"}
    place = {"fullchain": fullchain, "private_key": fullchain.replace("fullchain", "privkey")}
    return [{**known, **place, "trusted": trusted, "names": list(names), "ocsp_responder": responder}]


CERTIFICATES = {
    FULLCHAIN: certificate(FULLCHAIN, names=("shop.test", "*.shop.test")),
    "/etc/ssl/ringmaster/app": certificate("/etc/ssl/ringmaster/app/fullchain.pem", names=("app.test", "old.test")),
}
INFO: dict[str, Any] = {
    "installed": True,
    "version": "2.4.71",
    "openssl_version": "3.5.7",
    "foreign": [],
    "foreign_tls_protocols": [],
    "certificates": CERTIFICATES,
}


def with_shop(**facts: bool) -> dict[str, Any]:
    """Return the facts of a host whose certificate of the first site is another."""
    changed = certificate(FULLCHAIN, names=("shop.test", "*.shop.test"), **facts)
    return {"__apache_info": {**INFO, "certificates": {**CERTIFICATES, FULLCHAIN: changed}}}


def with_upstream(**upstream: str | bool) -> dict[str, Any]:
    return {"apache_sites": [{**SITES[1], "upstream": upstream}]}


FOREIGN = {
    "file": "/etc/apache2/sites-enabled/a.conf",
    "names": ["a.test"],
    "listeners": [
        *({"address": address, "port": port} for port in (80, 8081, 8082) for address in ("0.0.0.0", "::")),
        {"address": "192.0.2.7", "port": 8083},
    ],
}
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "other ports": {"apache_http_port": 8080, "apache_https_port": 8443},
    "single addresses": {"apache_addresses": ["192.0.2.7", "[2001:db8::7]"]},
    "not trusted": with_shop(trusted=False),
    "with a responder": with_shop(responder=True),
    "http": with_upstream(url="http://127.0.0.1:8000"),
    "name of the visitor": with_upstream(url="https://192.0.2.7", tls_server_name="app.test"),
    "not verified": with_upstream(url="https://192.0.2.7", tls_verify=False),
    "socket": with_upstream(url="unix:/run/app.sock"),
    "keep": {
        "apache_take_over": "keep",
        "__apache_info": {**INFO, "foreign": [FOREIGN]},
        "__apache_kept_listens": {"stdout_lines": ["  Listen 0.0.0.0:8081 http"]},
    },
    "no log": {"apache_json_access_log": False},
    "no log, anonymous": {"apache_json_access_log": False, "apache_anonymise_clients": True},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the configuration of each variant, as the role makes it, in one run of Ansible."""
    directory = tmp_path_factory.mktemp("apache")
    tasks = [
        {
            "ansible.builtin.template": {"src": f"{ROLE}/templates/apache2.conf.j2", "dest": f"{directory}/{number}"},
            "vars": {"apache_sites": SITES, "__apache_info": INFO, **changes},
        }
        for number, changes in enumerate(VARIANTS.values())
    ]
    files = [str(ROLE / name / "main.yml") for name in ("defaults", "vars")]
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": tasks}
    playbook = directory / "play.yml"
    playbook.write_text(json.dumps([play]))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_HOME": str(directory)}
    done = subprocess.run([program, str(playbook)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: (directory / str(number)).read_text() for number, name in enumerate(VARIANTS)}


@pytest.fixture
def configuration(rendered: dict[str, str]) -> str:
    return rendered["as it is"]


def hosts(configuration: str) -> dict[tuple[str, str], list[str]]:
    """Return the lines of each virtual host, by its sockets and its name, in their order."""
    found = {}
    for part in configuration.split("<VirtualHost ")[1:]:
        sockets, _end, rest = part.partition(">")
        lines = [line.strip() for line in rest.partition("</VirtualHost>")[0].splitlines() if line.strip()]
        found[sockets, lines[0].removeprefix("ServerName ")] = lines
    return found


def test_unknown_names_come_first_on_each_socket_and_get_nothing(configuration: str) -> None:
    names = list(hosts(configuration))

    assert names[:2] == [("*:80", "catch-all.invalid"), ("*:443", "catch-all.invalid")]
    lines = hosts(configuration)["*:443", "catch-all.invalid"]
    assert "SSLCertificateFile /etc/apache2/ringmaster/current/catch-all/fullchain.pem" in lines
    assert lines[-3:] == ['<Location "/">', "Require all denied", "</Location>"]
    assert "SSLStrictSNIVHostCheck on" in lines


def test_http_is_redirected_except_for_acme(configuration: str) -> None:
    lines = hosts(configuration)["*:80", "shop.test"]

    assert r"RewriteCond %{REQUEST_URI} !^/\.well-known/acme-challenge/" in lines
    assert "RewriteRule ^ https://%{SERVER_NAME}%1 [R=308,L,NE]" in lines
    assert not [line for line in lines if "Strict-Transport-Security" in line]


def test_a_redirect_to_another_port_names_it(rendered: dict[str, str]) -> None:
    found = rendered["other ports"]

    assert "RewriteRule ^ https://%{SERVER_NAME}:8443%1 [R=308,L,NE]" in hosts(found)["*:8080", "shop.test"]
    assert "\nListen 8080 http\nListen 8443 https\n" in found


def test_headers_are_on_every_answer_and_there_once(configuration: str) -> None:
    lines = hosts(configuration)["*:443", "shop.test"]

    for name, value in [
        ("X-Content-Type-Options", '"nosniff"'),
        ("Content-Security-Policy", r'"default-src \"self\" 100%%"'),
        ("Strict-Transport-Security", '"max-age=300" "expr=%{HTTPS} == \'on\'"'),
    ]:
        assert f"Header onsuccess unset {name}" in lines
        assert f"Header always set {name} {value}" in lines


def test_a_location_leaves_a_header_of_the_site_out(configuration: str) -> None:
    lines = hosts(configuration)["*:443", "shop.test"]
    location = lines[lines.index('<Location "/embed/">') : lines.index("LimitRequestBody 2")]

    assert "Header always unset X-Frame-Options" in location
    assert "Header always set X-Frame-Options" not in " ".join(location)
    assert location[-2:] == ["LimitRequestBody 1", "</Location>"]


def test_transport_security_is_held_back_without_trust(rendered: dict[str, str]) -> None:
    found = hosts(rendered["not trusted"])

    held_back = [line for line in found["*:443", "shop.test"] if "Strict-Transport-Security" in line]
    assert held_back == [
        "Header onsuccess unset Strict-Transport-Security",
        "Header always unset Strict-Transport-Security",
    ]
    assert "Header always set Strict-Transport-Security" in " ".join(found["*:443", "app.test"])


def test_a_site_may_have_a_profile_of_its_own(configuration: str) -> None:
    assert "\nSSLProtocol -all +TLSv1.2 +TLSv1.3\n" in configuration
    assert "SSLProtocol -all +TLSv1.3" in hosts(configuration)["*:443", "app.test"]
    assert not [line for line in hosts(configuration)["*:443", "shop.test"] if line.startswith("SSLProtocol")]


def test_a_renewal_by_others_is_a_change(configuration: str) -> None:
    assert f"# Certificate {FULLCHAIN}: sha256 {'ab' * 32}" in configuration
    assert "# Certificate /etc/ssl/ringmaster/app" not in configuration


def test_stapling_only_with_a_responder(rendered: dict[str, str]) -> None:
    found = rendered["with a responder"]

    assert "Stapling" not in rendered["as it is"]
    assert "\nSSLStaplingCache " in found
    assert "SSLUseStapling on" in hosts(found)["*:443", "shop.test"]
    assert "SSLUseStapling on" not in hosts(found)["*:443", "app.test"]


def test_an_upstream_with_tls_is_verified_under_the_name_that_is_sent(configuration: str) -> None:
    lines = hosts(configuration)["*:443", "app.test"]

    assert "SSLProxyVerify require" in lines
    assert 'SSLProxyCACertificateFile "/etc/ssl/certs/ca-certificates.crt"' in lines
    assert "ProxyPreserveHost Off" in lines
    assert "SSLProxyCheckPeerName off" not in lines


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("http", ["ProxyPreserveHost On", 'ProxyPass "/" "http://127.0.0.1:8000/" nocanon upgrade=websocket']),
        ("name of the visitor", ["ProxyPreserveHost On", "SSLProxyVerify require"]),
        ("not verified", ["SSLProxyVerify none", "SSLProxyCheckPeerName off"]),
        ("socket", ['ProxyPass "/" "unix:/run/app.sock|http://localhost/" nocanon upgrade=websocket']),
    ],
)
def test_upstreams(rendered: dict[str, str], variant: str, expected: list[str]) -> None:
    assert set(expected) <= set(hosts(rendered[variant])["*:443", "app.test"])


def test_what_a_visitor_says_of_himself_is_not_passed_on(configuration: str) -> None:
    lines = hosts(configuration)["*:443", "app.test"]

    for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Proxy"):
        assert f"RequestHeader unset {header} early" in lines


def test_what_an_application_is_told_is_not_where_everyone_reads(configuration: str) -> None:
    assert (
        "Include /etc/apache2/ringmaster/current/request-headers/app.conf" in hosts(configuration)["*:443", "app.test"]
    )
    assert "canary" not in configuration


def test_single_addresses_have_sockets_and_virtual_hosts_of_their_own(rendered: dict[str, str]) -> None:
    found = rendered["single addresses"]

    assert "\nListen 192.0.2.7:443 https\nListen [2001:db8::7]:443 https\n" in found
    assert ("192.0.2.7:443 [2001:db8::7]:443", "shop.test") in hosts(found)


def test_sites_of_others_are_kept_only_when_asked(rendered: dict[str, str]) -> None:
    assert "sites-enabled" not in rendered["as it is"]
    included = "IncludeOptional conf-enabled/*.conf\nIncludeOptional sites-enabled/*.conf\n"
    before, _included, behind = rendered["keep"].partition(included)
    assert "<VirtualHost " in before
    assert "<VirtualHost " not in behind


def test_settings_of_others_that_are_kept_do_not_count_for_our_sites(rendered: dict[str, str]) -> None:
    lines = hosts(rendered["keep"])["*:443", "shop.test"]

    assert "SSLProtocol -all +TLSv1.2 +TLSv1.3" in lines
    assert [line for line in lines if line.startswith("SSLCipherSuite ECDHE-")]
    assert "\nServerTokens Prod\n" in rendered["keep"].partition("IncludeOptional conf-enabled/")[2]


def test_sites_of_others_keep_sockets_that_they_do_not_open_themselves(rendered: dict[str, str]) -> None:
    listens = [line for line in rendered["keep"].splitlines() if line.startswith("Listen ")]
    assert listens == ["Listen 80 http", "Listen 443 https", "Listen 8082", "Listen 192.0.2.7:8083"]


@pytest.mark.parametrize(
    ("variant", "json_lines", "is_anonymous"),
    [("as it is", 3, False), ("no log", 0, False), ("no log, anonymous", 0, True)],
)
def test_logs(rendered: dict[str, str], variant: str, json_lines: int, is_anonymous: bool) -> None:
    assert rendered[variant].count("\nCustomLog ${APACHE_LOG_DIR}/access.json.log ") == json_lines
    assert "\nCustomLog ${APACHE_LOG_DIR}/access.log combined\n" in rendered[variant]
    assert ("ringmaster_client" in rendered[variant]) is is_anonymous
