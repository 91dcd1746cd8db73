# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.sites import RELEASE_DIRECTORIES, decide_sites

DIRECTORY = "/etc/ssl/ringmaster/www"
PAIR = {"fullchain": "/etc/letsencrypt/live/www/fullchain.pem", "private_key": "/etc/letsencrypt/live/www/privkey.pem"}


def site(**changes: object) -> dict[str, object]:
    usual = {"name": "www", "server_names": ["www.example.org"], "certificate": "www", "kind": "static"}
    given = {**usual, "root": "/srv/www", **changes}
    return {key: value for key, value in given.items() if value is not None}


def found(fullchain: str = f"{DIRECTORY}/fullchain.pem", **changes: object) -> dict[str, object]:
    """Return what webserver_info says of a certificate that is trusted."""
    usual = {"exists": True, "trusted": True, "reason": None, "names": ["www.example.org"], "ocsp_responder": False}
    key = fullchain.replace("fullchain", "privkey")
    return {"fullchain": fullchain, "private_key": key, "key_type": "ecdsa", "sha256": "ab", **usual, **changes}


def information(*certificates: dict[str, object], path: str = DIRECTORY, **changes: object) -> dict[str, Any]:
    return {"certificates": {path: list(certificates)}, "foreign_tls_protocols": [], **changes}


def decide(
    *sites: dict[str, object], info: dict[str, Any] | None = None, server: str = "nginx", **settings: object
) -> dict[str, Any]:
    return decide_sites({"sites": sites, **settings}, server=server, info=info or information(found()))


def refusal(*sites: dict[str, object], server: str = "nginx", **settings: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        decide_sites({"sites": sites, **settings}, server=server)
    return str(caught.value)


# --- what is refused, and how it is said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../www"}, "nginx_sites, entry ../www: a site needs a name of its own"),
        ({"name": None}, "nginx_sites, entry (without a name): a site needs a name of its own"),
        ({"server_names": []}, "nginx_sites, entry www: server_names []: a site needs one at least"),
        ({"server_names": None}, "nginx_sites, entry www: server_names None: a site needs one at least"),
        ({"server_names": ["a b"]}, "nginx_sites, entry www: server name 'a b': this is no host name"),
        ({"server_names": ["a.*.org"]}, "this is no host name (* at either end is fine)"),
        ({"server_names": ["a;"]}, "this is no host name"),
        ({"server_names": ["a" * 254]}, "this is no host name"),
        ({"certificate": None}, "nginx_sites, entry www: certificate is None: it must be the name of a certificate"),
        ({"certificate": []}, "https needs a certificate"),
        ({"certificate": "../www"}, "it must be the name of a certificate of the role certificate"),
        ({"certificate": {"fullchain": "/a"}}, "or a dictionary with fullchain and private_key"),
        ({"certificate": {**PAIR, "fullchain": "a.pem"}}, "fullchain 'a.pem': this is not an absolute path"),
        ({"kind": "proxy"}, "nginx_sites, entry www: kind 'proxy': it is not known. Choose one of static, php_fpm"),
        ({"root": None}, "nginx_sites, entry www: a site of the kind static needs root. Add root"),
        ({"root": '/srv/"'}, "root '/srv/\"': this is not an absolute path"),
        ({"root": "/srv\n"}, "this is not an absolute path"),
        (
            {"upstream": {"url": "http://a"}},
            "nginx_sites, entry www: upstream: a site of the kind static has no such key",
        ),
        ({"tls_profile": "tight"}, "TLS profile 'tight': there is no such Mozilla profile"),
        ({"hsts_stage": "year"}, "HSTS stage 'year': it is not known"),
        ({"security_headers": {"a b": "c"}}, "nginx_sites, entry www: header 'a b': this is not the name of a header"),
        ({"locations": [{"path": "api"}]}, "nginx_sites, entry www: location 'api': this is no path"),
        ({"locations": [{"path": "/a { }"}]}, "this is no path"),
        ({"locations": [{"path": "/a", "root": "/b"}]}, "location /a: root: a location has no such key"),
        ({"locations": [{"path": "/a"}, {"path": "/a"}]}, "nginx_sites, entry www: location /a: there are two of it"),
        ({"locations": [{"path": "/a", "headers": {"A": "\n"}}]}, "location /a: header A: its value has a line break"),
    ],
)
def test_site_that_cannot_be(changes: dict[str, object], message: str) -> None:
    assert message in refusal(site(**changes))


