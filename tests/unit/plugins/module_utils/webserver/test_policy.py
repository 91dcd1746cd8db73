# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.policy import (
    Version,
    hsts_header,
    nginx_has_http2_directive,
    parse_version,
    tls_directives,
)

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
CLASSICAL = "X25519:prime256v1:secp384r1"
HYBRID = "X25519MLKEM768/X25519:prime256v1:secp384r1"

# The programs of these versions accept these lines, and their handshakes show what the profile says.
NGINX_DEBIAN12 = {"server": "nginx", "server_version": "1.22.1", "openssl_version": "3.0.19"}
NGINX_DEBIAN13 = {"server": "nginx", "server_version": "1.26.3", "openssl_version": "3.5.7"}
HAPROXY_DEBIAN12 = {"server": "haproxy", "server_version": "2.6.12-1+deb12u4", "openssl_version": "3.0.19"}
HAPROXY_DEBIAN13 = {"server": "haproxy", "server_version": "3.0.11-1+deb13u5", "openssl_version": "3.5.7"}
APACHE_DEBIAN12 = {"server": "apache", "server_version": "2.4.71", "openssl_version": "3.0.19"}
APACHE_DEBIAN13 = {"server": "apache", "server_version": "2.4.71", "openssl_version": "3.5.7"}


def test_nginx_of_debian_12() -> None:
    assert tls_directives("intermediate", **NGINX_DEBIAN12) == [
        "ssl_protocols TLSv1.2 TLSv1.3;",
        f"ssl_ciphers {CIPHERS};",
        f"ssl_conf_command Ciphersuites {SUITES};",
        f"ssl_ecdh_curve {CLASSICAL};",
        "ssl_prefer_server_ciphers off;",
        "ssl_session_cache shared:TLS:10m;",
        "ssl_session_timeout 1d;",
        "ssl_session_tickets off;",
    ]


def test_nginx_of_debian_13() -> None:
    assert tls_directives("intermediate", **NGINX_DEBIAN13) == [
        "ssl_protocols TLSv1.2 TLSv1.3;",
        f"ssl_ciphers {CIPHERS};",
        f"ssl_conf_command Ciphersuites {SUITES};",
        f"ssl_ecdh_curve {HYBRID};",
        "ssl_prefer_server_ciphers off;",
        "ssl_session_cache shared:TLS:10m;",
        "ssl_session_timeout 1d;",
        "ssl_session_tickets on;",
        "http2 on;",
    ]


def test_apache_of_debian_12() -> None:
    assert tls_directives("intermediate", **APACHE_DEBIAN12) == [
        "SSLProtocol -all +TLSv1.2 +TLSv1.3",
        f"SSLCipherSuite {CIPHERS}",
        f"SSLCipherSuite TLSv1.3 {SUITES}",
        f"SSLOpenSSLConfCmd Curves {CLASSICAL}",
        "SSLHonorCipherOrder off",
        "SSLCompression off",
        "SSLSessionTickets off",
        "SSLSessionCache shmcb:${APACHE_RUN_DIR}/ssl_scache(512000)",
        "SSLSessionCacheTimeout 86400",
        "SSLVHostSNIPolicy secure",
    ]


def test_a_site_of_apache_has_a_profile_of_its_own() -> None:
    assert tls_directives("modern", **APACHE_DEBIAN13, side="site") == [
        "SSLProtocol -all +TLSv1.3",
        f"SSLCipherSuite {CIPHERS}",
        f"SSLCipherSuite TLSv1.3 {SUITES}",
        f"SSLOpenSSLConfCmd Curves {HYBRID}",
        "SSLHonorCipherOrder off",
    ]


@pytest.mark.parametrize(("apache", "is_there"), [("2.4.65", False), ("2.4.66", True)])
def test_apache_is_given_a_policy_for_names_only_where_it_has_one(apache: str, is_there: bool) -> None:
    lines = tls_directives("intermediate", server="apache", server_version=apache, openssl_version="3.0.19")
    assert ("SSLVHostSNIPolicy secure" in lines) is is_there


def test_haproxy_of_debian_12() -> None:
    assert tls_directives("intermediate", **HAPROXY_DEBIAN12) == [
        f"ssl-default-bind-ciphers {CIPHERS}",
        f"ssl-default-bind-ciphersuites {SUITES}",
        f"ssl-default-bind-curves {CLASSICAL}",
        "ssl-default-bind-options prefer-client-ciphers ssl-min-ver TLSv1.2 no-tls-tickets",
    ]


def test_haproxy_towards_servers_on_debian_12_has_no_curves() -> None:
    assert tls_directives("intermediate", **HAPROXY_DEBIAN12, side="server") == [
        f"ssl-default-server-ciphers {CIPHERS}",
        f"ssl-default-server-ciphersuites {SUITES}",
        "ssl-default-server-options ssl-min-ver TLSv1.2 no-tls-tickets",
    ]


def test_haproxy_towards_servers_on_debian_13_sends_both_shares() -> None:
    lines = tls_directives("intermediate", **HAPROXY_DEBIAN13, side="server")
    assert "ssl-default-server-curves *X25519MLKEM768/*X25519:prime256v1:secp384r1" in lines


@pytest.mark.parametrize(
    ("openssl", "groups"),
    [("1.1.1w", CLASSICAL), ("3.0.19", CLASSICAL), ("3.4.9", CLASSICAL), ("3.5.0", HYBRID), ("4.0.0", HYBRID)],
)
def test_hybrid_group_only_where_openssl_has_it(openssl: str, groups: str) -> None:
    lines = tls_directives("modern", server="nginx", server_version="1.26.3", openssl_version=openssl)
    assert f"ssl_ecdh_curve {groups};" in lines


