# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.upstreams import (
    DISTRIBUTION_CA_FILE,
    redirect,
    upstream,
)


def test_tls_is_verified_for_the_name_in_the_url() -> None:
    assert upstream("x", {"url": "https://app.example.org:8443/"}) == {
        "url": "https://app.example.org:8443",
        "tls": True,
        "tls_verify": True,
        "tls_server_name": "app.example.org",
        "ca_file": DISTRIBUTION_CA_FILE,
        "headers": [],
    }


def test_tls_of_an_address_is_verified_for_a_given_name() -> None:
    found = upstream("x", {"url": "https://[2001:db8::1]:8443", "tls_server_name": "app", "ca_file": "/ca.pem"})

    assert (found["url"], found["tls_server_name"], found["ca_file"]) == (
        "https://[2001:db8::1]:8443",
        "app",
        "/ca.pem",
    )


def test_tls_of_an_address_without_verification_needs_no_name() -> None:
    found = upstream("x", {"url": "https://192.0.2.1", "tls_verify": False})

    assert (found["tls_verify"], found["tls_server_name"], found["ca_file"]) == (False, "", "")


@pytest.mark.parametrize("url", ["http://192.0.2.1:8080", "http://app", "unix:/run/app/app.sock"])
def test_without_tls(url: str) -> None:
    found = upstream("x", {"url": url, "headers": {"X-A": ""}})

    assert (found["url"], found["tls"], found["headers"]) == (url, False, [{"name": "X-A", "value": ""}])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("http://app", "it must be a dictionary with url"),
        ({"url": "http://app", "verify": True}, "it must be a dictionary with url"),
        ({"url": "ftp://app"}, "this is no URL of an application"),
        ({"url": "http://"}, "this is no URL of an application"),
        ({"url": "http://a b"}, "this is no URL of an application"),
        ({"url": "http://$host"}, "this is no URL of an application"),
        ({"url": "http://app:99999"}, "[Pp]ort"),
        ({"url": "http://[::1"}, "Correct it"),
        ({"url": "http://[fe80::1%;]"}, "this is no URL of an application"),
        ({"url": "http://app/base/"}, "there is more in it than a scheme, a host and a port"),
        ({"url": "http://user@app"}, "there is more in it than a scheme, a host and a port"),
        ({"url": "https://192.0.2.1"}, "an address has no name that its certificate could be checked against"),
        ({"url": "https://app", "tls_server_name": "a b"}, "tls_server_name 'a b': this is no host name"),
        ({"url": "https://app", "ca_file": "ca.pem"}, "ca_file 'ca.pem': this is not an absolute path"),
        ({"url": "unix:run/app"}, "this is not an absolute path"),
        ({"url": "http://app", "headers": {"a": "\n"}}, "header a: its value has a line break"),
    ],
)
def test_what_cannot_be_connected_to(given: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        upstream("nginx_sites, entry a", given)


@pytest.mark.parametrize(
    ("target", "keeps_path"),
    [
        ("https://www.example.org", True),
        ("https://www.example.org:8443", True),
        ("https://www.example.org/", False),
        ("https://www.example.org/new?a=b", False),
        ("https://www.example.org?a", False),
    ],
)
def test_target_without_a_path_gets_that_of_the_visitor(target: str, keeps_path: bool) -> None:
    assert redirect("x", target, 308) == {"url": target, "code": 308, "keeps_path": keeps_path}


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("/other", 308, "redirect_to '/other': this is no URL"),
        ("https://a/$x", 308, "this is no URL"),
        ("https://a/ b", 308, "this is no URL"),
        ('https://a/"', 308, "this is no URL"),
        (None, 308, "this is no URL"),
        ("https://[::1", 308, "this is no URL"),
        ("https://a", 200, "redirect_code 200: this is no status of a redirect. Use one of 301, 302, 303, 307, 308"),
    ],
)
def test_what_cannot_be_redirected_to(target: object, code: int, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        redirect("nginx_sites, entry a", target, code)
    assert message in str(caught.value)


def test_what_is_refused_shows_no_header() -> None:
    with pytest.raises(InvalidInputError) as raised:
        upstream("x", {"url": "http://app", "verify": True, "headers": {"Authorization": "canary"}})

    assert "canary" not in str(raised.value)
