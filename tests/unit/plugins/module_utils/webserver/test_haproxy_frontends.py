# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frontends as they are asked for, and what they come to."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_frontends import (
    decide_frontends,
    quoted,
)

WWW = "/etc/ssl/ringmaster/www"
BIND = {"port": 443, "tls": True, "certificates": ["www"]}


def certificate(name: str = "fullchain.pem", **changes: object) -> dict[str, Any]:
    facts = {
        "fullchain": f"{WWW}/{name}",
        "private_key": f"{WWW}/{name.replace('fullchain', 'privkey')}",
        "exists": True,
        "sha256": "ab" * 32,
        "key_type": "ecdsa",
        "trusted": True,
        "reason": None,
        "names": ["www.example.org", "*.shop.example.org"],
    }
    return {**facts, **changes}


def info(*certificates: dict[str, Any], path: str = WWW, version: str = "3.0.11") -> dict[str, Any]:
    modules = ["LUA"]
    return {
        "version": version,
        "openssl_version": "3.5.7",
        "modules": modules,
        "certificates": {path: list(certificates)},
    }


def decide(*frontends: dict[str, Any], known: dict[str, Any] | None = None, **settings: object) -> dict[str, Any]:
    named = [{"name": f"f{number}", **frontend} for number, frontend in enumerate(frontends)]
    return decide_frontends({"frontends": named, **settings}, info=known or info(certificate()))


# --- certificates


def test_a_certificate_by_name_becomes_part_of_the_release_with_its_key_beside_it() -> None:
    result = decide({"binds": [BIND]}, known=info(certificate(), certificate("fullchain.rsa.pem", key_type="rsa")))
    assert result["files"] == [
        {"path": "certificates/www.pem", "remote_src": f"{WWW}/fullchain.pem", "mode": "0644"},
        {
            "path": "certificates/www.pem.key",
            "remote_src": f"{WWW}/privkey.pem",
            "mode": "0600",
            "sensitive": True,
        },
        {"path": "certificates/www.rsa.pem", "remote_src": f"{WWW}/fullchain.rsa.pem", "mode": "0644"},
        {
            "path": "certificates/www.rsa.pem.key",
            "remote_src": f"{WWW}/privkey.rsa.pem",
            "mode": "0600",
            "sensitive": True,
        },
    ]
    current = "/etc/haproxy/ringmaster/current/certificates"
    assert f"crt {current}/www.pem crt {current}/www.rsa.pem" in result["frontends"][0]["binds"][0]


def test_a_certificate_by_path_is_referred_to_with_its_digest() -> None:
    path = "/srv/www.pem"
    result = decide({"binds": [{**BIND, "certificates": [path]}]}, known=info(certificate(), path=path))
    assert result["files"] == []
    assert result["referred_certificates"] == [{"path": path, "sha256": "ab" * 32}]
    assert f"crt {path} " in result["frontends"][0]["binds"][0]


def test_what_is_to_be_asked_about_is_known_before_the_host_is() -> None:
    planned = decide_frontends(
        {"frontends": [{"name": "f", "binds": [BIND, {"port": 80}, {**BIND, "certificates": ["/srv/x.pem"]}]}]}
    )
    assert planned["certificate_paths"] == [WWW, "/srv/x.pem"]


def test_a_certificate_that_is_not_there_is_missing() -> None:
    result = decide({"binds": [BIND]}, known=info(certificate(exists=False)))
    assert result["missing_certificates"] == [WWW]


# --- binds


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ({"port": 80}, "*:80"),
        ({"port": 80, "address": "::"}, "[::]:80"),
        ({"port": 80, "extra": "accept-proxy"}, "*:80 accept-proxy"),
        (BIND, "*:443 ssl CRT alpn h2,http/1.1 strict-sni"),
        ({**BIND, "strict_sni": False, "alpn": ["http/1.1"]}, "*:443 ssl CRT alpn http/1.1"),
        ({**BIND, "tls_profile": "intermediate"}, "*:443 ssl CRT alpn h2,http/1.1 strict-sni"),
    ],
)
def test_words_of_a_bind(bind: dict[str, Any], words: str) -> None:
    (written,) = decide({"binds": [bind]})["frontends"][0]["binds"]
    assert re.sub(r"crt \S+", "CRT", written) == words


def test_a_socket_with_a_profile_of_its_own_says_all_of_it() -> None:
    (written,) = decide({"binds": [{**BIND, "tls_profile": "modern"}]})["frontends"][0]["binds"]
    for word in (
        "ciphers ",
        "ciphersuites TLS_",
        "curves X25519MLKEM768/X25519",
        "ssl-min-ver TLSv1.3",
        "no-tls-tickets",
    ):
        assert f" {word}" in written


def test_where_one_socket_prefers_its_own_order_the_default_is_no_other() -> None:
    alone = decide({"binds": [BIND]})
    mixed = decide({"binds": [BIND, {**BIND, "port": 444, "tls_profile": "old"}]})
    assert any("prefer-client-ciphers" in line for line in alone["global_lines"])
    assert not any("prefer-client-ciphers" in line for line in mixed["global_lines"])
    assert "prefer-client-ciphers" not in mixed["frontends"][0]["binds"][1]


