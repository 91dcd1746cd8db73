# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server is told so that it speaks a TLS profile: profile + server + versions -> configuration lines.

Pure functions: they ask nothing and open nothing. Who calls them has asked the binaries (``nginx -V``, ``haproxy -vv``,
``apache2 -v``) for the versions that are really running.

The directives come from the manuals of the servers (nginx: ngx_http_ssl_module, ngx_http_v2_module; Apache: mod_ssl,
mod_http2; HAProxy: configuration manual, section 3.1), the versions in which they appeared from the servers' change
logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, TypeVar

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.mozilla import PROFILES, Profile, profile_named

if TYPE_CHECKING:
    from collections.abc import Mapping

Version = tuple[int, ...]

# OpenSSL's CHANGES: TLS 1.3 came with 1.1.1, ML-KEM and tuples of groups ("/", SSL_CTX_set1_groups_list(3)) with 3.5.0.
_OPENSSL_TLS13: Version = (1, 1, 1)
_OPENSSL_MLKEM: Version = (3, 5)
_HYBRID_GROUP = "X25519MLKEM768"
# nginx's CHANGES: TLS 1.3 came with 1.13.0, `ssl_conf_command` with 1.19.4, ticket keys of a shared session cache
# rotate from 1.23.2 on, the directive `http2` came with 1.25.1.
_NGINX_MINIMUM: Version = (1, 13)
_NGINX_CONF_COMMAND: Version = (1, 19, 4)
_NGINX_ROTATES_TICKET_KEYS: Version = (1, 23, 2)
_NGINX_HTTP2_DIRECTIVE: Version = (1, 25, 1)
# HAProxy: `ssl-min-ver` with 1.8, `ssl-default-bind-curves` with 2.0, `ssl-default-server-curves` with 2.9.
_HAPROXY_MINIMUM: Version = (2, 2)
_HAPROXY_SERVER_CURVES: Version = (2, 9)
# Apache's CHANGES: SSLProtocol of a virtual host that a name chose counts from 2.4.42 on, SSLVHostSNIPolicy came with
# 2.4.66.
_APACHE_MINIMUM: Version = (2, 4, 42)
_APACHE_SNI_POLICY: Version = (2, 4, 66)

HSTS_STAGES = {"observe": 300, "week": 604800, "month": 2592000, "full": 63072000, "disabled": 0}
"""Stage -> max-age in seconds."""
_HSTS_PRELOAD_MINIMUM_SECONDS = 31536000


@dataclass(frozen=True)
class TlsPolicy:
    """A profile, settled for one running OpenSSL; still the same for every server.

    ``groups`` holds tuples of groups (OpenSSL's term): within one, the server prefers the first, and asks a client that
    supports but did not send its share for it (HelloRetryRequest). ``cipher_string`` is in OpenSSL's syntax
    (ciphers(1)), with the security level in front where the profile needs a lower one than the library's default.
    """

    protocols: tuple[str, ...]
    tls13_suites: tuple[str, ...]
    cipher_string: str
    groups: tuple[tuple[str, ...], ...]
    server_preference: bool


def parse_version(text: str, subject: str) -> Version:
    """Return the leading numbers of a version: ``1.22.1`` -> (1, 22, 1), ``1.1.1w`` -> (1, 1, 1).

    ``subject`` names what has this version, for the message. Raises InvalidInputError where there is no number.
    """
    found = re.match(r"\d+(?:\.\d+)+", text) if isinstance(text, str) else None
    if found is None:
        raise InvalidInputError(
            f"{subject} version {text!r}", "this is not a version", "Give it as the program prints it, such as 3.0.19"
        )
    return tuple(int(number) for number in found.group().split("."))


def tls_policy(profile: Profile, openssl: Version) -> TlsPolicy:
    """Settle what ``profile`` means with the OpenSSL that runs.

    A library without ML-KEM refuses a list that names it, so there the classical groups alone remain. Raises
    InvalidInputError for an OpenSSL without TLS 1.3.
    """
    if openssl < _OPENSSL_TLS13:
        version = ".".join(str(number) for number in openssl)
        raise InvalidInputError(
            f"OpenSSL {version}", "it has no TLS 1.3", "Upgrade the host: OpenSSL 1.1.1 is the least"
        )
    # In `modern` no suite of TLS 1.2 is wanted; the intermediate ones stay as a net under a protocol added by accident.
    suites = profile.cipher_suites or PROFILES["intermediate"].cipher_suites
    # TLS 1.0 and 1.1 sign with SHA-1, which OpenSSL's default security level refuses (SSL_CTX_set_security_level(3)).
    security_level = "@SECLEVEL=0:" if "TLSv1.0" in profile.protocols else ""
    return TlsPolicy(
        protocols=profile.protocols,
        tls13_suites=profile.tls13_suites,
        cipher_string=security_level + ":".join(suites),
        groups=_group_tuples(profile.groups, openssl),
        server_preference=profile.server_preference,
    )


