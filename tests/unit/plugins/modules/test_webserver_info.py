# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module: what is documented is what it returns, with and without a server on the host."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import certificate_verdict
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx import Nginx
from ansible_collections.ringmaster.webops.plugins.modules import webserver_info as module

RETURNED: dict[str, Any] = yaml.safe_load(module.RETURN)
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
CANARY = b"canary-of-the-private-key"


def run(capsys: pytest.CaptureFixture[str], **arguments: object) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    result.pop("invocation", None)
    return result


@pytest.fixture
def nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nginx:
    program = tmp_path / "nginx"
    program.write_text("#!/bin/sh\necho 'nginx version: nginx/1.26.3\nbuilt with OpenSSL 3.5.4 1 Jan 2026' >&2\n")
    program.chmod(0o755)
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "nginx.conf").write_text("http { ssl_protocols TLSv1; include conf.d/*; }")
    (etc / "conf.d").mkdir()
    (etc / "conf.d" / "a").write_text("server { listen 443 ssl; server_name a.example.com; ssl_protocols TLSv1.2; }")
    server = Nginx(str(etc), str(program))
    monkeypatch.setattr(module, "server_named", lambda _name: server)
    return server


@pytest.fixture
def certificates(tmp_path: Path) -> str:
    directory = tmp_path / "certificates"
    directory.mkdir()
    (directory / "fullchain.pem").write_bytes(CERTIFICATE)
    (directory / "privkey.pem").write_bytes(
        b"-----BEGIN PRIVATE KEY-----\n" + CANARY + b"\n-----END PRIVATE KEY-----\n"
    )
    return str(directory)


def test_a_host_with_the_server(capsys: pytest.CaptureFixture[str], nginx: Nginx) -> None:
    result = run(capsys, server="nginx")
    assert (result["installed"], result["version"], result["openssl_version"]) == (True, "1.26.3", "3.5.4")
    assert (result["taken_over"], result["changed"]) == (False, False)
    site = {
        "file": f"{nginx.directory}/conf.d/a",
        "names": ["a.example.com"],
        "listeners": [{"address": "0.0.0.0", "port": 443}],
    }
    assert result["foreign"] == [site]
    line = {"file": f"{nginx.directory}/conf.d/a", "line": 1, "value": "ssl_protocols TLSv1.2"}
    assert result["foreign_tls_protocols"] == [line]


def test_a_host_that_is_taken_over(capsys: pytest.CaptureFixture[str], nginx: Nginx) -> None:
    assert nginx.entry_content is not None
    Path(nginx.entry_path).write_bytes(nginx.entry_content)
    result = run(capsys, server="nginx")
    assert (result["taken_over"], result["foreign"]) == (True, [])


def test_a_host_without_the_server(capsys: pytest.CaptureFixture[str], nginx: Nginx) -> None:
    with_it = run(capsys, server="nginx")
    Path(nginx.program).unlink()
    without = run(capsys, server="nginx")
    assert (without["installed"], without["version"], without["modules"], without["active"]) == (False, None, [], False)
    assert without.keys() == with_it.keys()


def test_the_result_is_the_documented_one(capsys: pytest.CaptureFixture[str], nginx: Nginx, certificates: str) -> None:
    result = run(capsys, server="nginx", certificates=[certificates])
    assert sorted(result.keys() - {"changed", "found"}) == sorted(RETURNED.keys() - {"certificates"})
    for key in ("foreign", "foreign_tls_protocols"):
        assert sorted(RETURNED[key]["contains"]) == sorted(result[key][0])
    assert nginx.name == "nginx"


def test_what_is_said_of_a_certificate_is_documented(capsys: pytest.CaptureFixture[str], nginx: Nginx) -> None:
    (found,) = run(capsys, server=nginx.name, certificates=["/nonexistent"])["found"]["/nonexistent"]
    text = "\n".join(RETURNED["certificates"]["description"])
    for key in (found.keys() - {"chain"}) | certificate_verdict._NOTHING.keys():
        assert f"C({key})" in text, key


def test_the_chain_is_told_and_no_key(capsys: pytest.CaptureFixture[str], nginx: Nginx, certificates: str) -> None:
    result = run(capsys, server=nginx.name, certificates=[certificates])
    (found,) = result["found"][certificates]
    assert found["chain"] == [base64.b64encode(b"\0\0\0").decode()]
    assert found["private_key"] == f"{certificates}/privkey.pem"
    told = json.dumps(result).encode()
    assert CANARY not in told
    assert base64.b64encode(CANARY) not in told


def test_what_cannot_be_known_fails_with_a_sentence(
    capsys: pytest.CaptureFixture[str], nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise MeasurementError("nginx -V", "it says nothing", "Install it again")

    monkeypatch.setattr(nginx, "capabilities", refuse)
    result = run(capsys, server="nginx")
    assert result["failed"]
    assert result["msg"] == "nginx -V: it says nothing. Install it again"
