# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsers of dpkg's database and what belongs to it, on a disk that may be damaged: none of them may raise."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import alternatives, ucf
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import (
    by_identity,
    parse_conffiles,
    parse_diversions,
    parse_list,
    parse_locale_purge,
    parse_md5sums,
    parse_path_filters,
    parse_statoverride,
    parse_status,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import left_out
from fuzz.engine import Target

_MD5 = b"62ed51c8b23866777552643ec57614b0"
_STATUS = (
    b"Package: a\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 1:2-3\nConffiles:\n"
    b" /etc/a b " + _MD5 + b" obsolete\n /etc/c newconffile remove-on-upgrade\nDescription: x\n more\n .\n\n"
    b"Package: b\nStatus: deinstall ok config-files\n\n",
)
_LISTS = (b"/.\n/usr\n/usr/bin\n/usr/bin/a b\n", b"/.\n")
_SUMS = (_MD5 + b"  usr/bin/a\n" + b"8" * 64 + b" *./usr/b\n", b"\\" + _MD5 + b"  usr/a\\\\b\\nc\n")
_ALTERNATIVES = (
    b"auto\n/usr/bin/pager\npager.1.gz\n/usr/share/man/man1/pager.1.gz\n\n/bin/more\n50\n/usr/share/man/man1/m.1.gz\n"
    b"/usr/bin/less\n77\n\n\n",
    b"manual\n/usr/bin/c++\n\n/usr/bin/g++\n-20\n\n",
)


def _status(data: bytes) -> None:
    packages, complaints = parse_status(data)
    by_identity(packages)
    for package in packages:
        assert "/" not in package.label and "\0" not in package.label
        assert all(conffile.path.startswith(b"/") for conffile in package.conffiles)
    assert packages or complaints


def _list(data: bytes) -> None:
    paths, complaints = parse_list(data)
    assert all(path.startswith(b"/") and b"\0" not in path and b"/../" not in path for path in paths)
    assert data.endswith(b"\n") or complaints


def _sums(data: bytes) -> None:
    digests, complaints = parse_md5sums(data)
    assert all(path.startswith(b"/") and b"\0" not in path for path in digests)
    assert all(len(digest) in (32, 40, 64) for digest in digests.values())
    assert not data or data.endswith(b"\n") or complaints


def _diversions(data: bytes) -> None:
    diversions, complaints = parse_diversions(data)
    assert all(path[:1] == diversion.target[:1] == b"/" for path, diversion in diversions.items())
    assert 3 * len(diversions) <= data.count(b"\n") or complaints


def _overrides(data: bytes) -> None:
    overrides, complaints = parse_statoverride(data)
    assert all(0 <= override.mode <= 0o7777 for override in overrides.values())
    assert overrides or complaints or not data


def _filters(data: bytes) -> None:
    left_out(b"/usr/share/locale/de/LC_MESSAGES/a.mo", parse_path_filters(data) + parse_locale_purge(data))


def _alternatives(data: bytes) -> None:
    group, complaint = alternatives.parse(b"name", data)
    assert (group is None) is bool(complaint)
    if group is not None:
        assert group.choices and group.link.startswith(b"/")
        assert all(len(choice.slaves) == len(group.slaves) for choice in group.choices)


#: Each takes microseconds.
TARGETS = (
    Target("status", _STATUS, _status),
    Target("list", _LISTS, _list),
    Target("md5sums", _SUMS, _sums),
    Target("conffiles", (b"/etc/a\nremove-on-upgrade /etc/b\n",), parse_conffiles),
    Target("diversions", (b"/a\n/a.real\npkg\n/b\n/b.distrib\n:\n",), _diversions),
    Target("statoverride", (b"root messagebus 4754 /usr/bin/a b\n#0 #12 755 /b\n",), _overrides),
    Target(
        "filters",
        (b"path-exclude=/usr/share/doc/*\npath-include /usr/[a-z]*\n", b"MANDELETE\nde\nen_GB.UTF-8\n"),
        _filters,
    ),
    Target("alternatives", _ALTERNATIVES, _alternatives),
    Target("ucf", (_MD5 + b"  /etc/ssh/sshd_config\n",), ucf.parse),
)
