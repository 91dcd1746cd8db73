# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's package sources, read and mapped to another release."""

from __future__ import annotations

from labkit.sources import (
    DEBIAN_KEYRING,
    Source,
    expand_mirror_lists,
    map_sources,
    parse_deb822,
    parse_one_line,
    render,
    served_only,
)

MIRROR = "http://mirror.example.test/debian"
SECURITY = "http://mirror.example.test/debian-security"
DEB822 = f"""\
Types: deb deb-src
# a comment
URIs: {MIRROR}
Suites: bookworm bookworm-updates
Components: main non-free-firmware
Signed-By: {DEBIAN_KEYRING}

Types: deb
URIs: {SECURITY}
Suites:
 bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example.test/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example.test/debian
Suites: bookworm
Components: main
"""


def test_deb822_gives_enabled_binary_sources_only() -> None:
    assert parse_deb822(DEB822) == [
        Source((MIRROR,), ("bookworm", "bookworm-updates"), ("main", "non-free-firmware"), DEBIAN_KEYRING),
        Source((SECURITY,), ("bookworm-security",), ("main",)),
    ]


def test_one_line_format_with_options_comments_and_disabled_lines() -> None:
    text = f"""
# deb {MIRROR} buster main
deb [arch=amd64 signed-by=/etc/apt/keyrings/own.gpg] {MIRROR} trixie main contrib # ours
deb-src {MIRROR} trixie main
deb {SECURITY} trixie-security main
nonsense
"""
    assert parse_one_line(text) == [
        Source((MIRROR,), ("trixie",), ("main", "contrib"), "/etc/apt/keyrings/own.gpg"),
        Source((SECURITY,), ("trixie-security",), ("main",)),
    ]


def test_what_is_rendered_reads_back_the_same() -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n.\nmQINBF\n-----END PGP PUBLIC KEY BLOCK-----"
    sources = [
        Source((MIRROR,), ("trixie", "trixie-updates"), ("main",), DEBIAN_KEYRING),
        Source((SECURITY,), ("trixie-security",), ("main",), key),
    ]
    assert parse_deb822(render(sources)) == sources


def test_every_suite_is_exchanged_for_the_wanted_releases() -> None:
    assert map_sources(parse_deb822(DEB822), "trixie") == [
        Source((MIRROR,), ("trixie", "trixie-updates"), ("main", "non-free-firmware"), DEBIAN_KEYRING),
        Source((SECURITY,), ("trixie-security",), ("main",), DEBIAN_KEYRING),
    ]


def test_debian_11_has_no_firmware_component() -> None:
    assert map_sources(parse_deb822(DEB822), "bullseye")[0].components == ("main",)


def test_old_security_suite_and_aliases_are_known() -> None:
    sources = [Source((SECURITY,), ("buster/updates",), ("main",)), Source((MIRROR,), ("stable",), ("main",))]
    assert [source.suites for source in map_sources(sources, "trixie")] == [("trixie-security",), ("trixie",)]


def test_sources_that_name_the_wanted_release_win() -> None:
    archive = "http://archive.example.test/debian"
    sources = [Source((MIRROR,), ("trixie",), ("main",)), Source((archive,), ("bullseye",), ("main",))]
    assert [source.uris for source in map_sources(sources, "bullseye")] == [(archive,)]


def test_other_vendors_sources_are_left_out() -> None:
    sources = [
        Source(("https://vendor.example.test",), ("nodistro",), ("main",)),
        Source(("https://vendor.example.test",), ("bookworm",), ("stable",)),
        Source(("https://vendor.example.test",), ("cloud-bookworm",), ("main",)),
        Source(("file:/srv/debian",), ("bookworm",), ("main",)),
    ]
    assert map_sources(sources, "trixie") == []


def test_foreign_key_stays_and_fingerprint_becomes_debians_keyring() -> None:
    def key_of(signed_by: str) -> str:
        return map_sources([Source((MIRROR,), ("bookworm",), ("main",), signed_by)], "trixie")[0].signed_by

    assert key_of("/etc/apt/keyrings/own.gpg") == "/etc/apt/keyrings/own.gpg"
    assert key_of("/usr/share/keyrings/debian-archive-bookworm-automatic.gpg") == DEBIAN_KEYRING
    assert key_of("A0D4BE5C") == DEBIAN_KEYRING
    assert key_of("") == DEBIAN_KEYRING


def test_mirror_list_is_replaced_by_the_mirrors_in_it() -> None:
    files = {"/etc/apt/mirrors/debian.list": f"# mirrors\n{MIRROR}\tpriority:1\n\n"}
    source = Source(("mirror+file:///etc/apt/mirrors/debian.list",), ("bookworm",), ("main",))
    assert expand_mirror_lists([source], files.__getitem__)[0].uris == (MIRROR,)


def test_suites_that_no_mirror_serves_are_left_out() -> None:
    sources = [
        Source((MIRROR,), ("bullseye", "bullseye-updates"), ("main",)),
        Source((SECURITY,), ("bullseye-security",), ("main",)),
    ]
    served = served_only(sources, lambda uri, suite: uri == MIRROR and suite == "bullseye")
    assert served == [Source((MIRROR,), ("bullseye",), ("main",))]
