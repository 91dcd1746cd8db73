# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import apache_log, apache_syntax, apache_tls
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.apache import Apache, sites_of
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.apache_syntax import (
    Statement,
    exported_variables,
    read_configuration,
    words,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener, Site


def configuration(root: Path, text: str, **others: str) -> list[Statement]:
    """Read ``text`` as apache2.conf; ``others`` are files beside it, with underscores for slashes and dots."""
    for name, content in others.items():
        path = root / name.replace("__", "/").replace("_conf", ".conf")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (root / "apache2.conf").write_text(text)
    return read_configuration(str(root / "apache2.conf"), str(root), {"LOGS": "/var/log/apache2"})


def directives(root: Path, text: str, **others: str) -> list[tuple[str, ...]]:
    return [(each.name, *each.arguments) for each in configuration(root, text, **others)]


# --- syntax


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one  two\tthree", ("one", "two", "three")),
        ('"one two" three', ("one two", "three")),
        (r'"a \"quoted\" word"', ('a "quoted" word',)),
        ("'single quotes'", ("single quotes",)),
        ('""', ("",)),
    ],
)
def test_words(text: str, expected: tuple[str, ...]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Listen 1\n\nlisten 80\n", [("listen", "80")]),
        ("ServerAlias one \\\n  two\nListen 80", [("serveralias", "one", "two"), ("listen", "80")]),
        ("ErrorLog ${LOGS}/error.log", [("errorlog", "/var/log/apache2/error.log")]),
        ("ErrorLog ${NONE}/error.log", [("errorlog", "${NONE}/error.log")]),
        ("Define PORT 81\nListen ${PORT}", [("define", "PORT", "81"), ("listen", "81")]),
        ("<IfModule ssl_module>\nListen 443\n</IfModule>", []),
        ("<IfModule !ssl_module>\nListen 443\n</IfModule>", [("listen", "443")]),
        ("<IfModule mod_log_config.c>\nListen 443\n</IfModule>", [("listen", "443")]),
        ("<IfDefine PORT>\nListen 443\n</IfDefine>\nListen 80", [("listen", "80")]),
        ("<IfFile apache2.conf>\nListen 443\n</IfFile>", [("listen", "443")]),
        ("<IfModule no>\n<IfModule no>\nListen 1\n</IfModule>\nListen 2\n</IfModule>\nListen 3", [("listen", "3")]),
        ("<IfVersion >= 2.4>\nListen 443\n</IfVersion>", [("listen", "443")]),
    ],
)
def test_what_takes_effect(tmp_path: Path, text: str, expected: list[tuple[str, ...]]) -> None:
    assert directives(tmp_path, text) == expected


def test_a_loaded_module_is_there_under_both_of_its_names(tmp_path: Path) -> None:
    text = "LoadModule ssl_module mod_ssl.so\n<IfModule mod_ssl.c>\n<IfModule ssl_module>\nListen 443\n</IfModule>\n"
    assert directives(tmp_path, text + "</IfModule>")[1:] == [("listen", "443")]


@pytest.mark.parametrize("pattern", ["sites/*.conf", "sites", "{root}/sites/*.conf"])
def test_included_files_come_in_order_and_without_hidden_ones(tmp_path: Path, pattern: str) -> None:
    files = {"sites__b_conf": "Listen 2", "sites__a_conf": "Listen 1"}
    text = f"IncludeOptional {pattern.format(root=tmp_path)}\nListen 3"
    assert directives(tmp_path, text, **files) == [("listen", "1"), ("listen", "2"), ("listen", "3")]


def test_a_file_of_an_editor_is_not_included(tmp_path: Path) -> None:
    (tmp_path / ".swp.conf").write_text("Listen 1")
    assert directives(tmp_path, "IncludeOptional .swp.conf\nIncludeOptional *swp.conf") == [("listen", "1")]


def test_a_macro_is_what_its_lines_say(tmp_path: Path) -> None:
    text = "<Macro Site $name $names>\nServerName $name\nServerAlias $names\n</Macro>\nUse Site a.test b.test\n"
    assert directives(tmp_path, text) == [("servername", "a.test"), ("serveralias", "b.test")]