def test_two_sites_of_one_name() -> None:
    assert "entry www: a site needs a name of its own" in refusal(site(), site(server_names=["b.example.org"]))


def test_server_name_of_two_sites_whatever_its_case() -> None:
    said = refusal(site(), site(name="other", server_names=["WWW.example.org"]))

    assert said == ("nginx_sites, entry other: the site www has the server name WWW.example.org too. Keep it in one")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"http_port": 443}, "http_port and https_port 443: one port cannot be both"),
        ({"addresses": []}, "nginx_addresses []: nobody could connect"),
        ({"addresses": ["localhost"]}, "nginx_addresses: 'localhost': this is no address"),
        ({"addresses": ["[fe80::1%; x]"]}, "this is no address"),
        ({"hsts_preload": True}, "preload at the HSTS stage observe"),
    ],
)
def test_setting_that_cannot_be(settings: dict[str, object], message: str) -> None:
    assert message in refusal(site(), **settings)


def test_message_names_the_variable_of_the_server() -> None:
    assert refusal(site(kind="cgi"), server="apache").startswith("apache_sites, entry www: kind 'cgi'")


# --- one policy a socket


def test_nginx_has_one_profile_for_a_socket() -> None:
    said = refusal(site(tls_profile="modern"), site(name="b", server_names=["b"], tls_profile="old"))

    assert said.startswith("nginx_sites: tls_profile of www is modern, of b old: they share a socket")


def test_profile_that_one_site_has_from_the_settings_counts_too() -> None:
    assert "of www is modern, of b intermediate" in refusal(
        site(tls_profile="modern"), site(name="b", server_names=["b"])
    )


def test_sites_that_agree_decide_the_profile_of_the_sockets() -> None:
    assert decide(site(tls_profile="modern"))["tls_profile"] == "modern"


def test_settings_decide_the_profile_where_there_is_no_site() -> None:
    assert decide(tls_profile="old")["tls_profile"] == "old"


def test_apache_has_a_profile_for_each_site() -> None:
    result = decide(site(tls_profile="modern"), site(name="b", server_names=["b"]), server="apache")

    assert [one["tls_profile"] for one in result["sites"]] == ["modern", "intermediate"]
    assert result["tls_profile"] == "intermediate"


# --- certificates


def test_certificate_by_name_becomes_part_of_the_release() -> None:
    result = decide(site())

    current = "/etc/nginx/ringmaster/current/certificates/www"
    assert result["sites"][0]["certificates"] == [
        {
            "fullchain": f"{current}/fullchain.pem",
            "private_key": f"{current}/privkey.pem",
            "release_path": "certificates/www/fullchain.pem",
            "sha256": "ab",
            "key_type": "ecdsa",
        }
    ]
    assert result["files"][:2] == [
        {"path": "certificates/www/fullchain.pem", "remote_src": f"{DIRECTORY}/fullchain.pem", "mode": "0644"},
        {
            "path": "certificates/www/privkey.pem",
            "remote_src": f"{DIRECTORY}/privkey.pem",
            "mode": "0600",
            "sensitive": True,
        },
    ]
    assert result["endpoints"][0]["certificates"] == ["certificates/www/fullchain.pem"]


def test_pair_of_paths_is_referred_to_where_it_lies() -> None:
    result = decide(site(certificate=PAIR), info=information(found(PAIR["fullchain"]), path=PAIR["fullchain"]))

    assert result["sites"][0]["certificates"] == [{**PAIR, "release_path": "", "sha256": "ab", "key_type": "ecdsa"}]
    assert [file["path"] for file in result["files"]] == ["headers/www/site.conf"]
    assert result["endpoints"][0]["certificates"] == [PAIR["fullchain"]]


