# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation of the result, the published schema and the result itself say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import assess
from ansible_collections.ringmaster.webops.plugins.modules import tls_endpoint_info

DOCS = Path(__file__).resolve().parents[4] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "schemas" / f"tls_endpoint_info-{assess.SCHEMA_VERSION}.json").read_text())
RETURNED: dict[str, Any] = yaml.safe_load(tls_endpoint_info.RETURN)
RESULT: dict[str, Any] = RETURNED["results"]["contains"]
TYPES = {"str": "string", "int": "integer", "bool": "boolean", "dict": "object", "list": "array"}


def allowed_types(form: dict[str, Any]) -> set[str]:
    """Return the JSON types that a part of the schema allows."""
    if "$ref" in form:
        return allowed_types(SCHEMA["$defs"][form["$ref"].rpartition("/")[2]])
    for either in ("anyOf", "oneOf"):
        if either in form:
            return set().union(*map(allowed_types, form[either]))
    if "enum" in form:
        return {"null" if value is None else "string" for value in form["enum"]}
    return {form["type"]} if isinstance(form["type"], str) else set(form["type"])


@pytest.mark.parametrize(
    ("part", "documented"),
    [("result", RESULT), ("served_certificate", RESULT["certificates"]["contains"])],
)
def test_each_key_is_documented_with_its_type(part: str, documented: dict[str, Any]) -> None:
    properties = SCHEMA["$defs"][part]["properties"]
    assert sorted(documented) == sorted(properties)
    for key, form in properties.items():
        assert allowed_types(form) - {"null"} == {TYPES[documented[key]["type"]]}, key


def words(documented: dict[str, Any]) -> str:
    text = documented["description"]
    return text if isinstance(text, str) else "\n".join(text)


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("target", "target"),
        ("vulnerabilities", "finding"),
        ("clients", "client"),
        ("sessions", "sessions"),
        ("plain_http", "plain_http"),
        ("http", "hsts"),
        ("dh_parameters", "dh_parameters"),
        ("groups", "group"),
        ("cipher_suites", "cipher_suite"),
        ("caps", "cap"),
        ("warnings", "warning"),
        ("mozilla", "mozilla"),
        ("policies", "policy"),
        ("address_differences", "change"),
    ],
)
def test_what_stands_in_a_dictionary_is_documented(key: str, part: str) -> None:
    for name in SCHEMA["$defs"][part]["properties"]:
        assert f"C({name})" in words(RESULT[key]), name


@pytest.mark.parametrize(
    ("key", "part"), [("leaf", "certificate"), ("trust", "trust"), ("stapled_ocsp", "stapled_ocsp"), ("scts", "sct")]
)
def test_what_is_said_of_a_certificate_is_documented(key: str, part: str) -> None:
    form = SCHEMA["$defs"][part]
    names = [name for each in form.get("oneOf", [form]) for name in each["properties"]]
    for name in names:
        assert f"C({name})" in words(RESULT["certificates"]["contains"][key]), name


def test_the_vulnerabilities_are_documented() -> None:
    names = SCHEMA["$defs"]["vulnerabilities"]["anyOf"][0]["properties"]
    assert [name for name in names if f"C({name})" not in words(RESULT["vulnerabilities"])] == []


def test_the_kinds_of_errors_are_documented() -> None:
    kinds = RESULT["error"]
    schema = SCHEMA["$defs"]["result"]["properties"]["error"]["anyOf"][0]["properties"]["kind"]["enum"]
    assert [kind for kind in schema if f"V({kind})" not in words(kinds)] == []


def test_the_version_is_the_documented_one() -> None:
    assert RETURNED["schema_version"]["sample"] == assess.SCHEMA_VERSION
    assert SCHEMA["properties"]["schema_version"] == {"const": assess.SCHEMA_VERSION}