@pytest.mark.parametrize(
    "text",
    ["Include apache2.conf", "<Macro M>\nUse M\n</Macro>\nUse M", "Include missing.conf", "</VirtualHost>", "<If", "<"],
)
def test_what_never_ends_or_is_broken_ends(tmp_path: Path, text: str) -> None:
    assert directives(tmp_path, text) in ([], [("if",)], [("",)])


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apache_syntax, "_MAX_FILE_BYTES", 30)
    with pytest.raises(MeasurementError, match=r"sites\.conf: it is larger than 30 bytes.*Split it"):
        configuration(tmp_path, "Include sites.conf", sites_conf="Listen 80\n" * 4)


def test_variables_of_the_environment() -> None:
    text = "unset HOME\nexport APACHE_RUN_DIR=/var/run/apache2$SUFFIX\n## export NO=1\nexport LANG\n"
    assert exported_variables(text) == {"APACHE_RUN_DIR": "/var/run/apache2"}


# --- sites


def sites(root: Path, text: str) -> list[Site]:
    return sites_of(configuration(root, text))


def test_a_virtual_host_has_names_and_the_sockets_that_match(tmp_path: Path) -> None:
    text = """
Listen 80
Listen 192.0.2.7:443 https
Listen [2001:db8::7]:443
<VirtualHost *:443>
    ServerName https://shop.test:443
    ServerAlias www.shop.test *.shop.test
</VirtualHost>
<VirtualHost _default_:80>
    DocumentRoot /srv
</VirtualHost>
<VirtualHost 192.0.2.7>
    ServerName one.test
</VirtualHost>
"""
    both = (Listener("0.0.0.0", 80), Listener("::", 80))
    file = str(tmp_path / "apache2.conf")
    assert sites(tmp_path, text) == [
        Site(
            file,
            ("shop.test", "www.shop.test", "*.shop.test"),
            (Listener("192.0.2.7", 443), Listener("2001:db8::7", 443)),
        ),
        Site(file, ("_",), both),
        Site(file, ("one.test",), (*both, Listener("192.0.2.7", 443))),
    ]


@pytest.mark.parametrize("line", ["DocumentRoot /srv", "ProxyPass / http://127.0.0.1:8000/"])
def test_the_main_server_is_a_site_where_it_serves_something(tmp_path: Path, line: str) -> None:
    host = "<VirtualHost *:81>\nServerName other.test\n</VirtualHost>"
    text = f"Listen 0.0.0.0:80\nListen 0.0.0.0:81\nServerName main.test\n{line}\n{host}"
    assert sites(tmp_path, text)[-1] == Site(str(tmp_path / "apache2.conf"), ("main.test",), (Listener("0.0.0.0", 80),))


def test_the_main_server_of_the_distribution_is_no_site(tmp_path: Path) -> None:
    assert sites(tmp_path, "Listen 80\nServerName main.test\n<Directory /srv>\nRequire all granted\n</Directory>") == []


def test_names_that_are_looked_up_at_the_start() -> None:
    texts = [
        "Listen web.test:80\nListen 192.0.2.7:443\nListen *:81\nListen [2001:db8::7]:80\n",
        "<VirtualHost shop.test:443>\n  ProxyPass / http://app.test:8080/\n",
    ]
    assert Apache().upstream_names(texts) == {"web.test", "shop.test"}


# --- what Apache says

GRACEFUL = """\
[Sat Nov 28 14:24:47.000000 2026] [core:crit] [pid 7:tid 7] [client 192.0.2.1:5] AH00529: .htaccess: denied
[Sat Nov 28 14:24:50.926771 2026] [mpm_event:notice] [pid 7:tid 7] AH00493: SIGUSR1 received.  Doing graceful restart
(98)Address already in use: AH00072: make_sock: could not bind to address [::]:8099
[Sat Nov 28 14:24:50.939109 2026] [ssl:warn] [pid 7:tid 7] AH01873: Init: Session Cache is not configured
[Sat Nov 28 14:24:50.942716 2026] [ssl:emerg] [pid 7:tid 7] AH02565: Certificate and private key do not match
[Sat Nov 28 14:24:50.942734 2026] [:emerg] [pid 7:tid 7] AH00020: Configuration Failed, exiting
"""
ERRORS = [
    "(98)Address already in use: AH00072: make_sock: could not bind to address [::]:8099",
    "AH02565: Certificate and private key do not match",
    "AH00020: Configuration Failed, exiting",
]