def test_all_certificates_of_a_directory_are_served() -> None:
    both = information(found(), found(f"{DIRECTORY}/fullchain.rsa.pem", key_type="rsa"))

    served = decide(site(), info=both)["sites"][0]["certificates"]

    assert [one["release_path"] for one in served] == [
        "certificates/www/fullchain.pem",
        "certificates/www/fullchain.rsa.pem",
    ]


def test_two_certificates_with_the_same_type_of_key() -> None:
    with pytest.raises(InvalidInputError, match="entry www: certificate: two have ecdsa keys, and only one would be"):
        decide(site(), info=information(found(), found(f"{DIRECTORY}/fullchain.other.pem")))


def test_certificate_of_two_sites_is_in_the_release_once() -> None:
    paths = [file["path"] for file in decide(site(), site(name="b", server_names=["b"]))["files"]]

    assert sorted(paths) == sorted(set(paths))


def test_certificate_that_is_not_there_is_said_to_be_missing() -> None:
    assert decide(site(), info=information(found(exists=False)))["missing_certificates"] == [DIRECTORY]


def test_without_information_nothing_is_missing_and_the_paths_to_look_at_are_known() -> None:
    result = decide_sites({"sites": [site(certificate=["www", PAIR])]}, server="nginx")

    assert result["certificate_paths"] == [PAIR["fullchain"], DIRECTORY]
    assert (result["missing_certificates"], result["warnings"]) == ([], [])


@pytest.mark.parametrize(("responders", "stapling"), [([True], True), ([False], False), ([True, False], False)])
def test_stapling_only_with_a_responder(responders: list[bool], stapling: bool) -> None:
    files = ["fullchain.pem", "fullchain.rsa.pem"]
    certificates = [
        found(f"{DIRECTORY}/{file}", ocsp_responder=one, key_type=file) for file, one in zip(files, responders)
    ]

    assert decide(site(), info=information(*certificates))["sites"][0]["stapling"] is stapling


# --- HSTS and headers


def test_transport_security_is_held_back_with_a_warning() -> None:
    result = decide(site(), info=information(found(trusted=False, reason="it is self-signed")))

    assert result["sites"][0]["hsts"] == ""
    assert result["warnings"] == [
        "nginx_sites, entry www: Strict-Transport-Security is held back, because browsers would lock the site: "
        f"{DIRECTORY}/fullchain.pem is not trusted (it is self-signed)."
    ]


def test_site_has_a_stage_of_its_own() -> None:
    result = decide(
        site(hsts_stage="full"),
        site(name="b", server_names=["www.example.org."[:-1] + ".b"], certificate="b"),
        info={
            "certificates": {
                DIRECTORY: [found()],
                "/etc/ssl/ringmaster/b": [found("/b", names=["*.org.b", "www.example.org.b"])],
            },
            "foreign_tls_protocols": [],
        },
    )

    assert [one["hsts"] for one in result["sites"]] == ["max-age=63072000", "max-age=300"]
    assert result["hsts_variables"] == [
        {"name": "$ringmaster_hsts_1", "value": "max-age=63072000"},
        {"name": "$ringmaster_hsts_2", "value": "max-age=300"},
    ]


def test_location_has_all_headers_of_the_site_and_its_own() -> None:
    result = decide(
        site(security_headers={"X-A": "site"}, locations=[{"path": "/x", "headers": {"x-a": "x", "X-B": "x"}}]),
        security_headers={"X-A": "all", "X-C": "all"},
    )

    (location,) = result["sites"][0]["locations"]
    assert location["headers"] == [
        {"name": "x-a", "value": "x"},
        {"name": "X-C", "value": "all"},
        {"name": "X-B", "value": "x"},
    ]
    assert location["headers_file"] == "/etc/nginx/ringmaster/current/headers/www/location-1.conf"
    (file,) = [file for file in result["files"] if file["path"] == "headers/www/location-1.conf"]
    assert file["content"].splitlines()[:2] == [
        "add_header Strict-Transport-Security $ringmaster_hsts_1 always;",
        'add_header x-a "x" always;',
    ]


