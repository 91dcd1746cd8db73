# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is ours and what is not, seen through the links that lead there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.foreign import (
    foreign_sites,
    foreign_tls_protocols,
    is_foreign,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx import Nginx

OURS = "0123456789abcdef"


@pytest.fixture
def server(tmp_path: Path) -> Nginx:
    for release in (OURS, "original"):
        (tmp_path / "ringmaster" / "releases" / release).mkdir(parents=True)
        text = f"http {{ ssl_protocols TLSv1.3; server {{ server_name {release}; }} include {tmp_path}/conf.d/*; }}"
        (tmp_path / "ringmaster" / "releases" / release / "nginx.conf").write_text(text)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "other.conf").write_text("server { server_name other; ssl_protocols TLSv1.2; }")
    (tmp_path / "nginx.conf").write_text(f"include {tmp_path}/ringmaster/current/nginx.conf;")
    return Nginx(directory=str(tmp_path))


def lead_to(server: Nginx, release: str) -> None:
    (Path(server.directory) / "ringmaster" / "current").symlink_to(f"releases/{release}")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("nginx.conf", True),
        ("conf.d/other.conf", True),
        ("ringmaster/current/nginx.conf", False),
        (f"ringmaster/releases/{OURS}/nginx.conf", False),
        ("ringmaster/releases/original/nginx.conf", True),
        ("ringmaster/notes.conf", True),
    ],
)
def test_files(server: Nginx, file: str, expected: bool) -> None:
    lead_to(server, OURS)
    assert is_foreign(server, f"{server.directory}/{file}") is expected


def test_an_entry_that_is_a_link_into_a_release(server: Nginx) -> None:
    lead_to(server, OURS)
    entry = Path(server.directory) / "entry"
    entry.symlink_to("ringmaster/current/nginx.conf")
    assert not is_foreign(server, str(entry))


@pytest.mark.parametrize(("release", "names"), [(OURS, ["other"]), ("original", ["original", "other"])])
def test_sites_of_others(server: Nginx, release: str, names: list[str]) -> None:
    lead_to(server, release)
    assert [name for site in foreign_sites(server) for name in site.names] == names


@pytest.mark.parametrize("release", [OURS, "original"])
def test_protocols_in_the_entry_file_do_not_stay(server: Nginx, release: str) -> None:
    lead_to(server, release)
    assert [line.value for line in foreign_tls_protocols(server)] == ["ssl_protocols TLSv1.2"]