def moment(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-11-28 14:24:40", ERRORS),
        ("2026-11-28 14:24:50", ERRORS),
        ("2026-11-28 14:24:51", []),
    ],
)
def test_errors_since_a_moment(tmp_path: Path, since: str, expected: list[str]) -> None:
    log = tmp_path / "error.log"
    log.write_text(GRACEFUL)
    assert apache_log.errors_since([str(log), str(tmp_path / "missing.log")], moment(since)) == expected


def test_what_a_program_of_a_site_says_is_no_error_of_the_configuration(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    log.write_text(GRACEFUL.splitlines()[1] + "\nsh: 1: convert: not found\n")
    assert apache_log.errors_since([str(log)], 0) == []


def test_a_log_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "error.log"
    os.mkfifo(pipe)
    assert apache_log.errors_since([str(pipe)], 0) == []


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "AH00558: apache2: Could not reliably determine the name\nAH00526: Syntax error on line 2 of /etc/x.conf:\n"
            "Cannot define multiple Listeners\nAction '-t' failed.\nThe Apache error log may have more information.\n",
            "AH00526: Syntax error on line 2 of /etc/x.conf:\nCannot define multiple Listeners",
        ),
        (GRACEFUL, "AH00529: .htaccess: denied\n" + "\n".join(ERRORS[1:])),
        ("Syntax OK", "Syntax OK"),
    ],
)
def test_explanation(output: str, expected: str) -> None:
    assert Apache().explanation(output).replace("[client 192.0.2.1:5] ", "") == expected


# --- what OpenSSL would say


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make certificate.pem with its key.pem, and other.pem, which is a key of something else."""
    directory = tmp_path_factory.mktemp("pair")
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    for name in ("key", "other"):
        openssl("genpkey", *curve, "-out", str(directory / f"{name}.pem"))
    request = ("req", "-x509", "-subj", "/CN=one.test", "-days", "2")
    openssl(*request, "-key", str(directory / "key.pem"), "-out", str(directory / "certificate.pem"))
    return directory


def test_what_openssl_takes_is_no_problem(tmp_path: Path, pair: Path) -> None:
    text = f"""
SSLCipherSuite @SECLEVEL=0:ECDHE-RSA-AES128-GCM-SHA256
SSLCipherSuite TLSv1.3 TLS_AES_128_GCM_SHA256
SSLOpenSSLConfCmd Curves X25519:prime256v1
SSLCertificateFile {pair}/certificate.pem
SSLCertificateKeyFile {pair}/key.pem
"""
    assert apache_tls.problems(configuration(tmp_path, text)) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("SSLCipherSuite NONE-SUCH", "apache2.conf:1: OpenSSL does not take NONE-SUCH"),
        ("SSLCipherSuite TLSv1.3 TLS_NONE", "apache2.conf:1: OpenSSL does not take TLS_NONE"),
        ("SSLOpenSSLConfCmd Curves X25519:none", "apache2.conf:1: OpenSSL does not take X25519:none"),
        ("SSLOpenSSLConfCmd Groups none", "apache2.conf:1: OpenSSL does not take none"),
        (
            "SSLCertificateFile {pair}/certificate.pem\nSSLCertificateKeyFile {pair}/other.pem",
            "/other.pem: it does not fit {pair}/certificate.pem (KEY_VALUES_MISMATCH)",
        ),
        (
            "SSLCertificateFile {pair}/certificate.pem\nSSLCertificateKeyFile {pair}/missing.pem",
            "/certificate.pem, {pair}/missing.pem: No such file or directory",
        ),
    ],
)
def test_what_openssl_does_not_take_is_said(tmp_path: Path, pair: Path, line: str, complaint: str) -> None:
    (found,) = apache_tls.problems(configuration(tmp_path, line.format(pair=pair)))
    assert found.endswith(complaint.format(pair=pair))


def test_the_library_is_the_one_that_the_linker_finds() -> None:
    # Any program that is linked as mod_ssl is will do.
    program = shutil.which("openssl")
    assert program is not None
    printed = subprocess.run([program, "version"], check=True, capture_output=True, text=True).stdout
    # "OpenSSL 3.0.19 ... (Library: OpenSSL 3.0.22 ...)"
    assert apache_tls.openssl_version(Path(program)) == re.findall(r"OpenSSL (\S+)", printed)[-1]


def test_a_module_without_openssl_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="the OpenSSL of"):
        apache_tls.openssl_version(tmp_path / "mod_ssl.so")
