# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An access log in JSON, one object a line, with the facts of TLS in it: the same fields for nginx, Apache and HAProxy.

The names are those of the Elastic Common Schema, flat and dotted, as Logstash and Elasticsearch take them:
``@timestamp`` (when the answer was complete), ``source.address`` and ``source.ip``, ``url.*``, ``http.*`` (bytes with
headers), ``user_agent.original``, ``event.duration`` in nanoseconds, and over TLS ``tls.*``. Durations are written with
an exponent (``0.005e9``), which is a number of JSON, because none of the servers can multiply. A field that a version
or a server cannot fill is not there.

What a visitor sends is escaped by nginx and HAProxy themselves. Apache's escapes are not JSON's, so there a value that
is not printable ASCII is written as ``-``; the usual log has it.

Pure functions. Sources: nginx, ngx_http_log_module and ngx_http_ssl_module; Apache, mod_log_config, mod_setenvif and
mod_ssl; HAProxy, configuration manual, sections 7.3 and 8.2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.policy import parse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

_ECS_VERSION = "8.11.0"
# nginx's CHANGES: `$ssl_curve` came with 1.21.5. It knows no hybrid group before 1.27.5 and prints its number instead
# (IANA, TLS Supported Groups). HAProxy's `ssl_fc_curve` came with 2.9.
_NGINX_CURVE = (1, 21, 5)
_HAPROXY_CURVE = (2, 9)
_GROUP_NUMBERS = {"0x11eb": "SecP256r1MLKEM768", "0x11ec": "X25519MLKEM768", "0x11ed": "SecP384r1MLKEM1024"}

_NUMBERS = {"http.response.status_code", "http.response.bytes", "event.duration", "tls.resumed"}
"""Fields whose values are no strings."""


def _object(dataset: str, values: Mapping[str, str]) -> str:
    """Return one JSON object, with the server's placeholders as values."""
    constants = {"ecs.version": _ECS_VERSION, "event.dataset": dataset}
    members = [f'"{name}":{value}' if name in _NUMBERS else f'"{name}":"{value}"' for name, value in values.items()]
    return (
        ",".join(["{" + members[0], *(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in constants.items()), *members[1:]])
        + "}"
    )


def nginx_format(nginx_version: str, path: str, *, anonymise_clients: bool = False) -> list[str]:
    """Return lines for nginx's ``http`` block that write the log to ``path``; without a path, no such log is written.

    With ``anonymise_clients`` there is also the format ``ringmaster_combined``: that of the usual log, with the
    anonymous address. Bytes that are no UTF-8 are written as they came.
    """
    anonymous = _NGINX_ANONYMOUS if anonymise_clients else []
    if not path:
        return list(anonymous)
    has_curve = parse_version(nginx_version, "nginx") >= _NGINX_CURVE
    client = "$ringmaster_client" if anonymise_clients else "$remote_addr"
    plain = {
        "@timestamp": "$time_iso8601",
        "source.address": client,
        "source.ip": client,
        "url.scheme": "$scheme",
        "url.domain": "$host",
        "url.original": "$request_uri",
        "url.path": "$ringmaster_path",
        "url.query": "$args",
        "http.request.method": "$request_method",
        "http.request.referrer": "$http_referer",
        "http.version": "$ringmaster_http_version",
        "http.response.status_code": "$status",
        "http.response.bytes": "$bytes_sent",
        "user_agent.original": "$http_user_agent",
        "event.duration": "${request_time}e9",
    }
    tls = {
        "tls.version_protocol": "tls",
        "tls.version": "$ringmaster_tls_version",
        "tls.cipher": "$ssl_cipher",
        **({"tls.curve": "$ringmaster_tls_curve"} if has_curve else {}),
        "tls.resumed": "$ringmaster_tls_resumed",
        "tls.client.server_name": "$ssl_server_name",
    }
    return [
        *_nginx_maps(has_curve=has_curve),
        *anonymous,
        f"log_format ringmaster_json escape=json '{_object('nginx.access', plain)}';",
        f"log_format ringmaster_json_tls escape=json '{_object('nginx.access', {**plain, **tls})}';",
        f"access_log {path} ringmaster_json if=$ringmaster_plain;",
        f"access_log {path} ringmaster_json_tls if=$https;",
    ]


def _nginx_map(source: str, target: str, entries: Mapping[str, str]) -> list[str]:
    return [f"map {source} {target} {{", *(f"    {key} {value};" for key, value in entries.items()), "}"]