def _group_tuples(groups: tuple[str, ...], openssl: Version) -> tuple[tuple[str, ...], ...]:
    """Put the hybrid group and its classical half into one tuple; drop it where the library has none."""
    classical = [group for group in groups if group != _HYBRID_GROUP]
    if _HYBRID_GROUP not in groups or openssl < _OPENSSL_MLKEM:
        return tuple((group,) for group in classical)
    return ((_HYBRID_GROUP, classical[0]), *((group,) for group in classical[1:]))


def _groups_for_server(policy: TlsPolicy) -> str:
    """Write the groups in the order in which a server prefers them (SSL_CTX_set1_groups_list(3))."""
    return ":".join("/".join(groups) for groups in policy.groups)


def _groups_for_client(policy: TlsPolicy) -> str:
    """Write the groups for a client that sends key shares for all of the first tuple.

    A client sends a share for its first group alone, unless ``*`` marks others: without, each server that lacks the
    hybrid group would cost a second round trip.
    """
    first, *others = policy.groups
    marked = "/".join(f"*{group}" for group in first) if len(first) > 1 else first[0]
    return ":".join([marked, *("/".join(groups) for groups in others)])


def nginx_has_http2_directive(nginx: Version) -> bool:
    """Tell whether HTTP/2 is asked for with ``http2 on`` (1.25.1 and later) and not with ``listen ... http2``.

    The newer form stops an older server, the older form makes a newer one warn at every start.
    """
    return nginx >= _NGINX_HTTP2_DIRECTIVE


def _nginx_http_lines(policy: TlsPolicy, nginx: Version) -> list[str]:
    """Return the directives for the ``http`` block, from which every server of every socket inherits them."""
    # Before 1.23.2 ticket keys live as long as the server; later they rotate, given a shared session cache.
    tickets = "on" if nginx >= _NGINX_ROTATES_TICKET_KEYS else "off"
    protocols = " ".join(name.replace("TLSv1.0", "TLSv1") for name in policy.protocols)
    suites = [f"ssl_ciphers {policy.cipher_string};"]
    if nginx >= _NGINX_CONF_COMMAND:
        suites.append(f"ssl_conf_command Ciphersuites {':'.join(policy.tls13_suites)};")
    lines = [
        f"ssl_protocols {protocols};",
        *suites,
        f"ssl_ecdh_curve {_groups_for_server(policy)};",
        f"ssl_prefer_server_ciphers {'on' if policy.server_preference else 'off'};",
        "ssl_session_cache shared:TLS:10m;",
        "ssl_session_timeout 1d;",
        f"ssl_session_tickets {tickets};",
    ]
    return [*lines, "http2 on;"] if nginx_has_http2_directive(nginx) else lines


def _nginx_listen_words(_policy: TlsPolicy, nginx: Version) -> list[str]:
    """Return the parameters that a TLS ``listen`` line carries behind its address."""
    return ["ssl"] if nginx_has_http2_directive(nginx) else ["ssl", "http2"]


def _apache_profile_lines(policy: TlsPolicy, _apache: Version) -> list[str]:
    """Return the directives in which profiles differ: for the server, and for a virtual host with another profile."""
    protocols = " ".join(f"+{name.replace('TLSv1.0', 'TLSv1')}" for name in policy.protocols)
    return [
        f"SSLProtocol -all {protocols}",
        f"SSLCipherSuite {policy.cipher_string}",
        f"SSLCipherSuite TLSv1.3 {':'.join(policy.tls13_suites)}",
        f"SSLOpenSSLConfCmd Curves {_groups_for_server(policy)}",
        f"SSLHonorCipherOrder {'on' if policy.server_preference else 'off'}",
    ]


def _apache_server_lines(policy: TlsPolicy, apache: Version) -> list[str]:
    """Return the directives for the server, outside of every virtual host; its virtual hosts inherit them."""
    # Ticket keys live as long as the process. A session goes on only where the policy of both names is the same.
    lines = [
        *_apache_profile_lines(policy, apache),
        "SSLCompression off",
        "SSLSessionTickets off",
        "SSLSessionCache shmcb:${APACHE_RUN_DIR}/ssl_scache(512000)",
        "SSLSessionCacheTimeout 86400",
    ]
    return [*lines, "SSLVHostSNIPolicy secure"] if apache >= _APACHE_SNI_POLICY else lines


