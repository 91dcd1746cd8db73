# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an action plugin needs to judge trust on the control node: the package cryptography, and anchors."""

from __future__ import annotations

from pathlib import Path

from ansible.errors import AnsibleActionFail

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate, trust_store

NO_ANCHORS = (
    "No certificate authority is trusted: the control node's system store was not found. "
    "Install ca-certificates on the control node, or give ca_path"
)


def require_cryptography() -> None:
    """Fail the task where certificates cannot be parsed on the control node."""
    if certificate.CRYPTOGRAPHY_IMPORT_ERROR is not None:
        raise AnsibleActionFail(
            f"the Python package cryptography cannot be imported on the control node "
            f"({certificate.CRYPTOGRAPHY_IMPORT_ERROR}). Install cryptography 43 or newer beside ansible-core"
        )


def read(ca_path: object) -> certificate.Anchors:
    """Read the trust anchors of a path on the control node, or of its system's store where none is given.

    No anchor at all is an error only where a path was given; else the result should warn with NO_ANCHORS.
    """
    if ca_path is not None and not isinstance(ca_path, str):
        raise AnsibleActionFail(f"ca_path: {ca_path!r} is no path. Give one path of a PEM file or a directory")
    try:
        pems = trust_store.read_anchors(str(Path(ca_path).expanduser()) if ca_path else None)
    except WebopsError as error:
        raise AnsibleActionFail(str(error)) from error
    anchors = certificate.Anchors(pems)
    if ca_path and not anchors:
        raise AnsibleActionFail(f"ca_path {ca_path}: none of its certificates can be parsed. Give valid PEM files")
    return anchors
