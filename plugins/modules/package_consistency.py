#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module ringmaster.webops.package_consistency."""

from __future__ import annotations

DOCUMENTATION = r"""
module: package_consistency
short_description: Repair the files of an operating system that are not what its packages say
version_added: 0.2.0
description:
  - Verifies as M(ringmaster.webops.package_consistency_info) does, plans a repair from packages that are verified
    themselves, does it in a safe order, and verifies again.
  - Check mode shows the whole plan, and O(ignore:diff) each step of it, with where it comes from and how far that is
    trusted. Start with it.
  - A damaged file is kept, with its metadata, in a directory below C(/var/lib/ringmaster/quarantine) before it is
    replaced. Its replacement is written beside it, read back, and renamed over it. A run that is killed leaves the old
    file or the new one, and the next run goes on.
  - Never touches a conffile unless O(conffiles_policy) allows it, nor what no package owns. Replaces no package by
    another version, and changes no package that has nothing to be repaired.
  - Holds the locks of C(dpkg) meanwhile, and lets it come to its end when the run is interrupted or killed.
  - Starts, stops and restarts no service, and does not reboot;
    RV(services_to_restart), RV(reboot) and RV(commands) say what is left to do.
  - Refuses, with the reason in RV(refusals), while the package database is damaged in a way that no package can make
    good, on read-only and on image-based systems, while the kernel counts errors of the file system or its disk is out
    of service, when there is not room enough, and while a package transaction runs. The package of the running kernel
    is installed again only where a second kernel could be booted.
  - Repairs systems with C(dpkg) (Debian and Ubuntu).
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.actiongroup_webops
attributes:
  check_mode:
    support: full
    details:
      - Everything is done but for the steps themselves. Packages that the plan needs are fetched into a private
        directory and removed again.
  diff_mode:
    support: full
options:
  root:
    description:
      - Root directory of the system to repair. Another one than V(/) can be that of a mounted disk or of a chroot.
      - No link leads out of it. C(dpkg), which a package step runs, is refused where it would follow one out.
    type: path
    default: /
  packages:
    description:
      - Names of the packages to verify and repair, or shell globs such as V(libssl*). Empty means all that are
        installed.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Paths not to look at, and so not to repair. Each is a shell glob, whose C(*) also matches a slash, or a
        dictionary of C(path) (the glob) and C(reason).
    type: list
    elements: raw
    default: []
  conffiles:
    description:
      - Whether configuration files that belong to packages are compared at all. O(conffiles_policy) says what is done
        about what is found.
    type: str
    choices: [report, ignore]
    default: report
  reference:
    description:
      - What files are compared with before and after the repair.
      - V(database) is the package database of O(root), which holds no more of a file than a digest with C(dpkg).
      - V(archive) is the packages themselves; only then damaged modes, owners and link targets are found, and repaired.
    type: str
    choices: [database, archive]
    default: database
  read:
    description:
      - How files are read before the repair - V(cached), V(uncached) (from the disk, past the page cache), or V(both).
      - After the repair they are read V(uncached) in any case.
    type: str
    choices: [cached, uncached, both]
    default: cached
  max_rate:
    description:
      - How many bytes per second all processes together may read. Takes a unit, such as V(20M). At least V(64K).
      - There is no limit by default.
    type: bytes
  strategy:
    description:
      - V(file) replaces single files, links and directories out of the package. No maintainer script runs.
      - V(package) installs the whole package again, in exactly the installed version.
      - V(auto) does V(file) where that is enough, and V(package) where it is not - for a package that is only half
        installed, for a lost file whose owner, mode or capabilities are set by a maintainer script, and for one whose
        attributes cannot be given to a new file.
    type: str
    choices: [auto, file, package]
    default: auto
  minimum_trust:
    description:
      - How far the source of a replacement must be trusted.
      - V(signed) - its SHA-256 is in an index that one of the root's own keyrings has signed.
      - V(digest) - all files in it have the digests that the root's own database has for them. That database lies on
        the same disk.
    type: str
    choices: [signed, digest]
    default: signed
  conffiles_policy:
    description:
      - What to do about configuration files that belong to packages and are not as they were delivered.
      - V(keep) - nothing, because an administrator may have made it so.
      - V(restore_missing) - bring back those that are missing.
      - V(restore) - replace those that were changed, too.
    type: str
    choices: [keep, restore_missing, restore]
    default: keep
  archive_sources:
    description:
      - Further package sources, as lines of sources.list, beside those of O(root). For a version that has left the
        archives it is a snapshot mirror.
      - They must be signed by a keyring of O(root).
    type: list
    elements: str
    default: []
  package_directories:
    description:
      - Directories on the host with packages, such as were fetched from another host with the same versions. The
        package cache of O(root) is looked at in any case.
    type: list
    elements: path
    default: []
  jobs:
    description:
      - Number of processes that read files at the same time. The default is the number of CPUs that the module may use.
    type: int
  max_findings:
    description:
      - How many entries each list of the result holds at most.
    type: int
    default: 100
  progress_path:
    description:
      - For the action plugin of this module alone, which follows the run and shows how far it is. File on the host that
        is replaced at most twice a second with a JSON object of C(stage), C(files_done), C(files_total),
        C(bytes_read) and C(findings).
    type: path
author:
  - ringmaster.webops contributors (@ringmaster-webops)
"""