# --- names


@pytest.mark.parametrize(
    ("frontend", "known"),
    [
        ({"binds": [BIND]}, True),
        ({"binds": [{**BIND, "strict_sni": False}]}, False),
        ({"binds": [{"port": 80}], "redirect_to_https": True}, True),
        ({"binds": [{"port": 80}]}, False),
    ],
    ids=["https", "a default certificate", "http that redirects", "http that serves"],
)
def test_names_that_are_answered_for(frontend: dict[str, Any], known: bool) -> None:
    first = decide(frontend, {"binds": [BIND]})["frontends"][0]
    assert first["known_names"] == (["-m str www.example.org", r"-m reg ^[^.]+\.shop\.example\.org$"] if known else [])


def test_what_can_be_no_host_is_not_written_from_a_certificate() -> None:
    names = ["www.example.org", "a b", "a\nfrontend x", "*.x }", "192.0.2.1", "2001:db8::1"]
    result = decide({"binds": [BIND]}, known=info(certificate(names=names)))
    assert result["names"] == ["192.0.2.1", "2001:db8::1", "www.example.org"]
    assert result["frontends"][0]["known_names"] == [f"-m str {name}" for name in (names[0], *names[4:])]


def test_a_certificate_whose_names_are_not_known_shuts_nobody_out() -> None:
    result = decide({"binds": [BIND]}, known=info(certificate(names=[])))
    assert result["frontends"][0]["known_names"] == []


# --- what is measured


def test_each_certificate_of_each_socket_is_measured_once() -> None:
    binds = [BIND, {**BIND, "port": 444, "address": "::"}, {**BIND, "port": 445, "address": "192.0.2.1"}, {"port": 80}]
    found = [(one["server_name"], one["address"], one["port"]) for one in decide({"binds": binds})["endpoints"]]
    assert found == [
        ("www.example.org", "127.0.0.1", 443),
        ("www.example.org", "::1", 444),
        ("www.example.org", "192.0.2.1", 445),
    ]


def test_a_wildcard_is_measured_by_a_name_that_it_covers() -> None:
    (endpoint,) = decide({"binds": [BIND]}, known=info(certificate(names=["*.example.org"])))["endpoints"]
    assert endpoint["server_name"] == "www.example.org"
    assert endpoint["certificates"] == ["certificates/www.pem"]


def test_every_socket_is_listed_once_as_the_kernel_writes_it() -> None:
    binds = [{"port": 80}, {"port": 80, "address": "0.0.0.0"}, {"port": 80, "address": "::"}]
    result = decide({"binds": binds}, own_listeners=[{"address": "127.0.0.1", "port": 8404, "name": "stats"}])
    assert result["listeners"] == [
        {"address": "0.0.0.0", "port": 80},
        {"address": "::", "port": 80},
        {"address": "127.0.0.1", "port": 8404},
        {"address": "127.0.0.1", "port": 1023},
    ]


# --- headers and logs


def test_transport_security_is_held_back_while_a_certificate_is_not_trusted() -> None:
    result = decide({"binds": [BIND]}, known=info(certificate(trusted=False, reason="self-signed")), hsts_stage="full")
    assert result["frontends"][0]["hsts"] == ""
    assert "self-signed" in result["warnings"][0]


def test_transport_security_is_for_frontends_with_tls() -> None:
    first, second = decide({"binds": [BIND]}, {"binds": [{"port": 80}]}, hsts_stage="week")["frontends"]
    assert first["hsts"] == "max-age=604800"
    assert second["hsts"] == ""


def test_a_frontends_headers_come_on_top() -> None:
    frontend = {"binds": [BIND], "security_headers": {"x-frame-options": "", "X-Own": "50% $x"}}
    (written,) = decide(frontend, security_headers={"X-Frame-Options": "DENY", "Referrer-Policy": "a"})["frontends"]
    assert written["headers"] == [
        {"name": "Referrer-Policy", "value": '"a"'},
        {"name": "X-Own", "value": '"50%% \\$x"'},
    ]


def test_nothing_in_a_value_is_expanded() -> None:
    assert quoted('a"b\\c$HOME%[src]') == '"a\\"b\\\\c\\$HOME%%[src]"'


@pytest.mark.parametrize(
    ("settings", "version", "logged"),
    [({}, "2.6.12", True), ({}, "2.2.9", False), ({"json_access_log": False}, "3.0.11", False)],
)
def test_json_is_logged_where_it_can_be(settings: dict[str, Any], version: str, logged: bool) -> None:
    result = decide({"binds": [BIND]}, known=info(certificate(), version=version), **settings)
    assert (result["frontends"][0]["json_log"] is not None) == logged


def test_a_record_ends_its_json_with_a_tab() -> None:
    line = decide({"binds": [BIND]})["frontends"][0]["json_log"]["line"]
    assert line.startswith("log-format-sd '{")
    assert line.endswith("}\t'")


# --- what cannot be

