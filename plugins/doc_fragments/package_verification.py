# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules that verify the files of packages."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment: what is verified, with what it is compared, and how it is read."""

    DOCUMENTATION = r"""
options:
  root:
    description:
      - Root directory of the system. Another one than V(/) can be that of a mounted disk, of a container or of a
        chroot. No link leads out of it.
    type: path
    default: /
  packages:
    description:
      - Names of the packages to look at, or shell globs such as V(libssl*). With an architecture, V(libc6:amd64) is one
        of several siblings. Empty means all installed packages.
      - The database is checked as a whole in any case. Packages that are not asked for, and names that no installed
        package has, are counted in RV(ringmaster.webops.package_consistency_info#module:coverage).
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Paths not to look at. Each is a shell glob, whose C(*) also matches a slash, or a dictionary of C(path) (the
        glob) and C(reason).
      - Paths are those below O(root), beginning with a slash. What is excluded is counted in
        RV(ringmaster.webops.package_consistency_info#module:coverage) with its reason.
    type: list
    elements: raw
    default: []
  conffiles:
    description:
      - Whether configuration files that belong to packages are looked at.
      - V(report) compares them too, but those that the database calls obsolete.
      - A difference is a finding of class V(config_changed) or V(config_missing). It does not make a system
        inconsistent, because an administrator may well have made it.
      - V(ignore) does not look at them and counts them in
        RV(ringmaster.webops.package_consistency_info#module:coverage).
    type: str
    choices: [report, ignore]
    default: report
  reference:
    description:
      - What files are compared with.
      - V(database) is the package database of O(root). That of C(dpkg) holds no more of a file than an MD5 digest.
      - V(archive) is the package itself, in exactly the installed version, out of the package cache,
        O(package_directories) or the archives that O(root) is configured for, verified by their signatures. It knows
        SHA-256, size, mode, owner and link targets. Packages that cannot be had are compared with the database, and
        counted in RV(ringmaster.webops.package_consistency_info#module:coverage). For C(dpkg) alone; downloads into a
        private directory below C(/var/tmp).
    type: str
    choices: [database, archive]
    default: database
    version_added: 0.2.0
  archive_sources:
    description:
      - Further package sources, as lines of sources.list, beside those of O(root), for where packages are needed - with
        O(reference=archive), and for a repair. For a version that has left the archives it is a snapshot mirror.
      - They must be signed by a keyring of O(root).
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  package_directories:
    description:
      - Directories on the host with packages, such as were fetched from another host with the same versions; those in
        them are looked through, too. The package cache of O(root) is looked at in any case where packages are needed.
    type: list
    elements: path
    default: []
    version_added: 0.2.0
  read:
    description:
      - How files are read.
      - V(cached) - through the page cache, as programs do. It hides what happened to the disk since.
      - V(uncached) - from the disk, past the page cache of this kernel. Caches below it (of a hypervisor, of a disk, of
        the file behind a loop device) are not passed.
      - V(both) - both, compared. What is good in the cache and bad on the disk will break at the next boot (class
        V(cached_good_disk_bad)), what is bad in the cache and good on the disk is healed by it
        (V(cached_bad_disk_good)).
      - That a file was read from the disk is claimed only for file systems known to do so - ext2, ext3 and ext4 (for
        files without encryption, verity, or data in the journal or the inode) and XFS. On others the page cache is
        dropped first as far as the kernel lets one, and RV(ringmaster.webops.package_consistency_info#module:coverage)
        says V(unproven), and why.
    type: str
    choices: [cached, uncached, both]
    default: cached
    version_added: 0.2.0
  max_rate:
    description:
      - How many bytes per second all processes together may read. Takes a unit, such as V(20M). At least V(64K).
      - There is no limit by default.
    type: bytes
    version_added: 0.2.0
  jobs:
    description:
      - Number of processes that read files at the same time. The default is the number of CPUs that the module may use.
    type: int
  max_findings:
    description:
      - How many entries each list of the result holds at most. The worst come first, and all are counted.
    type: int
    default: 100
  progress_path:
    description:
      - For the action plugin of this module alone, which follows the run and shows how far it is. File on the host that
        is replaced at most twice a second with a JSON object of C(stage), C(files_done), C(files_total),
        C(bytes_read) and C(findings).
    type: path
    version_added: 0.2.0
"""
