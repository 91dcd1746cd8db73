# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

WWW = {"name": "www", "names": ["www.example.org"]}


@pytest.fixture(name="lookup")
def lookup_with_its_documentation() -> LookupBase:
    plugin = lookup_loader.get("ringmaster.webops.certificate_plan")
    assert isinstance(plugin, LookupBase)
    return plugin


def test_arguments_reach_the_library(lookup: LookupBase, tmp_path: Path) -> None:
    options = {"directory": str(tmp_path / "host"), "authority": str(tmp_path / "ca.pem"), "acme": True}
    (plan,) = lookup.run([[WWW]], {}, **options, sources=["self_signed", "acme"])

    assert plan["requests"][0]["sources"] == ["self_signed", "acme"]
    assert plan["requests"][0]["staging"] == str(tmp_path / "host/www/.new")


def test_error_of_the_library_becomes_a_lookup_error(lookup: LookupBase, tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="certificate_plan: certificate_certificates, entry 'www': two"):
        lookup.run([[WWW, WWW]], {}, directory=str(tmp_path), authority=str(tmp_path / "ca.pem"))


def test_trust_store_that_cannot_be_read_is_refused(lookup: LookupBase, tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match=r"ca_path .*cannot be read"):
        lookup.run([[WWW]], {}, directory=str(tmp_path), authority=str(tmp_path), ca_path=str(tmp_path / "none"))