def _nginx_maps(*, has_curve: bool) -> list[str]:
    """Return the variables that nginx does not have in the form that the schema wants."""
    curves = {"default": "$ssl_curve", **_GROUP_NUMBERS}
    path = '"~^(?<ringmaster_before_query>[^?]*)"'
    http = '"~^HTTP/(?<ringmaster_http_number>.+)$"'
    tls = '"~^TLSv(?<ringmaster_tls_number>1\\.[0-9])$"'
    return [
        *_nginx_map("$https", "$ringmaster_plain", {"default": "0", '""': "1"}),
        *_nginx_map("$request_uri", "$ringmaster_path", {path: "$ringmaster_before_query"}),
        *_nginx_map("$server_protocol", "$ringmaster_http_version", {http: "$ringmaster_http_number"}),
        *_nginx_map("$ssl_protocol", "$ringmaster_tls_version", {tls: "$ringmaster_tls_number", "TLSv1": "1.0"}),
        *_nginx_map("$ssl_session_reused", "$ringmaster_tls_resumed", {"default": "false", "r": "true"}),
        *(_nginx_map("$ssl_curve", "$ringmaster_tls_curve", curves) if has_curve else ()),
    ]


# /24 of IPv4 and /48 of IPv6. nginx writes an address as inet_ntop does: "::" stands for two groups of zeros or more,
# so what is in front of it in the first three groups is all that is not zero.
_NGINX_ANONYMOUS = [
    *_nginx_map(
        "$remote_addr",
        "$ringmaster_client",
        {
            '"~^(?<ringmaster_net4>[0-9]+\\.[0-9]+\\.[0-9]+)\\.[0-9]+$"': '"${ringmaster_net4}.0"',
            '"~^(?<ringmaster_mapped>::ffff:[0-9]+\\.[0-9]+\\.[0-9]+)\\.[0-9]+$"': '"${ringmaster_mapped}.0"',
            '"~^(?<ringmaster_net6>[0-9a-f]+(:[0-9a-f]+)?)::"': '"${ringmaster_net6}::"',
            '"~^(?<ringmaster_net48>[0-9a-f]+:[0-9a-f]+:[0-9a-f]+):"': '"${ringmaster_net48}::"',
            "default": '"::"',
        },
    ),
    "log_format ringmaster_combined '$ringmaster_client - $remote_user [$time_local] \"$request\" '",
    '                               \'$status $body_bytes_sent "$http_referer" "$http_user_agent"\';',
]


def apache_format(path: str, *, anonymise_clients: bool = False) -> list[str]:
    """Return lines for Apache's server configuration that write the log to ``path``; a virtual host inherits them.

    Without a path, no such log is written. They need mod_setenvif and mod_logio. With ``anonymise_clients`` the usual
    formats ``combined`` and ``vhost_combined`` are defined anew, with the anonymous address. Of a request that Apache
    cannot read, only what it answered is logged, because nothing is known of it that could be trusted to be JSON.
    """
    anonymous = _APACHE_ANONYMOUS if anonymise_clients else []
    if not path:
        return list(anonymous)
    client = "%{ringmaster_client}e" if anonymise_clients else "%a"
    plain = {
        "@timestamp": "%{end:%Y-%m-%dT%H:%M:%S%z}t",
        "source.address": client,
        "source.ip": client,
        "url.scheme": "%{REQUEST_SCHEME}x",
        "url.domain": "%{ringmaster_domain}e",
        "url.original": "%{ringmaster_original}e",
        "url.path": "%{ringmaster_path}e",
        "url.query": "%{ringmaster_query}e",
        "http.request.method": "%m",
        "http.request.referrer": "%{ringmaster_referrer}e",
        "http.version": "%{ringmaster_http_version}e",
        "http.response.status_code": "%>s",
        "http.response.bytes": "%O",
        "user_agent.original": "%{ringmaster_user_agent}e",
        "event.duration": "%De3",
    }
    tls = {
        "tls.version_protocol": "tls",
        "tls.version": "%{ringmaster_tls_version}e",
        "tls.cipher": "%{SSL_CIPHER}x",
        "tls.resumed": "%{ringmaster_tls_resumed}e",
        "tls.client.server_name": "%{ringmaster_server_name}e",
    }
    unread = {name: plain[name] for name in _APACHE_UNREAD}
    return [
        *_APACHE_VALUES,
        *anonymous,
        _apache_line(_object("apache.access", plain), "ringmaster_json"),
        _apache_line(_object("apache.access", {**plain, **tls}), "ringmaster_json_tls"),
        _apache_line(_object("apache.access", unread), "ringmaster_json_unread"),
        f"CustomLog {path} ringmaster_json env=ringmaster_plain",
        f"CustomLog {path} ringmaster_json_tls env=ringmaster_tls",
        f"CustomLog {path} ringmaster_json_unread env=!ringmaster_read",
    ]


def _apache_line(log_format: str, name: str) -> str:
    quoted = log_format.replace('"', '\\"')
    return f'LogFormat "{quoted}" {name}'


