# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which modes and owners are not a package's to tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import attributes
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.attributes import SetLater
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DIRECTORY, FILE
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree


def owner(path: bytes, is_beginning: bool = False) -> SetLater:
    return SetLater(path, is_beginning, None, True)


def mode(path: bytes, bits: int, is_beginning: bool = False) -> SetLater:
    return SetLater(path, is_beginning, bits, False)


SCRIPTS: dict[bytes, tuple[SetLater, ...]] = {
    b"#!/bin/sh\nset -e\n": (),
    b"echo /usr/bin/alpha\n": (),
    b"# chmod 755 /usr/bin/alpha\n": (),
    b'chmod +x "/etc/init.d/alpha" >/dev/null || true\n': (),
    b'if [ "$1" = install ]; then echo /etc/alpha; fi\n': (),
    b"if ! dpkg-statoverride --list /usr/bin/alpha; then :; fi\n": (),
    b"chgrp _ssh /usr/bin/ssh-agent\n": (owner(b"/usr/bin/ssh-agent"),),
    b"chmod 2755 /usr/bin/ssh-agent\necho /etc/alpha\n": (mode(b"/usr/bin/ssh-agent", 0o2755),),
    b"chmod u+s,o+w /usr/bin/alpha\n": (mode(b"/usr/bin/alpha", 0o4002),),
    b"chown root:adm \\\n  /var/log/alpha\n": (owner(b"/var/log/alpha"),),
    b'chown root:adm "$DPKG_ROOT/var/log/alpha/"\n': (owner(b"/var/log/alpha"),),
    b'chown root:adm "${DPKG_ROOT:-}/var/log/alpha"\n': (owner(b"/var/log/alpha"),),
    b"for d in /etc/a /etc/b; do\n  chown alpha: $d\ndone\n": (owner(b"/etc/a"), owner(b"/etc/b")),
    b"install -d -m 700 /etc/alpha.d\n": (SetLater(b"/etc/alpha.d", False, 0o700, True),),
    b"dpkg-statoverride --add root adm 4754 /usr/bin/alpha\n": (SetLater(b"/usr/bin/alpha", False, 0o4754, True),),
    b"chown -R alpha /usr/lib/alpha\n": (owner(b"/usr/lib/alpha"), owner(b"/usr/lib/alpha/", True)),
    b"cd /usr/lib/alpha\nchmod 750 plugin\n": (mode(b"/usr/lib/alpha", 0o750), mode(b"/usr/lib/alpha/", 0o750, True)),
    # What a variable holds is looked for in the whole script, and so is the mode.
    b"x=/usr/bin/alpha\nm=6755\nchmod $m $x\n": (mode(b"/usr/bin/alpha", 0o6755),),
    b"m=6755\nfor x in man mandb; do chmod $m /usr/bin/$x; done\n": (mode(b"/usr/bin/", 0o6755, True),),
    b'chmod 644 "/etc/profile.d/alpha.${shell}"\n': (mode(b"/etc/profile.d/alpha.", 0o644, True),),
    b"chmod 755 /usr/lib/alpha/*.sh\n": (mode(b"/usr/lib/alpha/", 0o755, True),),
    # A path of an expression is none, and the end of another is no path.
    b"f=$(sed -n 's/^\\/usr\\/lib//p' list)\nchown alpha $f\n": (),
    b'chown alpha "$home/.cache"\n': (),
}


@pytest.mark.parametrize(("script", "found"), SCRIPTS.items(), ids=[repr(script)[:50] for script in SCRIPTS])
def test_what_scripts_set_is_told_from_what_they_name(script: bytes, found: tuple[SetLater, ...]) -> None:
    assert {each for each in attributes.in_scripts([script]) if each.path.startswith((b"/usr", b"/etc", b"/var"))} == {
        *found
    }


def test_a_path_that_only_a_running_script_knows_is_not_the_directory_that_it_lies_in() -> None:
    (found,) = attributes.in_scripts([b'chmod 4755 "/usr/bin/$x"\n'])
    assert found == mode(b"/usr/bin/", 0o4755, True)


def tmpfiles(root: Path, directory: str, lines: str) -> frozenset[SetLater]:
    (root / directory).mkdir(parents=True)
    (root / directory / "a.conf").write_text(lines)
    tree = Tree(str(root))
    try:
        return attributes.in_tmpfiles(tree)
    finally:
        tree.close()


def test_what_tmpfiles_sets_is_what_its_fields_say(tmp_path: Path) -> None:
    found = tmpfiles(
        tmp_path,
        "usr/lib/tmpfiles.d",
        "# z /usr/bin/comment 0755 - - -\n"
        "d /var/lib/alpha/ 2775 root adm -\n"
        "d /var/lib/unset - - - -\n"
        "z /usr/bin/alpha ~4755 - - -\n"
        "z /usr/lib/alpha/*.sh 0755 - - -\n"
        "Z /srv/alpha - alpha alpha -\n"
        "L /etc/link - - - - /target\n",
    )
    assert found == {
        SetLater(b"/var/lib/alpha", False, 0o2775, True),
        SetLater(b"/var/lib/unset", False, None, False),
        mode(b"/usr/bin/alpha", 0o4755),
        mode(b"/usr/lib/alpha/", 0o755, True),
        owner(b"/srv/alpha"),
        owner(b"/srv/alpha/", True),
    }


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("z /etc/alpha 0640 root adm", SetLater(b"/etc/alpha", False, 0o640, True)),
        ("z /etc/alpha 0640 root", SetLater(b"/etc/alpha", False, 0o640, True)),
        ("z /etc/alpha 4640", mode(b"/etc/alpha", 0o4640)),
        ("z /etc/alpha 4640  ", mode(b"/etc/alpha", 0o4640)),
        ("z /etc/alpha - - adm", owner(b"/etc/alpha")),
        ("z /etc/alpha/*.sh 0640", mode(b"/etc/alpha/", 0o640, True)),
        ('z "/etc/alpha" 0640', mode(b"/etc/alpha", 0o640)),
        ("d /etc/alpha/", SetLater(b"/etc/alpha", False, None, False)),
        ("d /etc/alpha", SetLater(b"/etc/alpha", False, None, False)),
    ],
)
def test_the_last_fields_of_tmpfiles_may_be_left_out(tmp_path: Path, line: str, found: SetLater) -> None:
    following = "z /etc/beta 0600 beta beta\n"

    assert tmpfiles(tmp_path, "etc/tmpfiles.d", f"{line}\n{following}") == {
        found,
        SetLater(b"/etc/beta", False, 0o600, True),
    }


@pytest.mark.parametrize("directory", ["usr/lib", "usr/local/lib", "run", "etc"])
def test_tmpfiles_are_in_each_of_its_directories(tmp_path: Path, directory: str) -> None:
    found = tmpfiles(tmp_path, f"{directory}/tmpfiles.d", "z /etc/alpha 0640\n")

    assert found == {mode(b"/etc/alpha", 0o640)}


@pytest.mark.parametrize(
    ("kind", "packaged", "asked_for", "denied"),
    [
        (FILE, 0o755, 0, 0o6002),
        (FILE, 0o4755, 0, 0o2002),
        (FILE, 0o755, 0o2755, 0o4002),
        (FILE, 0o644, 0o666, 0o6000),
        (DIRECTORY, 0o755, 0, 0o002),
        (DIRECTORY, 0o1777, 0, 0),
    ],
)
def test_nobody_sets_what_neither_package_nor_script_asks_for(
    kind: str, packaged: int, asked_for: int, denied: int
) -> None:
    assert attributes.denied(kind, packaged, asked_for) == denied
