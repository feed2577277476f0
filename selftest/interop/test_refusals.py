# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom givc-admin does not let in, as AccessService.WatchDecisions and givcctl auth log tell of it: wrong certificates of
every kind, at a rate that a hostile peer does not set."""

import contextlib
import json
import os
import re
import socket
import ssl
import subprocess

import pytest

from admin_fleet import TIMEOUT, pb
from test_access import admin, certificates, denial, rules  # noqa: F401 (fixtures)
from test_decisions import ADMIN, Decisions, Log, Teller, more_rules, registered  # noqa: F401 (a fixture among them)

Refusal = pb.msg("access.Refusal")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def make(*arguments):
    subprocess.run([os.environ["MAKE_CERTS"], *arguments], check=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def strangers(certificates, tmp_path_factory):  # noqa: F811
    """A directory with certificates of app-vm that will not do, in members of their own."""
    directory = tmp_path_factory.mktemp("strangers")
    ours = ("--ca-dir", certificates)
    make(directory / "elsewhere", "app-vm=127.0.0.1")
    make(*ours, "--expired", directory / "expired", "app-vm=127.0.0.1")
    make(*ours, directory / "moved", "app-vm=10.9.8.7")
    make(*ours, "--no-dns", directory / "nameless", "app-vm=127.0.0.1")
    make(*ours, directory / "purpose", "app-vm=127.0.0.1")
    certify_as_server(certificates, directory / "purpose/app-vm")
    return directory


def certify_as_server(ca, member):
    """Another certificate for the member's key: one that is for servers alone."""
    extensions = member / "extensions"
    extensions.write_text("subjectAltName = DNS:app-vm, IP:127.0.0.1\nextendedKeyUsage = serverAuth\n")
    request = ["openssl", "req", "-new", "-key", member / "key.pem", "-subj", "/CN=app-vm", "-out", member / "request.pem"]
    sign = ["openssl", "x509", "-req", "-in", member / "request.pem", "-CA", ca / "ca-cert.pem", "-CAkey", ca / "ca-key.pem"]
    for command in (request, [*sign, "-set_serial", "4711", "-extfile", extensions, "-out", member / "cert.pem"]):
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def context_of(member=None, version=None):
    """That of a client, by OpenSSL, who does not look at what the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if member:
        context.load_cert_chain(member / "cert.pem", member / "key.pem")
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def knock(admin, source, member=None, version=None, in_clear=False):  # noqa: F811
    """Connects from that address, and stays until it is thrown out."""
    with socket.create_connection(("127.0.0.1", admin.port), TIMEOUT, (source, 0)) as sock:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            stream = sock if in_clear else context_of(member, version).wrap_socket(sock)
            stream.sendall(PREFACE)
            while stream.recv(1000):
                pass


def greet(admin, source, member):  # noqa: F811
    """Connects from that address, with a certificate that the handshake takes, and leaves."""
    with socket.create_connection(("127.0.0.1", admin.port), TIMEOUT, (source, 0)) as sock:
        with context_of(member).wrap_socket(sock) as stream:
            stream.sendall(PREFACE)
            assert stream.recv(1000)  # its SETTINGS


CASES = {
    "expired": ("app-vm", "peer's certificate has expired"),
    "elsewhere": ("app-vm", "peer's certificate is of an unknown CA"),
    "purpose": ("app-vm", "peer's certificate is not for this side of TLS (extended key usage)"),
}


def test_every_wrong_certificate_is_told_of(admin, strangers):  # noqa: F811
    silent, watch = Decisions(admin), Decisions(admin, Refusals=True)
    assert silent.source() == watch.source() == ADMIN

    def expect(source, claimed, reason):
        said = watch.next("Refusal")
        assert (said.VmName, said.Daemon, said.Address) == ("admin-vm", "givc-admin", source)
        assert (said.Claimed, said.Reason) == (claimed, reason) and said.TimeUsec > 0
        return said

    for i, (kind, (claimed, reason)) in enumerate(CASES.items()):
        knock(admin, f"127.0.0.{i + 10}", strangers / kind / "app-vm")
        said = expect(f"127.0.0.{i + 10}", claimed, reason)
        assert re.fullmatch("[0-9a-f]{2,42}", said.Serial) and (kind != "purpose" or said.Serial == "1267")
        admin.expect_log(rf"Connection of 127.0.0.{i + 10} refused: {re.escape(reason)} \(it is in the name of app-vm\)")
    knock(admin, "127.0.0.20")
    assert expect("127.0.0.20", "", "peer sent no certificate").Serial == ""
    knock(admin, "127.0.0.21", strangers / "moved/app-vm", ssl.TLSVersion.TLSv1_2)
    expect("127.0.0.21", "", "peer offers no TLS 1.3 (protocol version)")
    knock(admin, "127.0.0.22", in_clear=True)
    expect("127.0.0.22", "", "peer does not speak TLS (plain text?)")
    greet(admin, "127.0.0.23", strangers / "moved/app-vm")
    expect("127.0.0.23", "app-vm", "IP 127.0.0.23 not in certificate SAN")
    greet(admin, "127.0.0.1", strangers / "nameless/app-vm")
    expect("127.0.0.1", "", "certificate has no DNS name")

    denial(admin.stub().Poweroff)  # who has not asked for refusals hears of nothing but this
    assert silent.decision().Peer == watch.decision().Peer == "gui-vm"


def test_who_knocks_again_and_again_is_told_of_as_in_the_journal(admin, strangers):  # noqa: F811
    watch = Decisions(admin, Refusals=True)
    watch.source()
    for _ in range(30):
        knock(admin, "127.0.0.10", strangers / "elsewhere/app-vm")
    knock(admin, "127.0.0.11", strangers / "elsewhere/app-vm")
    assert [watch.next("Refusal").Address for _ in range(4)] == ["127.0.0.10"] * 3 + ["127.0.0.11"]
    assert admin.log.count("Connection of 127.0.0.10 refused") == 3


def test_those_of_agents_are_passed_on_under_their_names(admin, certificates):  # noqa: F811
    teller = Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller):
        watch, silent = Decisions(admin, Refusals=True), Decisions(admin)
        for some in (watch, silent):
            assert {some.source()[0], some.source()[0]} == {"admin-vm", "app-vm"}
        teller.refuse(Address="10.0.0.7", Claimed="net-vm", Reason="expired")
        said = watch.next("Refusal")
        assert (said.VmName, said.Daemon, said.Address, said.Claimed) == ("app-vm", "givc-agent", "10.0.0.7", "net-vm")
        assert said.Reason == "expired"
        teller.deny()
        assert silent.decision().VmName == watch.decision().VmName == "app-vm"


def test_an_agent_without_access_control_tells_of_refusals_alone(admin, certificates):  # noqa: F811
    teller = Teller(off="access control is off")
    with registered(admin, certificates, "app-vm", AccessService=teller):
        watch = Decisions(admin, Refusals=True, VmName="app-vm")
        assert watch.source() == ("app-vm", "givc-agent", False, "access control is off")
        teller.refuse(Address="10.0.0.7")
        assert watch.next("Refusal").Address == "10.0.0.7"


def test_givcctl_shows_them(admin, certificates, strangers):  # noqa: F811
    teller = Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller):
        with Log(admin, certificates) as log:
            assert {log.error(), log.error()} == {"admin-vm givc-admin is followed\n", "app-vm givc-agent is followed\n"}
            knock(admin, "127.0.0.10", strangers / "purpose/app-vm")
            assert re.fullmatch(
                r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d admin-vm givc-admin: refused 127.0.0.10, certificate in the name of app-vm, "
                r"serial 1267: peer's certificate is not for this side of TLS \(extended key usage\)\n",
                log.line(),
            )
            knock(admin, "127.0.0.11")
            assert log.line().endswith("refused 127.0.0.11: peer sent no certificate\n")
            teller.refuse(Address="\033[1m", Serial="0a", Reason="\nbad")
            said = "refused \\x1b[1m, certificate with serial 0a: \\nbad\n"
            assert log.line().endswith(said.replace("\\n", "\\x0a"))


def test_givcctl_prints_them_as_json(admin, certificates, strangers):  # noqa: F811
    with Log(admin, certificates, "--json", "--limit=2") as log:
        assert log.object()["followed"]
        knock(admin, "127.0.0.10", strangers / "purpose/app-vm")
        said = log.object()
        assert said.pop("time") > 0
        assert said == {
            "vm": "admin-vm",
            "daemon": "givc-admin",
            "decision": "refuse",
            "address": "127.0.0.10",
            "claimed": "app-vm",
            "serial": "1267",
            "reason": "peer's certificate is not for this side of TLS (extended key usage)",
        }
        knock(admin, "127.0.0.11")
        said = json.loads(log.line())
        assert said["claimed"] is said["serial"] is None
        assert log.end() == 0
