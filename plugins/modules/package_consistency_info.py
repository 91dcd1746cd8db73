#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module ringmaster.webops.package_consistency_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: package_consistency_info
short_description: Find the files of an operating system that are not what its packages say
version_added: 0.1.0
description:
  - Compares every file that the installed packages list with what is on disk. Finds changed content, missing files,
    directories and links, files of another type, and files that cannot be read; and, as far as the reference records
    them, another mode, owner, link target, device number or other capabilities.
  - The package database lies on the same disk. It is checked first, and its damage is reported as such in
    RV(database_problems). What could not be verified, and why, is part of the result in RV(coverage), so that silence
    never means that all is well.
  - Reads the databases of C(dpkg) (Debian and Ubuntu), C(rpm) and Gentoo's Portage; a root with several of them is
    verified against all. Takes no lock, opens nothing but regular files, and follows no link out of O(root).
  - A package transaction that runs meanwhile is noticed, and what it changes is verified again, a few times. What still
    moves then is counted in RV(coverage).
  - What a reference does not record cannot be verified (see RV(coverage)). With the database of C(dpkg), a file list
    that has lost nothing but symbolic links and directories cannot be told from a whole one; with O(reference=archive)
    it can.
  - Is gentle to what else runs on the host - it reads in the idle class of I/O and with a lower priority, and not
    faster than O(max_rate).
  - Needs no privileges. What only root may read is counted in RV(coverage) when run as another user.
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.info_module
  - ringmaster.webops.attributes.actiongroup_webops
  - ringmaster.webops.package_verification
attributes:
  check_mode:
    support: full
    details:
      - This module only reads, so check mode changes nothing about what it does, but for O(report_path), which is not
        written, and O(manifest_path).
options:
  report_path:
    description:
      - File on the host to write the whole result to, as JSON lines. The key C(record) of a line is V(summary) (the
        first), V(database_problem) or V(finding).
      - Its directory must exist. The file is written with mode 0600, and in one go.
    type: path
  manifest_path:
    description:
      - File on the host to write to what was measured of every file, as gzip-compressed JSON lines - type, size, mode,
        owner, modification time, digest, link target. The first line holds the version of each package.
      - Kept off the host, it is the witness of what was there, and M(ringmaster.webops.package_manifest_info) says what
        changed between two.
      - Its directory must exist. The file is written with mode 0600, and in one go.
    type: path
    version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
"""

EXAMPLES = r"""
- name: Verify every file of every package
  ringmaster.webops.package_consistency_info:
  become: true
  register: packages

- name: Stop where the disk is not to be trusted
  ansible.builtin.assert:
    that: packages.summary.verdict in ['consistent', 'incomplete']
    fail_msg: "{{ packages.summary }}"

- name: Verify a mounted disk from outside, and keep the whole list there
  ringmaster.webops.package_consistency_info:
    root: /mnt/rescue
    report_path: /var/tmp/rescue.jsonl
  become: true

- name: Ask, after an incident, what the next boot will break
  ringmaster.webops.package_consistency_info:
    read: both
    max_rate: 50M
  become: true
  register: incident

- name: Show what must be repaired before that
  ansible.builtin.debug:
    msg: "{{ incident.findings | selectattr('class', 'eq', 'cached_good_disk_bad') | map(attribute='path') }}"

- name: Compare with the signed packages themselves, modes, owners and links included
  ringmaster.webops.package_consistency_info:
    reference: archive
    archive_sources:
      - deb https://snapshot.example.org/archive/debian/20260901T000000Z/ bookworm main
  become: true