EXAMPLES = r"""
- name: Show what a repair would do
  ringmaster.webops.package_consistency:
  become: true
  check_mode: true
  diff: true
  register: plan

- name: Repair everything that a signed package vouches for
  ringmaster.webops.package_consistency:
  become: true
  register: repair

- name: Reboot where the repair has replaced what only a reboot exchanges
  ansible.builtin.reboot:
  become: true
  when: repair.reboot.due

- name: Repair versions that have left the archives, and bring lost conffiles back
  ringmaster.webops.package_consistency:
    conffiles_policy: restore_missing
    archive_sources:
      - deb [check-valid-until=no] https://snapshot.example.org/archive/debian/20260901T000000Z/ bookworm main
  become: true

- name: Repair a mounted disk from packages of another host
  ringmaster.webops.package_consistency:
    root: /mnt/rescue
    strategy: file
    package_directories: [/var/tmp/packages-of-web2]
  become: true
"""

RETURN = r"""
plan:
  description: What was planned. At most O(max_findings) entries of each list; RV(plan_totals) counts all.
  returned: success
  type: dict
  contains:
    steps:
      description:
        - The steps in their order. C(kind) is V(make_directory), V(replace_file), V(replace_link), V(set_metadata),
          V(install_package), V(restore_list) or V(restore_digests) (a file of the package database).
        - C(path) and C(links) (further names of the same file), C(package), C(stage) (what it is needed for), C(why)
          (classes of findings), C(source) and C(trust), C(before) and C(after).
      type: list
      elements: dict
      sample:
        - kind: replace_file
          path: /usr/sbin/nginx
          links: []
          package: nginx
          stage: rest
          why: content_changed
          source: a package archive, SHA-256 in the signed index of bookworm
          trust: signed
          before: {type: file, size: 1024, md5: 900150983cd24fb0d6963f7d28e17f72}
          after: {type: file, size: 1261480, sha256: 3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea}
    not_repaired:
      description: What stays as it is - C(path), C(packages), C(class), C(reason) and C(remedy).
      type: list
      elements: dict
      sample:
        - path: /etc/nginx/nginx.conf
          packages: [nginx-common]
          class: config_changed
          reason: it is a conffile, which an administrator may have changed
          remedy: Compare it, or allow it with conffiles_policy
plan_totals:
  description: Number of C(steps) and of C(not_repaired).
  returned: success
  type: dict
  sample: {steps: 1, not_repaired: 1}
refusals:
  description:
    - Why the plan is not done, each with C(reason) and C(remedy). The module fails when there is one and it was not
      run in check mode.
  returned: success
  type: list
  elements: dict
  sample: []
steps:
  description:
    - The steps that were begun, with the fields of those in RV(plan) and their C(status) - V(done), V(failed) (with the
      C(error)) or V(not_done). The module fails when one has.
    - After a package that could not be installed, a file that could not be kept, and a disk that does not return what
      was written, no further step is done.
  returned: success
  type: list
  elements: dict
  sample: []
quarantine:
  description: Directory inside O(root) with what was replaced, and C(records.jsonl) about it; V(null) when nothing was.
  returned: success
  type: str
  sample: /var/lib/ringmaster/quarantine/20260928T010203Z
leftovers_removed:
  description: What a run that was killed had left, and is removed now.
  returned: success
  type: list
  elements: str
  sample: []
before:
  description:
    - What was found before the repair - C(verdict), C(findings_total), C(by_class), C(findings) and
      C(database_problems), as M(ringmaster.webops.package_consistency_info) returns them.
  returned: success
  type: dict
  sample:
    verdict: inconsistent
    findings_total: 1
    by_class: {content_changed: 1}
    findings: []
    database_problems: []
after:
  description: The same after the repair; V(null) when nothing was repaired.
  returned: success
  type: dict
  sample: {verdict: consistent, findings_total: 0, by_class: {}, findings: [], database_problems: []}
services_to_restart:
  description:
    - Running processes that still use a file that was replaced, by their C(unit) (empty for those of none), with some
      C(processes) and C(files).
  returned: success
  type: list
  elements: dict
  sample: [{unit: nginx.service, processes: [nginx (812)], files: [/usr/sbin/nginx]}]
reboot:
  description: Whether a reboot is C(due) and the C(reasons), each with C(file) and C(reason).
  returned: success
  type: dict
  sample: {due: false, reasons: []}
commands:
  description: Commands without which a part of the repair has no effect.
  returned: success
  type: list
  elements: str
  sample: [systemctl daemon-reload]
source_problems:
  description: What was wrong with the sources of packages.
  returned: success
  type: list
  elements: str
  sample: []
failures:
  description:
    - What could not be done and why, what is damaged after its repair or was not damaged before it, and what went wrong
      in a verification. The module fails when there is one, and returns everything else all the same.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import exclusions
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions, repair


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "exclude": {"type": "list", "elements": "raw", "default": []},
            "conffiles": {"type": "str", "choices": ["report", "ignore"], "default": "report"},
            "reference": {"type": "str", "choices": ["database", "archive"], "default": "database"},
            "read": {"type": "str", "choices": ["cached", "uncached", "both"], "default": "cached"},
            "max_rate": {"type": "bytes"},
            "strategy": {"type": "str", "choices": ["auto", "file", "package"], "default": "auto"},
            "minimum_trust": {"type": "str", "choices": ["signed", "digest"], "default": "signed"},
            "conffiles_policy": {"type": "str", "choices": ["keep", "restore_missing", "restore"], "default": "keep"},
            "archive_sources": {"type": "list", "elements": "str", "default": []},
            "package_directories": {"type": "list", "elements": "path", "default": []},
            "jobs": {"type": "int"},
            "max_findings": {"type": "int", "default": 100},
            "progress_path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        result = repair(_options(module.params, module.check_mode))
    except WebopsError as error:
        module.fail_json(msg=str(error), value=error.value, reason=error.reason, remedy=error.remedy)
    failures = result["failures"]
    if not module.check_mode:
        failures = [f"{each['reason']}. {each['remedy']}" for each in result["refusals"]] + failures
    if not module._diff:
        del result["diff"]
    if failures:
        module.fail_json(msg="Not everything could be repaired: " + "; ".join(failures), **result)
    module.exit_json(**result)


def _options(params: dict[str, t.Any], check_mode: bool) -> RepairOptions:
    verification = Options(
        root=params["root"],
        packages=tuple(params["packages"]),
        exclude=exclusions(params["exclude"]),
        conffiles=params["conffiles"],
        jobs=params["jobs"],
        max_findings=params["max_findings"],
        reference=params["reference"],
        archive_sources=tuple(params["archive_sources"]),
        package_directories=tuple(params["package_directories"]),
        read=params["read"],
        max_rate=params["max_rate"],
        progress_path=params["progress_path"],
    )
    policy = Policy(params["strategy"], params["minimum_trust"], params["conffiles_policy"])
    return RepairOptions(verification, policy, dry_run=check_mode)


if __name__ == "__main__":
    main()
