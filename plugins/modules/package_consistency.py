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
    themselves, does it in a safe order, and verifies again, then past the page cache in any case.
  - Check mode shows the whole plan, and O(ignore:diff) each step of it, with where it comes from and how far that is
    trusted. Start with it.
  - A damaged file is kept, with its metadata, in a directory below C(/var/lib/ringmaster/quarantine) before it is
    replaced. Its replacement is written beside it, read back, and renamed over it. A run that is killed leaves the old
    file or the new one, and the next run goes on.
  - The same is true of everything that the installation of a whole package replaces or removes besides, whoever made it
    so; RV(plan) says what that is. A package is not installed as a whole where it would replace something that differs
    in a place of O(exclude).
  - Never touches a conffile unless O(conffiles_policy) allows it, nor what no package owns. Replaces no package by
    another version, and changes no package that has nothing to be repaired, unless O(allow_upgrade) allows it.
  - Holds the locks of C(dpkg) or C(rpm) meanwhile, and lets C(dpkg) come to its end when the run is interrupted or
    killed.
  - Starts, stops and restarts no service, and does not reboot; the commands by which maintainer scripts do that are
    replaced for C(dpkg) alone. RV(services_to_restart), RV(reboot) and RV(commands) say what is left to do.
  - Refuses, with the reason in RV(refusals), while the package database is damaged in a way that no package can make
    good, on read-only and on image-based systems, while the kernel counts errors of the file system, a file on it could
    not be read for an error of the disk, or its disk or array is not in order, when there is not room enough, and while
    a package transaction runs. What is not known of disks is said in RV(not_known). The package of the running kernel
    is installed again only where a second kernel could be booted.
  - Repairs systems with C(dpkg) (Debian and Ubuntu), and on systems with C(rpm) single files, out of the very package
    that is installed. Its C(.rpm) must lie in the cache of C(dnf), C(yum) or C(zypper) or in O(package_directories);
    nothing is downloaded, and no C(rpm) package is installed as a whole.
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.actiongroup_webops
  - ringmaster.webops.package_verification
attributes:
  check_mode:
    support: full
    details:
      - Everything is done but for the steps themselves. Packages that the plan needs are fetched into a private
        directory and removed again.
  diff_mode:
    support: full
options:
  strategy:
    description:
      - V(file) replaces single files, links and directories out of the package. No maintainer script runs.
      - V(package) installs the whole package again, in exactly the installed version. It is refused where C(dpkg) would
        follow a link out of O(root).
      - V(auto) does V(file) where that is enough, and V(package) where it is not - for a package that is only half
        installed, for a lost file whose owner, mode or capabilities are set by a maintainer script, for a damaged one
        with such capabilities (the kernel takes them from a file that is written to), and for one whose attributes
        cannot be given to a new file.
    type: str
    choices: [auto, file, package]
    default: auto
  minimum_trust:
    description:
      - How far the source of a replacement must be trusted.
      - V(signed) - its SHA-256 is in an index that one of the root's own keyrings has signed. Of C(rpm), its header is
        signed by a key that the root's own C(rpm) trusts, which C(gpgv) must verify.
      - V(digest) - all files in it have the digests that the root's own database has for them. That database lies on
        the same disk. Of C(rpm), its header, which has all digests, is the one in that database.
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
  allow_upgrade:
    description:
      - Whether to upgrade a damaged package whose installed version can be had from no source that is trusted enough,
        to the version that the root's own C(apt) prefers. It is not done for a conffile alone, nor for a file that the
        new version has as a conffile, nor with the O(strategy) V(file).
      - All packages that must change with it are upgraded in the same step, which RV(plan) shows with all versions. An
        upgrade is refused that would remove a package, install one that is not there, change one that is held, or go
        back to an older version; that brings all paths of another package, which would disappear then, or one that is
        another package's and that neither gives up; or that has as an ordinary file a conffile that was changed. The
        new versions must be V(signed), whatever O(minimum_trust) is.
      - An upgrade does what one always does. Maintainer scripts run, and a conffile that nobody has changed becomes
        that of the new version; the old one is kept.
      - V(false) - where there is such a version, the C(remedy) in RV(plan) names it.
    type: bool
    default: false
  report_path:
    description:
      - File on the host to write the whole result to, as JSON lines. RV(left_out) counts what the result itself has no
        room for. The key C(record) of a line is V(summary) (the first), V(planned_step), V(not_repaired), V(step),
        V(database_problem) or V(finding), of which the last two have C(when) - V(before) or V(after) the repair.
      - Its directory must exist. The file is written with mode 0600, and in one go. It is not written in check mode.
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

