# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role nginx renders, with Ansible itself, and what nginx says about it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.sites import decide_sites

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "nginx"
CURRENT = "/etc/nginx/ringmaster/current"
DEBIAN_12 = {"version": "1.22.1", "openssl_version": "3.0.19", "distribution_release": "bookworm"}
DEBIAN_13 = {"version": "1.26.3", "openssl_version": "3.5.7", "distribution_release": "trixie"}
TOLD = {"x-real-ip": "", "Authorization": "canary"}
ALL_KINDS: list[dict[str, Any]] = [
    {
        "name": "shop",
        "kind": "php_fpm",
        "root": "/srv/shop",
        "locations": [{"path": "/api/", "headers": {"X-Api": "1"}, "extra": ["client_max_body_size 1m;"]}],
    },
    {"name": "docs", "kind": "static", "root": "/srv/docs", "locations": [{"path": "/", "headers": {"X-Docs": "1"}}]},
    {
        "name": "app",
        "kind": "reverse_proxy",
        "upstream": {"url": "https://127.0.0.1:8443", "tls_server_name": "app.internal", "headers": TOLD},
        "locations": [{"path": "/ws/"}],
    },
    {"name": "socket", "kind": "reverse_proxy", "upstream": {"url": "unix:/run/app.sock"}, "hsts_stage": "full"},
    {"name": "old", "kind": "redirect", "redirect_to": "https://shop.example.org"},
]


def site(**given: object) -> dict[str, Any]:
    """Return a site of its own name with a certificate of the same name."""
    return {"server_names": [f"{given['name']}.example.org"], "certificate": "www", **given}


def information(**changes: object) -> dict[str, Any]:
    """Return what ``webserver_info`` says of a host of Debian 13 with a trusted certificate."""
    certificate = {
        "fullchain": "/etc/ssl/ringmaster/www/fullchain.pem",
        "private_key": "/etc/ssl/ringmaster/www/privkey.pem",
        "exists": True,
        "trusted": True,
        "reason": None,
        "names": ["*.example.org"],
        "ocsp_responder": False,
        "sha256": "ab" * 32,
        "key_type": "ecdsa",
    }
    known = {**DEBIAN_13, "foreign": [], "foreign_tls_protocols": []}
    return {**known, "certificates": {"/etc/ssl/ringmaster/www": [certificate]}, **changes}


