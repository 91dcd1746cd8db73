# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The anchors of an action plugin, and the sentences where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from ansible.errors import AnsibleActionFail

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate
from ansible_collections.ringmaster.webops.plugins.plugin_utils import trust_anchors

BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def test_a_file_below_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    assert len(trust_anchors.read("~/ca.pem")) == 1


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), ("", "holds no certificate"), (BROKEN, "can be parsed")]
)
def test_a_path_without_an_anchor(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(AnsibleActionFail, match=message):
        trust_anchors.read(str(tmp_path / "ca.pem"))


@pytest.mark.parametrize("given", [7, ["/a"], {}])
def test_what_is_no_path(given: object) -> None:
    with pytest.raises(AnsibleActionFail, match="is no path"):
        trust_anchors.read(given)


def test_a_control_node_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    trust_anchors.require_cryptography()
    monkeypatch.setattr(certificate, "CRYPTOGRAPHY_IMPORT_ERROR", ImportError("it is older than version 43"))
    with pytest.raises(AnsibleActionFail, match="older than version 43"):
        trust_anchors.require_cryptography()
