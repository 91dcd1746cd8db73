# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for, and what cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import request
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener


def test_an_endpoint_has_defaults() -> None:
    (endpoint,) = request.read_endpoints([{"server_name": "www.example.com", "port": None, "name": "x"}])
    assert endpoint == request.Endpoint("www.example.com", 443, "127.0.0.1", ())
    assert endpoint.key == "www.example.com:443"


@pytest.mark.parametrize("given", [None, []])
def test_nothing_is_asked_for(given: object) -> None:
    found = [request.read_endpoints(given), request.read_listeners(given), request.read_names(given, "names")]
    assert found == [(), (), ()]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("www.example.com", "endpoints: it is no list"),
        (["www.example.com"], "endpoints[0]: it is no dictionary"),
        ([{"port": 443}], "endpoints[0]: its server_name is missing or no text"),
        ([{"server_name": "a", "prot": 443}], "endpoints[0]: unknown key prot"),
        ([{"server_name": "a", "port": "https"}], "endpoints[0]: the port 'https' is none"),
        ([{"server_name": "a", "port": 65536}], "endpoints[0]: the port '65536' is none"),
        ([{"server_name": "a", "certificates": "a.pem"}], "endpoints[0]: certificates: it is no list of names"),
        ([{"server_name": "a"}, {"server_name": "a", "port": 443}], "endpoints[1]: a:443 is there twice"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused_with_a_sentence(given: object, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        request.read_endpoints(given)
    assert str(caught.value).startswith(words)


def test_an_endpoint_may_be_measured_on_two_addresses() -> None:
    two = [{"server_name": "a", "address": address} for address in ("127.0.0.1", "::1")]
    assert [each.key for each in request.read_endpoints(two)] == ["a:443", "a:443"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([{"port": 80}], "listeners[0]: its address is missing or no text"),
        ([{"address": "::", "port": 0}], "listeners[0]: the port '0' is none"),
    ],
)
def test_a_listener_that_cannot_be_is_refused_with_a_sentence(given: object, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        request.read_listeners(given)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("given", ["www.example.com", [1], [""], {"a": 1}])
def test_names_are_a_list_of_texts(given: object) -> None:
    with pytest.raises(InvalidInputError, match=r"^removed_names: it is no list of names\. Give a list of host names$"):
        request.read_names(given, "removed_names")


def test_a_release_on_the_host_says_what_it_serves() -> None:
    said: dict[str, Any] = {
        "names": ["a.example"],
        "listeners": [{"address": "::", "port": 443}],
        "endpoints": [{"server_name": "a.example", "port": 443, "address": "::1", "name": None, "certificates": []}],
    }
    asked = request.Request("nginx", minimum_grade="B", release="previous").serving(said)
    assert (asked.names, asked.listeners) == (("a.example",), (Listener("::", 443),))
    assert (asked.endpoints[0].address, asked.minimum_grade, asked.release) == ("::1", "B", "previous")