- name: Repair, and upgrade what has left the archives in its installed version
  ringmaster.webops.package_consistency:
    allow_upgrade: true
  become: true
  register: upgrading

- name: Say what has another version now
  ansible.builtin.debug:
    msg: "{{ upgrading.upgraded }}"

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
          V(install_package), V(upgrade_packages), V(restore_list) or V(restore_digests) (a file of the package
          database).
        - C(path) and C(links) (further names of the same file), C(package), C(stage) (what it is needed for), C(why)
          (classes of findings), C(source) and C(trust), C(before) and C(after).
        - For V(install_package), C(before) has C(damaged), C(replaced) (what differs besides, and in what) and C(size)
          (bytes that are kept). Triggers run once, after all steps.
        - For V(upgrade_packages), C(before) and C(after) have the C(versions) of all packages that are upgraded
          together, and C(before) has C(damaged), C(replaced_total) (how many other files are replaced or removed) and
          C(size).
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
left_out:
  description: How many entries the lists of the result have no room for.
  returned: success
  type: dict
  sample: {planned_steps: 0, not_repaired: 0, steps: 0, findings_before: 0, findings_after: 0}
report_path:
  description: Where the whole result is on the host; V(null) when it was not asked for, or could not be written.
  returned: success
  type: str
  sample: /var/tmp/repair.jsonl
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
not_known:
  description:
    - What the kernel does not say of the health of the file systems and disks that the plan writes to. That nothing is
      refused does not mean that they are well.
  returned: success
  type: list
  elements: str
  sample: ["what the disk vda knows of its own errors is not known here: ask whoever keeps it, such as the hypervisor"]
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
upgraded:
  description:
    - Packages that have another version now, or would have in check mode - C(label) (the name, with the architecture
      where several can be installed), C(from) and C(to).
  returned: success
  type: list
  elements: dict
  sample: [{label: nginx-common, from: 1.22.1-9+deb12u2, to: 1.22.1-9+deb12u3}]
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
    - Running processes that use a file that was replaced, or may do so, by their C(unit) (empty for those of none),
      with some C(processes) and C(files), and the C(reasons). The last entry, without unit and files, is of those
      processes that could not be looked at.
    - A whole package that was installed again has exchanged all its files.
    - Which modules an interpreter (Python, Perl, Ruby, Node.js, PHP, Java) has loaded cannot be seen. Where one was
      replaced, all services that this interpreter runs are named.
  returned: success
  type: list
  elements: dict
  sample:
    - unit: nginx.service
      processes: [nginx (812)]
      files: [/usr/sbin/nginx]
      reasons: [it has the old file in use]
reboot:
  description: Whether a reboot is C(due) and the C(reasons), each with C(file) and C(reason).
  returned: success
  type: dict
  sample: {due: false, reasons: []}
commands:
  description:
    - Commands without which a part of the repair has no effect, each with the C(command), the C(reason) and some of the
      C(files) that it concerns.
  returned: success
  type: list
  elements: dict
  sample:
    - command: systemctl daemon-reload
      reason: systemd has the unit as it was when it read it
      files: [/usr/lib/systemd/system/nginx.service]
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
            "allow_upgrade": {"type": "bool", "default": False},
            "archive_sources": {"type": "list", "elements": "str", "default": []},
            "package_directories": {"type": "list", "elements": "path", "default": []},
            "jobs": {"type": "int"},
            "max_findings": {"type": "int", "default": 100},
            "report_path": {"type": "path"},
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
        report_path=None if check_mode else params["report_path"],
        reference=params["reference"],
        archive_sources=tuple(params["archive_sources"]),
        package_directories=tuple(params["package_directories"]),
        read=params["read"],
        max_rate=params["max_rate"],
        progress_path=params["progress_path"],
    )
    policy = Policy(params["strategy"], params["minimum_trust"], params["conffiles_policy"], params["allow_upgrade"])
    return RepairOptions(verification, policy, dry_run=check_mode)


if __name__ == "__main__":
    main()
