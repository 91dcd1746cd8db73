# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.filter.tls_directives import FilterModule

tls_directives = FilterModule().filters()["tls_directives"]


def test_arguments_reach_the_library() -> None:
    words = tls_directives("modern", server="nginx", server_version="1.22.1", openssl_version="3.0.19", side="listen")
    assert words == ["ssl", "http2"]


def test_error_of_the_library_becomes_a_filter_error() -> None:
    with pytest.raises(AnsibleFilterError, match="tls_directives: server 'iis': it is not known"):
        tls_directives("modern", server="iis", server_version="1.22.1", openssl_version="3.0.19")
