# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks that two roles have in common. A role cannot borrow them from another one, so each has them, and they agree."""

from __future__ import annotations

from pathlib import Path

import pytest

ROLES = Path(__file__).resolve().parents[3] / "roles"


@pytest.mark.parametrize("name", ["php_fpm.yml", "undo.yml"])
def test_apache_does_it_as_nginx_does(name: str) -> None:
    nginx, apache = ((ROLES / role / "tasks" / name).read_text() for role in ("nginx", "apache"))
    assert apache == nginx.replace("nginx", "apache")