_APACHE_UNREAD = ("@timestamp", "http.response.status_code", "http.response.bytes", "event.duration")
# Printable ASCII alone: what else there may be, Apache would write as \xhh, which no reader of JSON accepts.
_APACHE_VALUES = [
    'SetEnvIfExpr "true" ringmaster_read=1',
    "SetEnvIfExpr \"%{HTTPS} == 'on'\" ringmaster_tls=1",
    "SetEnvIfExpr \"%{HTTPS} != 'on'\" ringmaster_plain=1",
    'SetEnvIfExpr "%{THE_REQUEST} =~ m#^[^ ]+ ([!-~]+)#" ringmaster_original=$1',
    'SetEnvIfExpr "%{THE_REQUEST} =~ m#^[^ ]+ ([!->@-~]+)#" ringmaster_path=$1',
    'SetEnvIfExpr "%{QUERY_STRING} =~ m#^([!-~]*)$#" ringmaster_query=$1',
    'SetEnvIfExpr "%{HTTP_HOST} =~ m#^([!-9;-~]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]*)?$#" ringmaster_domain=$1',
    # An expression that reads a header of the request makes Apache add it to Vary; these do not.
    'SetEnvIf Referer "^([ -~]*)$" ringmaster_referrer=$1',
    'SetEnvIf User-Agent "^([ -~]*)$" ringmaster_user_agent=$1',
    'SetEnvIfExpr "%{SERVER_PROTOCOL} =~ m#^HTTP/(.+)$#" ringmaster_http_version=$1',
    'SetEnvIfExpr "%{SSL_PROTOCOL} =~ m#^TLSv(1\\.[0-9])$#" ringmaster_tls_version=$1',
    "SetEnvIfExpr \"%{SSL_PROTOCOL} == 'TLSv1'\" ringmaster_tls_version=1.0",
    'SetEnvIfExpr "%{SSL_TLS_SNI} =~ m#^([!-~]*)$#" ringmaster_server_name=$1',
    'SetEnvIfExpr "true" ringmaster_tls_resumed=false',
    "SetEnvIfExpr \"%{SSL_SESSION_RESUMED} == 'Resumed'\" ringmaster_tls_resumed=true",
]
_APACHE_COMBINED = r"%{ringmaster_client}e %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""
_APACHE_ANONYMOUS = [
    'SetEnvIfExpr "true" ringmaster_client=::',
    'SetEnvIfExpr "%{REMOTE_ADDR} =~ m#^([0-9]+\\.[0-9]+\\.[0-9]+)\\.[0-9]+$#" ringmaster_client=$1.0',
    'SetEnvIfExpr "%{REMOTE_ADDR} =~ m#^([0-9a-f]+:[0-9a-f]+:[0-9a-f]+):#" ringmaster_client=$1::',
    'SetEnvIfExpr "%{REMOTE_ADDR} =~ m#^([0-9a-f]+(:[0-9a-f]+)?)::#" ringmaster_client=$1::',
    f'LogFormat "{_APACHE_COMBINED}" combined',
    f'LogFormat "%v:%p {_APACHE_COMBINED}" vhost_combined',
]


@dataclass(frozen=True)
class HAProxyFormat:
    """Lines for a ``frontend``: rules that keep what is gone when the log is written, and the ``log-format`` line."""

    rules: list[str]
    log_format: str


def haproxy_format(haproxy_version: str, *, tls: bool, anonymise_clients: bool = False) -> HAProxyFormat:
    """Return what a frontend logs in JSON; ``tls`` tells whether its sockets speak TLS."""
    client = "%[src,ipmask(24,48)]" if anonymise_clients else "%[src]"
    values = {
        "@timestamp": '%[date,utime("%Y-%m-%dT%H:%M:%SZ")]',
        "source.address": client,
        "source.ip": client,
        "url.scheme": "https" if tls else "http",
        **{name: f"%[var(txn.ringmaster_{short}),json(utf8s)]" for name, (short, _rule) in _HAPROXY_KEPT.items()},
        "http.response.status_code": "%ST",
        "http.response.bytes": "%B",
        "event.duration": "%Ta.0e6",
    }
    if tls:
        values.update(_haproxy_tls(has_curve=parse_version(haproxy_version, "haproxy") >= _HAPROXY_CURVE))
    return HAProxyFormat(
        rules=[f"http-request set-var(txn.ringmaster_{short}) {fetch}" for short, fetch in _HAPROXY_KEPT.values()],
        log_format=f"log-format '{_object('haproxy.access', values)}'",
    )


# Field -> the variable that keeps it, and where it comes from.
_HAPROXY_KEPT = {
    "url.domain": ("domain", "req.hdr(host),host_only,lower"),
    "url.original": ("original", "pathq"),
    "url.path": ("path", "path"),
    "url.query": ("query", "query"),
    "http.request.method": ("method", "method"),
    "http.request.referrer": ("referrer", "req.fhdr(referer)"),
    "http.version": ("http_version", "req.ver"),
    "user_agent.original": ("user_agent", "req.fhdr(user-agent)"),
}


def _haproxy_tls(*, has_curve: bool) -> dict[str, str]:
    return {
        "tls.version_protocol": "tls",
        "tls.version": "%[ssl_fc_protocol,regsub(^TLSv,),regsub(^1$,1.0)]",
        "tls.cipher": "%[ssl_fc_cipher]",
        **({"tls.curve": "%[ssl_fc_curve]"} if has_curve else {}),
        "tls.resumed": "%[ssl_fc_is_resumed,iif(true,false)]",
        "tls.client.server_name": "%[ssl_fc_sni,json(utf8s)]",
    }