- name: Verify the web server, and leave alone what an agent rewrites
  ringmaster.webops.package_consistency_info:
    packages:
      - nginx*
      - libssl3
    exclude:
      - path: /usr/share/nginx/html/*
        reason: replaced by the deployment
"""

RETURN = r"""
summary:
  description: The verdict, and how much was found.
  returned: success
  type: dict
  contains:
    verdict:
      description:
        - V(consistent) - nothing is wrong and everything was verified.
        - V(incomplete) - nothing is wrong, but not everything was verified; RV(coverage) says what.
        - V(inconsistent) - something is not what its package says.
        - V(database_unsound) - the package database itself is damaged, so the rest means less than it says.
      type: str
      sample: inconsistent
    findings_total:
      description: Number of findings, those included that RV(findings) has no room for.
      type: int
      sample: 1
    by_class:
      description: Number of findings of each class.
      type: dict
      sample: {content_changed: 1}
    database_problems_total:
      description: Number of problems of the database, those included that RV(database_problems) has no room for.
      type: int
      sample: 0
coverage:
  description: What was verified and what was not.
  returned: success
  type: dict
  contains:
    packages:
      description:
        - Packages with files on disk - C(installed), those of which everything was C(verified), and those of which
          something was C(not_verified).
      type: dict
      sample: {installed: 350, verified: 349, not_verified: 1}
    files:
      description:
        - C(listed) counts the paths that these packages list, directories and links included, one that several of them
          list once. Added to them are the configuration files that packages have made with C(ucf), the links of the
          alternatives system, and the configuration files that removed packages have left.
        - C(verified) counts those of which everything was compared that the reference says of them, whether it was as
          it should be or not. Of a directory and of a link C(dpkg)'s database says no more than that there is one.
        - C(not_verified) counts the others. Each of them is in RV(coverage.gaps), where also things are told of that
          are no file, and count for none.
        - C(mode_not_compared) and C(owner_not_compared) count paths that were looked at, and of which the reference
          does not say what mode (of a link there is none) or what owner and group is right. With C(dpkg)'s database
          these are all but the administrator's overrides. With O(reference=archive) they are the paths that maintainer
          scripts or systemd-tmpfiles set, and directories below C(/var). Even of these, a set-user-ID or set-group-ID
          bit of a file, or write permission for everybody, is found (V(mode_changed)) that nothing asks for.
      type: dict
      sample: {listed: 21000, verified: 20999, not_verified: 1, mode_not_compared: 85, owner_not_compared: 80}
    bytes_read:
      description: Bytes read from files.
      type: int
      sample: 812345678
    read:
      description:
        - How files were read. C(read_mode) is O(read), or V(unproven) when not all files were surely read from the
          disk; C(files_from_disk) counts those that were, C(unproven) the others, by C(file_system) and C(reason).
        - C(idle) tells whether it was done in the idle class of I/O, C(idle_reason) why not.
      type: dict
      sample:
        read_mode: unproven
        files_from_disk: 20000
        unproven: [{file_system: tmpfs, reason: tmpfs is in memory, files: 3}]
        idle: true
        idle_reason: ""
    gaps:
      description:
        - What was not verified. C(reason) is V(permission_denied), V(busy) (the file kept changing), V(no_digest),
          V(no_file_list), V(database_empty), V(looks_damaged) (a changed conffile), V(no_status), V(not_listed),
          V(not_selected), V(no_such_package), V(excluded),
          V(conffiles_ignored), V(conffile_not_configured), V(ownership_conflict) (of content), V(owners_disagree) (of
          packages, about another property), V(not_done), V(hidden_by_mount) (something is mounted over it, so that what
          is there is not the package's, even if it is equal), V(remote_file_system) (one that may never answer, and was
          not entered; or a link leads there), V(not_stored) (the file system has no modes and owners), V(unknown_user)
          (an owner whom the root's own files do not know, or may have lost), V(read_mode_unproven),
          V(transaction_running), V(mounts_unknown), or one that the reader of the reference adds.
        - C(detail) says it to a person, C(packages) and C(files) count, C(examples) are a few paths or packages.
      type: list
      elements: dict
      sample:
        - reason: permission_denied
          detail: this user may not read it
          packages: 1
          files: 1
          examples: [/etc/sudoers]
    not_recorded:
      description: Properties that this kind of package database does not record, so that they were not verified.
      type: list
      elements: str
      sample: [mode, owner, group, size, symlink_target]
    other_systems:
      description:
        - Containers and chroots below O(root) that have a package database of their own, 100 at most, where
          systemd-nspawn, LXC, Incus, Docker, Podman and schroot keep them. They are not part of this system and were
          not verified. Verify each with its path as O(root).
      type: list
      elements: str
      sample: [/var/lib/machines/build]
database_problems:
  description: What is wrong with the package database itself. At most O(max_findings) entries.
  returned: success
  type: list
  elements: dict
  contains:
    file:
      description: File of the database, as a path inside O(root).
      type: str
      sample: /var/lib/dpkg/info/nginx.list
    problem:
      description: What is wrong with it.
      type: str
      sample: line 12 contains NUL bytes
    remedy:
      description: What to do about it.
      type: str
      sample: Install the same version of the package again from its .deb
findings:
  description: What is not as the packages say. The worst classes come first. At most O(max_findings) entries.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path inside O(root), where it really lies. Bytes that are no UTF-8 are written as C(\xNN).
      type: str
      sample: /usr/sbin/nginx
    path_b64:
      description: The exact path as base64.
      returned: when the path is not valid UTF-8
      type: str
      sample: L3Vzci9zaGFyZS9j6Q==
    packages:
      description: The packages that own it.
      type: list
      elements: str
      sample: [nginx]
    class:
      description:
        - V(content_changed), V(cached_good_disk_bad), V(cached_bad_disk_good), V(unreadable) (with the error; V(EFBIG)
          is a file larger than any package can hold), V(type_changed), V(missing), V(target_changed),
          V(device_changed), V(capabilities_changed), V(owner_changed), V(mode_changed), V(diverted_target_missing) and
          V(package_broken) make a system inconsistent.
        - V(looks_damaged) (nothing says what should be in the file, but its content is suspicious),
          V(ownership_conflict) (packages disagree, one of them is right), V(relocated_by_symlink) (the right content
          behind a link), V(package_not_configured), V(config_changed) and V(config_missing) do not.
      type: str
      sample: content_changed
    expected:
      description:
        - What the database says - C(type), the digest by the name of its algorithm, and the like.
        - C(mode_without) are permission bits that are set and that nothing asks for, where the mode is not known.
      type: dict
      sample: {type: file, md5: 764efa883dda1e11db47671c4a3bbd9e}
    actual:
      description:
        - What is there - C(type), C(size), digest, C(target) of a link, C(error) and its C(offset). Where one
          C(property) alone could not be read, its name.
        - What the disk has, where it is not what the page cache has - C(disk_md5) and the like, C(disk_error) and
          C(disk_offset).
        - C(suspicions), sentences that say why the content looks damaged. They are evidence for a person and never a
          reason to repair anything.
      type: dict
      sample: {type: file, size: 3, md5: 900150983cd24fb0d6963f7d28e17f72}
failures:
  description:
    - What could not be done and why - files that could not be looked at at all, because a process was killed and the
      like (they are counted in RV(coverage) as V(not_done)), or an O(report_path) that could not be written.
    - The module fails when there are any, and returns everything else it found all the same.
  returned: success
  type: list
  elements: str
  sample: []
duration_ms:
  description: How long it took, in milliseconds.
  returned: success
  type: int
  sample: 2310
report_path:
  description:
    - Where the whole list was written on the host; V(null) when it was not asked for, could not be written, or in check
      mode.
  returned: success
  type: str
  sample: /var/tmp/packages.jsonl
manifest_path:
  description: The same of what was measured of every file.
  returned: success
  type: str
  sample: /var/tmp/manifest.jsonl.gz
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import exclusions


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "exclude": {"type": "list", "elements": "raw", "default": []},
            "conffiles": {"type": "str", "choices": ["report", "ignore"], "default": "report"},
            "reference": {"type": "str", "choices": ["database", "archive"], "default": "database"},
            "archive_sources": {"type": "list", "elements": "str", "default": []},
            "package_directories": {"type": "list", "elements": "path", "default": []},
            "read": {"type": "str", "choices": ["cached", "uncached", "both"], "default": "cached"},
            "max_rate": {"type": "bytes"},
            "jobs": {"type": "int"},
            "max_findings": {"type": "int", "default": 100},
            "report_path": {"type": "path"},
            "progress_path": {"type": "path"},
            "manifest_path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params: dict[str, t.Any] = module.params
    try:
        result = check(
            Options(
                root=params["root"],
                packages=tuple(params["packages"]),
                exclude=exclusions(params["exclude"]),
                conffiles=params["conffiles"],
                jobs=params["jobs"],
                max_findings=params["max_findings"],
                report_path=None if module.check_mode else params["report_path"],
                reference=params["reference"],
                archive_sources=tuple(params["archive_sources"]),
                package_directories=tuple(params["package_directories"]),
                read=params["read"],
                max_rate=params["max_rate"],
                progress_path=params["progress_path"],
                manifest_path=None if module.check_mode else params["manifest_path"],
            )
        )
    except WebopsError as error:
        module.fail_json(msg=str(error), value=error.value, reason=error.reason, remedy=error.remedy)
    if result["failures"]:
        reasons = "; ".join(result["failures"])
        message = (
            f"Not everything could be done: {reasons}. Look into the kernel's log and for free space, then try again"
        )
        module.fail_json(message, **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
