# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do on a host so that it has its certificates: what is there, compared with what belongs there.

Pure. A certificate's files lie in a directory of their own for each version of them, and the certificate's name is a
symbolic link to it: one rename of that link exchanges key and certificate together, and a version that is not complete
is linked by nothing::

    <directory>/www -> .versions/www/<version>
    <directory>/.versions/www/<version>/fullchain.pem
    <directory>/.versions/www/<version>/privkey.pem
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_VERSIONS = ".versions"
_Found = Mapping[str, Mapping[str, Any]]


def deployment(
    certificates: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], directory: str
) -> dict[str, list[dict[str, str]]]:
    """Return the steps, in their order: ``directories``, ``files``, ``in_the_way``, ``links``, ``obsolete``.

    ``certificates`` are those of the plan, ``found`` what the module ``ansible.builtin.find`` found below ``directory``
    (``file_type: any``, ``follow``, ``recurse``, ``hidden``, SHA-256 checksums). Where all is as it should be, every
    list is empty. A certificate that is not complete on the control node is left as it is.
    """
    there = {str(entry["path"]): entry for entry in found}
    ready = [certificate for certificate in certificates if certificate["complete"]]
    steps = {
        "directories": [step for one in ready for step in _directories(one, there, directory)],
        "files": [step for one in ready for step in _files(one, there, directory)],
        "in_the_way": [step for one in ready for step in _in_the_way(one, there, directory)],
        "links": [step for one in ready for step in _links(one, there, directory)],
        "obsolete": [step for one in ready for step in _obsolete(one, there, directory)],
    }
    if steps["directories"]:  # each once, the outer before the inner
        outer = [_step(path, mode="0755") for path in (directory, f"{directory}/{_VERSIONS}")]
        steps["directories"] = [*outer, *steps["directories"]]
    return steps


def _step(path: str, owner: str = "root", group: str = "root", *, mode: str) -> dict[str, str]:
    return {"path": path, "owner": owner, "group": group, "mode": mode}


def _version(certificate: Mapping[str, Any], directory: str) -> str:
    return f"{directory}/{_VERSIONS}/{certificate['name']}/{certificate['version']}"


def _directories(certificate: Mapping[str, Any], there: _Found, directory: str) -> Iterator[dict[str, str]]:
    """Yield the directories to make or mend; that of a key is closed before the key arrives."""
    version = _version(certificate, directory)
    owned = _step(version, certificate["owner"], certificate["group"], mode="0750")
    parent = _step(version.rpartition("/")[0], mode="0755")
    yield from (step for step in (parent, owned) if not _is_as(there, step, "isdir"))


def _files(certificate: Mapping[str, Any], there: _Found, directory: str) -> Iterator[dict[str, str]]:
    owner, group = certificate["owner"], certificate["group"]
    private_mode = "0640" if group != "root" else "0600"
    for file in certificate["files"]:
        path = f"{_version(certificate, directory)}/{file['name']}"
        step = _step(path, owner, group, mode=private_mode if file["private"] else "0644")
        if not _is_as(there, step, "isreg") or there[path].get("checksum") != file["sha256"]:
            yield {**step, "source": file["source"]}


def _is_as(there: _Found, step: Mapping[str, str], kind: str) -> bool:
    entry = there.get(step["path"], {})
    wanted = (True, step["owner"], step["group"], step["mode"])
    return (entry.get(kind), entry.get("pw_name"), entry.get("gr_name"), entry.get("mode")) == wanted


def _in_the_way(certificate: Mapping[str, Any], there: _Found, directory: str) -> Iterator[dict[str, str]]:
    """Yield the real directory that earlier releases of the role put the files into."""
    path = f"{directory}/{certificate['name']}"
    if there.get(path, {}).get("isdir"):
        yield {"path": path}


def _links(certificate: Mapping[str, Any], there: _Found, directory: str) -> Iterator[dict[str, str]]:
    """Yield the link where it does not lead to the version, which its files' inodes tell."""
    path, version = f"{directory}/{certificate['name']}", _version(certificate, directory)
    names = [file["name"] for file in certificate["files"]]
    leads_there = all(
        f"{path}/{name}" in there and _is_same(there, f"{path}/{name}", f"{version}/{name}") for name in names
    )
    if not (there.get(path, {}).get("islnk") and leads_there):
        yield {"path": path, "target": f"{_VERSIONS}/{certificate['name']}/{certificate['version']}"}


def _is_same(there: _Found, one: str, other: str) -> bool:
    first, second = there.get(one, {}), there.get(other, {})
    return (first.get("dev"), first.get("inode")) == (second.get("dev"), second.get("inode"))


def _obsolete(certificate: Mapping[str, Any], there: _Found, directory: str) -> Iterator[dict[str, str]]:
    """Yield the versions that nothing leads to any more: their keys are of no use but to a thief."""
    version = _version(certificate, directory)
    parent = version.rpartition("/")[0]
    for path, entry in there.items():
        if path.rpartition("/")[0] == parent and path != version and entry.get("isdir"):
            yield {"path": path}
