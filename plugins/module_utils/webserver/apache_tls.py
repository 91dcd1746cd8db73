# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which OpenSSL Apache's ``mod_ssl`` loads, and what of a configuration that OpenSSL would not take.

Apache leaves all of that to its start. Where none can be tried, the same library is asked by way of the program
``openssl`` and Python's ``ssl``; where a host has no such program, what it would have found stays unknown.
"""

from __future__ import annotations

import mmap
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.apache_syntax import Statement

_VERSION = re.compile(rb"OpenSSL (\d+\.\d+\.\d+[a-z]*) +\d+ [A-Z][a-z]{2} 20\d\d")
# Reasons of OpenSSL (err.h) for a pair of files that no security level and no protocol would make fit.
_UNUSABLE_PAIR = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_START_LINE", "PEM_LIB", "UNKNOWN_KEY_TYPE")
# Refused by the program before it looks at the socket, which is not there: no connection is made.
_ASK = ("openssl", "s_client", "-unix", "/nonexistent")


def openssl_version(mod_ssl: Path) -> str:
    """Return the version of the ``libcrypto`` that the dynamic linker gives ``mod_ssl``, such as ``3.0.19``.

    Raises MeasurementError where it cannot be found.
    """
    linked = re.search(r"libcrypto\.so\S* => (/\S+)", run(["ldd", str(mod_ssl)]).stdout)
    version = _version_in(Path(linked.group(1))) if linked else None
    if version is None:
        raise MeasurementError(
            f"the OpenSSL of {mod_ssl}", "it cannot be found with ldd", "Install the packages apache2-bin and libc-bin"
        )
    return version


def _version_in(library: Path) -> str | None:
    """Read the text that OpenSSL_version(3) returns out of the file."""
    try:
        with library.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = _VERSION.search(content)
            return found.group(1).decode("ascii") if found else None
    except (OSError, ValueError):
        return None


def problems(statements: Sequence[Statement]) -> list[str]:
    """Return a sentence for each group list, cipher list and pair of key and certificate that OpenSSL does not take."""
    found = [_complaint(each, *option) for each in statements for option in _options(each)]
    return list(dict.fromkeys([line for line in found if line] + _unusable_pairs(statements)))


def _options(statement: Statement) -> Iterable[tuple[str, str]]:
    """Return the option of ``openssl s_client`` that is like a directive, and its value."""
    arguments = statement.arguments
    if statement.name == "sslciphersuite" and arguments:
        is_tls13 = len(arguments) > 1 and arguments[0].lower() == "tlsv1.3"
        yield ("-ciphersuites" if is_tls13 else "-cipher", arguments[-1])
    elif statement.name == "sslopensslconfcmd" and len(arguments) > 1 and arguments[0].lower() in ("curves", "groups"):
        yield "-groups", arguments[1]


def _complaint(statement: Statement, option: str, value: str) -> str:
    refused = "SSL_CONF_cmd" in run([*_ASK, option, value]).stderr
    return f"{statement.file}:{statement.line}: OpenSSL does not take {value}" if refused else ""


def _unusable_pairs(statements: Sequence[Statement]) -> list[str]:
    """Try the n-th certificate of each virtual host with its n-th key."""
    hosts: dict[object, tuple[list[str], list[str]]] = {}
    for each in statements:
        if each.name in ("sslcertificatefile", "sslcertificatekeyfile") and each.arguments:
            pair = hosts.setdefault(each.enclosing("virtualhost"), ([], []))
            pair[each.name == "sslcertificatekeyfile"].append(each.arguments[0])
    pairs = [pair for certificates, keys in hosts.values() for pair in zip(certificates, keys or certificates)]
    return [line for line in (_unusable(*pair) for pair in dict.fromkeys(pairs)) if line]


def _unusable(certificate: str, key: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # The password keeps OpenSSL from asking for one; with an encrypted key it is wrong, which is another reason.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        return f"{key}: it does not fit {certificate} ({error.reason})" if error.reason in _UNUSABLE_PAIR else ""
    except OSError as error:
        return f"{certificate}, {key}: {error.strerror}"
    return ""