def render(directory: Path, **variables: object) -> str:
    """Return nginx.conf as the role's task would write it with these variables."""
    given = directory / "given.json"
    given.write_text(json.dumps({"__nginx_info": information(), **variables}))
    result = directory / "nginx.conf"
    files = [ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml", given]
    task = json.dumps({"src": f"{ROLE}/templates/nginx.conf.j2", "dest": str(result)})
    program = str(Path(sys.executable).with_name("ansible"))
    command = [program, "localhost", "-m", "ansible.builtin.template", "-a", task]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_HOME": str(directory)}
    done = subprocess.run(
        [*command, *(f"-e@{file}" for file in files)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return result.read_text()


def server(configuration: str, name: str) -> str:
    """Return the server of a site that speaks TLS."""
    blocks = re.findall(r"^    server \{\n.*?^    \}\n", configuration, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if f"server_name {name}.example.org;" in block and "ssl_certificate" in block]
    return str(found)


def locations(block: str) -> dict[str, str]:
    """Return the locations of a server, those within others left in these."""
    return dict(re.findall(r"^        location (.*?) \{\n(.*?)^        \}\n", block, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(tmp_path_factory.mktemp("nginx"), nginx_sites=[site(**each) for each in ALL_KINDS])


@pytest.fixture(scope="module")
def of_debian_12(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A configuration for an older nginx, with everything that is off by default."""
    return render(
        tmp_path_factory.mktemp("nginx"),
        __nginx_info=information(
            **DEBIAN_12,
            foreign=[{"file": f"/etc/nginx/{file}", "names": []} for file in ("sites-enabled/a", "conf.d/b.conf")],
        ),
        nginx_sites=[site(name="www", kind="static", root="/srv/www")],
        nginx_anonymise_clients=True,
        nginx_rate_limits={"requests_per_second": 50, "connections": 20},
        nginx_extra=["gzip on;"],
        nginx_https_port=8443,
        nginx_addresses=["192.0.2.1", "2001:db8::1"],
    )


@pytest.fixture(scope="module")
def of_debian_11(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(
        tmp_path_factory.mktemp("nginx"),
        __nginx_info=information(version="1.18.0", openssl_version="1.1.1w", distribution_release="bullseye"),
        nginx_json_access_log=False,
        nginx_take_over="replace",
    )


# --- versions


def test_http2_is_asked_for_as_the_version_wants_it(configuration: str, of_debian_12: str) -> None:
    assert "listen 0.0.0.0:443 ssl;" in configuration
    assert "    http2 on;" in configuration
    assert "listen 192.0.2.1:8443 ssl http2;" in of_debian_12
    assert "http2 on" not in of_debian_12


def test_hybrid_group_only_where_the_library_has_it(configuration: str, of_debian_12: str) -> None:
    assert "ssl_ecdh_curve X25519MLKEM768/X25519:prime256v1:secp384r1;" in configuration
    assert "ssl_ecdh_curve X25519:prime256v1:secp384r1;" in of_debian_12


def test_names_that_no_site_has_are_refused_in_the_handshake(configuration: str, of_debian_11: str) -> None:
    assert "listen 0.0.0.0:443 ssl default_server;" in configuration
    assert "        ssl_reject_handshake on;" in configuration
    assert "ssl_reject_handshake on" not in of_debian_11
    assert "ssl_certificate data:$ringmaster_no_certificate;" in of_debian_11


def test_policy_is_set_once_and_for_all_sockets(configuration: str) -> None:
    http, _begin, servers = configuration.partition("    server {")

    assert "    ssl_protocols TLSv1.2 TLSv1.3;" in http
    assert not re.search("ssl_protocols|ssl_ecdh_curve|ssl_ciphers", servers.replace("proxy_ssl_protocols", ""))


# --- headers


@pytest.mark.parametrize("name", [each["name"] for each in ALL_KINDS])
def test_every_site_sends_all_its_headers(configuration: str, name: str) -> None:
    assert f"\n        include {CURRENT}/headers/{name}/site.conf;\n" in server(configuration, name)


@pytest.mark.parametrize(("name", "path"), [("shop", "/api/"), ("docs", "/"), ("app", "/ws/")])
def test_location_with_headers_has_all_others_too(configuration: str, name: str, path: str) -> None:
    content = locations(server(configuration, name))[f'"{path}"']

    assert content.startswith(f"            include {CURRENT}/headers/{name}/location-1.conf;\n")
    assert "add_header" not in configuration


def test_php_that_answers_for_a_location_sends_the_headers_of_it(configuration: str) -> None:
    of = locations(server(configuration, "shop"))

    assert "                fastcgi_pass unix:" in of['"/api/"']
    assert "try_files $uri $uri/ @location-1;" in of['"/api/"']
    assert f"include {CURRENT}/headers/shop/location-1.conf;" in of["@location-1"]
    assert "rewrite ^ /index.php break;" in of["@location-1"]


def test_transport_security_is_for_tls_alone(configuration: str) -> None:
    for number, seconds in ((1, 300), (2, 63072000)):
        entries = f'        default "";\n        on "max-age={seconds}";\n'
        assert f"    map $https $ringmaster_hsts_{number} {{\n{entries}    }}\n" in configuration


# --- kinds


def test_upstream_is_verified_by_the_right_name(configuration: str) -> None:
    for content in (locations(server(configuration, "app"))[path] for path in ("/", '"/ws/"')):
        lines = [line.strip() for line in content.splitlines()]
        assert "proxy_pass https://127.0.0.1:8443;" in lines
        assert "proxy_ssl_verify on;" in lines
        assert "proxy_ssl_server_name on;" in lines
        assert "proxy_ssl_name app.internal;" in lines
        assert 'proxy_ssl_trusted_certificate "/etc/ssl/certs/ca-certificates.crt";' in lines
        assert "proxy_hide_header Strict-Transport-Security;" in lines
        assert 'proxy_set_header Connection "$ringmaster_connection";' in lines


def test_only_websockets_are_upgraded_to(configuration: str) -> None:
    maps = dict(
        re.findall(
            r"^    map \$(\S+ \$ringmaster_(?:upgrade|connection)) \{\n(.*?)^    \}\n", configuration, re.M | re.S
        )
    )

    assert {name: " ".join(lines.split()) for name, lines in maps.items()} == {
        "http_upgrade $ringmaster_upgrade": 'default ""; ~*^websocket$ websocket;',
        "ringmaster_upgrade $ringmaster_connection": 'default ""; websocket upgrade;',
    }
    assert "$http_upgrade" not in server(configuration, "app")


def test_header_of_a_request_is_replaced_not_doubled(configuration: str) -> None:
    content = locations(server(configuration, "app"))["/"]

    assert not re.findall("proxy_set_header x-real-ip", content, re.IGNORECASE)
    assert f"include {CURRENT}/request-headers/app.conf;" in content


def test_secret_of_an_application_is_not_where_everyone_reads(configuration: str) -> None:
    assert "canary" not in configuration


def test_what_a_redirect_keeps(configuration: str) -> None:
    assert 'return 308 "https://shop.example.org$request_uri";' in server(configuration, "old")


def test_http_is_redirected_but_for_the_challenge(configuration: str, of_debian_12: str) -> None:
    assert configuration.count("return 308 https://$host$request_uri;") == len(ALL_KINDS)
    assert configuration.count("location ^~ /.well-known/acme-challenge/ {") == len(ALL_KINDS) + 1
    assert "return 308 https://$host:8443$request_uri;" in of_debian_12


# --- what is asked for


def test_limits_only_where_asked_for(configuration: str, of_debian_12: str) -> None:
    assert "limit_" not in configuration
    for line in (
        "limit_req_zone $binary_remote_addr zone=ringmaster_requests:10m rate=50r/s;",
        "limit_req zone=ringmaster_requests burst=100 nodelay;",
        "limit_conn ringmaster_connections 20;",
        "limit_req_status 429;",
        "limit_conn_status 429;",
    ):
        assert f"    {line}\n" in of_debian_12


def test_usual_log_keeps_its_format(configuration: str, of_debian_12: str, of_debian_11: str) -> None:
    for text in (configuration, of_debian_11):
        assert "    access_log /var/log/nginx/access.log combined;\n" in text
    assert "    access_log /var/log/nginx/access.log ringmaster_combined;\n" in of_debian_12
    assert "access.json.log" in configuration
    assert "access.json.log" not in of_debian_11


def test_files_of_others_are_included_unless_they_are_replaced(of_debian_12: str, of_debian_11: str) -> None:
    assert re.findall("include /etc/nginx/(?:conf.d|sites).*", of_debian_12) == [
        "include /etc/nginx/conf.d/*.conf;",
        "include /etc/nginx/sites-enabled/a;",
    ]
    assert not re.findall("include /etc/nginx/(?:conf.d|sites).*", of_debian_11)


def test_address_of_version_6_is_in_brackets(of_debian_12: str) -> None:
    assert "listen [2001:db8::1]:80;" in of_debian_12


# --- what nginx says


def nginx_program() -> tuple[str, dict[str, str]]:
    """Return the nginx of this machine, and what it says of itself."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    said = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    (version,) = re.findall(r"nginx/([0-9.]+)", said)
    return program, {"version": version, "openssl_version": re.findall("with OpenSSL ([0-9a-z.]+)", said)[-1]}


def write_release(root: Path, configuration: str, sites: list[dict[str, Any]]) -> Path:
    """Write a release and what Debian has around it below a directory, and give the path of nginx.conf."""
    decided = decide_sites({"sites": sites}, server="nginx", info=information())
    for file in decided["files"]:
        path = root / "current" / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.get("content", ""))
    directory = root / "current" / "certificates" / "www"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
         "-subj", "/CN=*.example.org", "-keyout", directory / "privkey.pem", "-out", directory / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    for name, content in (("mime.types", "types { text/html html; }"), ("fastcgi.conf", "")):
        (root / name).write_text(content)
    (root / "ca.pem").write_text((directory / "fullchain.pem").read_text())
    for old, new in (
        (CURRENT, f"{root}/current"),
        ("/etc/nginx/", f"{root}/"),
        ("/var/log/nginx/", f"{root}/"),
        ("/run/nginx.pid", f"{root}/pid"),
        ("/etc/ssl/certs/ca-certificates.crt", f"{root}/ca.pem"),
        ("http {", "http { " + " ".join(f"{kind}_temp_path {root}/{kind};" for kind in TEMPORARY)),
    ):
        configuration = configuration.replace(old, new)
    path = root / "current" / "nginx.conf"
    path.write_text(configuration)
    return path


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def test_nginx_accepts_it(tmp_path: Path) -> None:
    program, versions = nginx_program()
    sites = [site(**each) for each in ALL_KINDS]
    text = render(
        tmp_path,
        __nginx_info=information(**versions),
        nginx_sites=sites,
        nginx_anonymise_clients=True,
        nginx_rate_limits={"requests_per_second": 50, "burst": 7, "connections": 20},
        nginx_addresses=["127.0.0.1"],
        nginx_http_port=58080,
        nginx_https_port=58443,
    )
    path = write_release(tmp_path / "root", text, sites)

    done = subprocess.run([program, "-t", "-e", "stderr", "-c", path], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "[warn]" in line and '"user" directive' not in line]