def _haproxy_bind_lines(policy: TlsPolicy, _haproxy: Version) -> list[str]:
    """Return the lines of ``global`` for the side that faces the visitors."""
    preference = [] if policy.server_preference else ["prefer-client-ciphers"]
    options = " ".join([*preference, f"ssl-min-ver {policy.protocols[0]}", "no-tls-tickets"])
    return [
        f"ssl-default-bind-ciphers {policy.cipher_string}",
        f"ssl-default-bind-ciphersuites {':'.join(policy.tls13_suites)}",
        f"ssl-default-bind-curves {_groups_for_server(policy)}",
        f"ssl-default-bind-options {options}",
    ]


def _haproxy_server_lines(policy: TlsPolicy, haproxy: Version) -> list[str]:
    """Return the lines of ``global`` for the side that faces the servers, where HAProxy is the TLS client."""
    lines = [
        f"ssl-default-server-ciphers {policy.cipher_string}",
        f"ssl-default-server-ciphersuites {':'.join(policy.tls13_suites)}",
    ]
    if haproxy >= _HAPROXY_SERVER_CURVES:
        lines.append(f"ssl-default-server-curves {_groups_for_client(policy)}")
    return [*lines, f"ssl-default-server-options ssl-min-ver {policy.protocols[0]} no-tls-tickets"]


@dataclass(frozen=True)
class _Server:
    """What we can write for one server program, and the oldest version for which we can."""

    minimum: Version
    sides: dict[str, Callable[[TlsPolicy, Version], list[str]]]


_SERVERS = {
    "nginx": _Server(_NGINX_MINIMUM, {"bind": _nginx_http_lines, "listen": _nginx_listen_words}),
    "apache": _Server(_APACHE_MINIMUM, {"bind": _apache_server_lines, "site": _apache_profile_lines}),
    "haproxy": _Server(_HAPROXY_MINIMUM, {"bind": _haproxy_bind_lines, "server": _haproxy_server_lines}),
}


_T = TypeVar("_T")


def _member(table: Mapping[str, _T], name: str, subject: str) -> _T:
    """Return ``table[name]``, or say which names there are."""
    if not isinstance(name, str) or name not in table:
        raise InvalidInputError(f"{subject} {name!r}", "it is not known", f"Choose one of {', '.join(table)}")
    return table[name]


def tls_directives(
    profile_name: str, *, server: str, server_version: str, openssl_version: str, side: str = "bind"
) -> list[str]:
    """Return the configuration lines, without indentation, that make ``server`` speak the profile.

    ``side``: ``bind`` for what faces the visitors (nginx: directives of ``http``; apache: of the server, outside of
    virtual hosts; haproxy: lines of ``global``), ``server`` for haproxy's own connections to its servers, ``listen``
    for the parameters of nginx's TLS ``listen`` lines, one a list item, ``site`` for an apache virtual host whose
    profile differs from the server's. Raises InvalidInputError for a profile, server, side or version that cannot be
    served.
    """
    profile = profile_named(profile_name)
    known = _member(_SERVERS, server, "server")
    render = _member(known.sides, side, f"side for {server}")
    version = parse_version(server_version, server)
    if version < known.minimum:
        minimum = ".".join(str(number) for number in known.minimum)
        raise InvalidInputError(f"{server} {server_version}", "it is too old", f"Upgrade it to {minimum} or later")
    return render(tls_policy(profile, parse_version(openssl_version, "OpenSSL")), version)


def hsts_header(stage: str, *, include_subdomains: bool = False, preload: bool = False) -> str:
    """Return the value of Strict-Transport-Security for a stage of its introduction (RFC 6797, section 6.1).

    ``disabled`` makes browsers forget the host (section 6.1.1). Raises InvalidInputError for an unknown stage and for
    ``preload`` where the preload list would not accept it (hstspreload.org: a year at least, with subdomains).
    """
    max_age_seconds = _member(HSTS_STAGES, stage, "HSTS stage")
    if preload and max_age_seconds < _HSTS_PRELOAD_MINIMUM_SECONDS:
        raise InvalidInputError(
            f"preload at the HSTS stage {stage}",
            f"preload lists want a max-age of {_HSTS_PRELOAD_MINIMUM_SECONDS} seconds at least",
            "Go to the stage full first, or leave preload off",
        )
    if preload and not include_subdomains:
        raise InvalidInputError(
            "preload without subdomains",
            "preload lists accept only policies that include subdomains",
            "Include them if every subdomain answers over https, or leave preload off",
        )
    words = [f"max-age={max_age_seconds}"]
    if include_subdomains and max_age_seconds:
        words.append("includeSubDomains")
    return "; ".join([*words, "preload"] if preload else words)