BACKENDS = [{"name": "app", "servers": [{"name": "s", "address": "192.0.2.1", "port": 80}]}]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"frontends": [{"name": "f", "binds": []}]}, "entry f: nobody could connect"),
        ({"frontends": [{"name": "f", "binds": [{"port": 443, "tls": True}]}]}, "bind 443: TLS needs a certificate"),
        ({"frontends": [{"name": "f", "binds": [{**BIND, "certificates": ["../x"]}]}]}, "certificate '../x'"),
        ({"frontends": [{"name": "f", "binds": [{**BIND, "certificates": ["/a b.pem"]}]}]}, "certificate '/a b.pem'"),
        ({"frontends": [{"name": "f", "binds": [BIND]}] * 2}, "entry 'f': it needs a name of its own"),
        ({"frontends": [{"name": "a b", "binds": [BIND]}]}, "entry 'a b': it needs a name"),
        (
            {"frontends": [{"name": "f", "binds": [BIND], "default_backend": "no"}]},
            "backend no: haproxy_backends defines app",
        ),
        (
            {"frontends": [{"name": "f", "binds": [BIND], "use_backends": [{"backend": "no", "condition": "x"}]}]},
            "backend no",
        ),
        ({"backends": [BACKENDS[0], BACKENDS[0]]}, "entry 'app': it needs a name of its own"),
        ({"backends": [{"name": "b"}]}, "entry b: servers none"),
        ({"peers": {"certificate": "/lb.pem"}}, "haproxy_peers with certificate alone"),
        ({"hsts_stage": "week", "hsts_preload": True}, "preload at the HSTS stage week"),
    ],
)
def test_what_cannot_be_is_said(settings: dict[str, Any], sentence: str) -> None:
    given = {"frontends": [], "backends": BACKENDS, "groups": {"web": ["web1"]}, **settings}
    with pytest.raises(InvalidInputError, match=re.escape(sentence)):
        decide_frontends(given)


# --- together


def test_backends_and_peers_are_decided_with_the_frontends() -> None:
    result = decide(
        {"binds": [{"port": 80}], "default_backend": "app"},
        backends=[{**BACKENDS[0], "app_session": {"cookie": "SID", "timeout": "1h", "request_learn": True}}],
        host="lb1",
        load_balancers={"lb1": "192.0.2.1", "lb2": "192.0.2.2"},
        peers={"name": "balancers"},
    )
    assert "peers balancers" in result["backends"][0]["session_lines"][0]
    assert [server["name"] for server in result["peers"]["servers"]] == ["lb1", "lb2"]
    assert {"address": "192.0.2.1", "port": 1023} in result["listeners"]
    assert [file["path"] for file in result["files"]] == ["peers/peer.pem", "peers/ca.pem", "hold.lua"]
    assert any("request_learn" in warning for warning in result["warnings"])


KEEPING = {**BACKENDS[0], "app_session": {"cookie": "SID", "timeout": "1h"}}


def test_who_keeps_sessions_loads_the_program_that_waits_for_them() -> None:
    result = decide(backends=[KEEPING], groups={"web": ["web1"]})
    assert result["files"] == [{"path": "hold.lua", "src": "hold.lua", "mode": "0644"}]
    assert result["global_lines"][-1] == "lua-load /etc/haproxy/ringmaster/current/hold.lua"
    assert any("lua.ringmaster_hold app" in line for line in result["backends"][0]["session_lines"])
    assert result["warnings"] == []


def test_who_keeps_none_loads_nothing() -> None:
    result = decide(backends=[BACKENDS[0]], groups={"web": ["web1"]})
    assert result["files"] == []
    assert not [line for line in result["global_lines"] if "lua" in line]


def test_without_lua_sessions_are_kept_all_the_same() -> None:
    result = decide(backends=[KEEPING], groups={"web": ["web1"]}, known={**info(certificate()), "modules": []})
    assert result["files"] == []
    assert not [line for line in [*result["global_lines"], *result["backends"][0]["session_lines"]] if "lua" in line]
    assert any("without Lua" in warning for warning in result["warnings"])


# --- servers


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ({}, "192.0.2.7"),
        ({"address_variable": "internal"}, "10.0.0.7"),
        ({"address_variable": "nobody_set_it"}, "web1"),
    ],
)
def test_a_server_of_a_group_has_the_address_of_its_host(server: dict[str, Any], address: str) -> None:
    backend = {"name": "app", "servers_group": "web", "server": {"port": 80, **server}}
    variables = {"web1": {"ansible_host": "192.0.2.7", "internal": "10.0.0.7"}}
    result = decide(groups={"web": ["web1"]}, backends=[backend], host_variables=variables)
    assert [one["address"] for one in result["backends"][0]["servers"]] == [address]


def test_a_server_with_an_address_keeps_it() -> None:
    backend = {"name": "app", "servers": [{"name": "web1", "address": "192.0.2.9", "port": 80}]}
    result = decide(backends=[backend], host_variables={"web1": {"ansible_host": "192.0.2.7"}})
    assert result["backends"][0]["servers"][0]["address"] == "192.0.2.9"