def test_apache_needs_no_files_for_headers() -> None:
    result = decide(site(), server="apache")

    assert [file["path"].split("/")[0] for file in result["files"]] == ["certificates"] * 2
    assert "headers_file" not in result["sites"][0]


@pytest.mark.parametrize(
    ("server", "line"),
    [
        ("nginx", 'proxy_set_header Authorization "Basic \\"canary%\\\\";'),
        ("apache", 'RequestHeader set Authorization "Basic \\"canary%%\\\\"'),
    ],
)
def test_what_an_application_is_told_is_in_a_file_for_root_alone(server: str, line: str) -> None:
    told = {"Authorization": 'Basic "canary%\\', "X-None": ""}
    app = site(kind="reverse_proxy", upstream={"url": "http://app", "headers": told})
    app.pop("root")

    result = decide(app, server=server)

    (file,) = [file for file in result["files"] if file.get("sensitive") and "content" in file]
    assert (file["content"].splitlines()[0], file["mode"]) == (line, "0600")
    (upstream,) = [decided["upstream"] for decided in result["sites"]]
    assert upstream["headers_file"] == f"{RELEASE_DIRECTORIES[server]}/{file['path']}"
    assert upstream["header_names"] == ["authorization", "x-none"]
    result["files"].remove(file)
    assert "canary" not in str(result)


def test_an_application_that_is_told_nothing_has_no_file() -> None:
    app = site(kind="reverse_proxy", upstream={"url": "http://app"})
    app.pop("root")

    (decided,) = decide(app)["sites"]

    assert decided["upstream"]["headers_file"] == ""


# --- names, sockets, what is measured


def test_dot_in_front_means_the_name_and_all_below_it() -> None:
    assert decide(site(server_names=[".example.org", "Example.org"]))["names"] == ["*.example.org", "example.org"]


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["*.example.org", "example.org"], "example.org"),
        (["*.example.org"], "www.example.org"),
        (["www.example.*"], "www.example.invalid"),
    ],
)
def test_what_is_asked_for_when_it_is_measured(names: list[str], asked: str) -> None:
    assert decide(site(server_names=names))["endpoints"][0]["server_name"] == asked


@pytest.mark.parametrize(
    ("addresses", "where"),
    [(["0.0.0.0", "[::]"], "127.0.0.1"), (["[::]"], "::1"), (["::"], "::1"), (["192.0.2.1"], "192.0.2.1")],
)
def test_where_it_is_measured(addresses: list[str], where: str) -> None:
    assert decide(site(), addresses=addresses)["endpoints"][0]["address"] == where


def test_every_socket() -> None:
    result = decide(site(), addresses=["192.0.2.1", "[2001:DB8::1]"], https_port=8443)

    assert [(one["address"], one["port"]) for one in result["listeners"]] == [
        ("192.0.2.1", 80),
        ("192.0.2.1", 8443),
        ("2001:db8::1", 80),
        ("2001:db8::1", 8443),
    ]
    assert result["endpoints"][0]["port"] == 8443


@pytest.mark.parametrize(
    ("server", "effect"), [("nginx", "nginx adds them to ours"), ("apache", "they may replace ours")]
)
def test_protocols_of_somebody_else_are_reported_with_their_place(server: str, effect: str) -> None:
    foreign = [{"file": "/etc/x.conf", "line": 3, "value": "ssl_protocols TLSv1"}]

    (warning,) = decide(server=server, info=information(foreign_tls_protocols=foreign))["warnings"]

    assert "/etc/x.conf:3 (ssl_protocols TLSv1)" in warning
    assert effect in warning