@pytest.mark.parametrize(
    ("profile", "nginx", "apache", "haproxy"),
    [
        ("modern", "TLSv1.3", "+TLSv1.3", "TLSv1.3"),
        ("intermediate", "TLSv1.2 TLSv1.3", "+TLSv1.2 +TLSv1.3", "TLSv1.2"),
        ("old", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", "+TLSv1 +TLSv1.1 +TLSv1.2 +TLSv1.3", "TLSv1.0"),
    ],
)
def test_protocols(profile: str, nginx: str, apache: str, haproxy: str) -> None:
    assert tls_directives(profile, **APACHE_DEBIAN13)[0] == f"SSLProtocol -all {apache}"
    assert tls_directives(profile, **NGINX_DEBIAN13)[0] == f"ssl_protocols {nginx};"
    assert f" ssl-min-ver {haproxy} " in tls_directives(profile, **HAPROXY_DEBIAN13)[-1]


def test_modern_keeps_suites_as_a_net() -> None:
    assert f"ssl_ciphers {CIPHERS};" in tls_directives("modern", **NGINX_DEBIAN13)


def test_old_lowers_the_security_level_and_prefers_the_servers_order() -> None:
    nginx = tls_directives("old", **NGINX_DEBIAN13)
    assert nginx[1].startswith(f"ssl_ciphers @SECLEVEL=0:{CIPHERS}:")
    assert "ssl_prefer_server_ciphers on;" in nginx
    apache = tls_directives("old", **APACHE_DEBIAN13)
    assert apache[1].startswith(f"SSLCipherSuite @SECLEVEL=0:{CIPHERS}:")
    assert "SSLHonorCipherOrder on" in apache
    assert "prefer-client-ciphers" not in " ".join(tls_directives("old", **HAPROXY_DEBIAN13))


@pytest.mark.parametrize(("nginx", "tickets"), [("1.23.1", "off"), ("1.23.2", "on")])
def test_tickets_only_where_their_keys_rotate(nginx: str, tickets: str) -> None:
    lines = tls_directives("intermediate", server="nginx", server_version=nginx, openssl_version="3.0.19")
    assert f"ssl_session_tickets {tickets};" in lines


@pytest.mark.parametrize(
    ("nginx", "words", "directive"), [("1.25.0", ["ssl", "http2"], False), ("1.25.1", ["ssl"], True)]
)
def test_http2_is_asked_for_in_one_place(nginx: str, words: list[str], directive: bool) -> None:
    versions = {"server": "nginx", "server_version": nginx, "openssl_version": "3.0.19"}
    assert tls_directives("intermediate", **versions, side="listen") == words
    assert ("http2 on;" in tls_directives("intermediate", **versions)) is directive
    assert nginx_has_http2_directive(parse_version(nginx, "nginx")) is directive


def test_nginx_without_conf_command_is_not_given_one() -> None:
    lines = tls_directives("intermediate", server="nginx", server_version="1.18.0", openssl_version="1.1.1w")
    assert not [line for line in lines if line.startswith("ssl_conf_command")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"server": "lighttpd"}, "server 'lighttpd': it is not known. Choose one of nginx, apache, haproxy"),
        ({"side": "server"}, "side for nginx 'server': it is not known. Choose one of bind, listen"),
        ({"server_version": "1.10.3"}, "nginx 1.10.3: it is too old. Upgrade it to 1.13 or later"),
        ({"server_version": "new"}, "nginx version 'new': this is not a version"),
        ({"openssl_version": "1.1.0l"}, "OpenSSL 1.1.0: it has no TLS 1.3"),
        ({"openssl_version": ""}, "OpenSSL version '': this is not a version"),
    ],
)
def test_what_cannot_be_served_is_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        tls_directives("intermediate", **{**NGINX_DEBIAN12, **change})
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "version"), [("1.22.1", (1, 22, 1)), ("1.1.1w", (1, 1, 1)), ("2.6.12-1+deb12u4", (2, 6, 12))]
)
def test_version_is_its_leading_numbers(text: str, version: Version) -> None:
    assert parse_version(text, "nginx") == version


@pytest.mark.parametrize(
    ("stage", "include_subdomains", "preload", "header"),
    [
        ("observe", False, False, "max-age=300"),
        ("week", False, False, "max-age=604800"),
        ("month", True, False, "max-age=2592000; includeSubDomains"),
        ("full", False, False, "max-age=63072000"),
        ("full", True, True, "max-age=63072000; includeSubDomains; preload"),
        ("disabled", True, False, "max-age=0"),
    ],
)
def test_hsts_header(stage: str, include_subdomains: bool, preload: bool, header: str) -> None:
    assert hsts_header(stage, include_subdomains=include_subdomains, preload=preload) == header


@pytest.mark.parametrize(
    ("stage", "include_subdomains", "message"),
    [
        ("month", True, "preload lists want a max-age of 31536000 seconds"),
        ("disabled", True, "preload lists want a max-age of 31536000 seconds"),
        ("full", False, "preload lists accept only policies that include subdomains"),
    ],
)
def test_preload_that_no_list_would_accept_is_refused(stage: str, include_subdomains: bool, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        hsts_header(stage, include_subdomains=include_subdomains, preload=True)


def test_unknown_hsts_stage_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidInputError, match="observe, week, month, full, disabled"):
        hsts_header("forever")
