# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutual TLS 1.3 and nothing less: who is refused, by our server and by our client, and what the log says of it."""

import contextlib
import socket
import ssl
import threading

import grpc
import pytest

import h2raw
import harness
import transports
from h2raw import grpc_headers, grpc_message
from harness import TIMEOUT, Request, pb

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE.value[0]


@pytest.fixture
def server(certificates):
    with harness.Server(certificates=certificates / "server") as server:
        yield server


@pytest.fixture
def tls(certificates):
    return transports.make("tls", certificates, None)


def context_of(ca, member=None, alpn=("h2",), version=None):
    """A client's, by OpenSSL: with a member's certificate, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca / "ca-cert.pem")
    if member:
        context.load_cert_chain(member / "cert.pem", member / "key.pem")
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def connect(address, context, session=None):
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)), TIMEOUT)
    try:
        return context.wrap_socket(sock, server_hostname="server", session=session)
    except Exception:
        sock.close()
        raise


def is_served(sock):
    with h2raw.Connection(sock) as connection:
        connection.open()
        headers = (*grpc_headers()[:1], (":scheme", "https"), *grpc_headers()[2:])
        connection.request(1, grpc_message(b""), headers)
        return connection.receive_response(1)[0]["grpc-status"] == "0"


def is_refused(address, context):
    """In TLS 1.3 a client learns only after its handshake what the server thinks of its certificate."""
    try:
        with connect(address, context) as sock:
            sock.sendall(h2raw.PREFACE + h2raw.settings())
            return sock.recv(1000) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_good_client(server, certificates):
    context = context_of(certificates, certificates / "client")
    with connect(server.address, context) as sock:
        assert (sock.version(), sock.selected_alpn_protocol()) == ("TLSv1.3", "h2")
        assert is_served(sock)
    assert server.expect("connected")["tag"] == "client"


CLIENTS = {
    "expired": (lambda c: context_of(c, c / "expired"), "expired"),
    "of another CA": (lambda c: context_of(c, c / "elsewhere" / "client"), "unknown CA"),
    "no certificate": (lambda c: context_of(c), "no certificate"),
    "TLS 1.2": (lambda c: context_of(c, c / "client", version=ssl.TLSVersion.TLSv1_2), "TLS 1.3"),
    "no ALPN": (lambda c: context_of(c, c / "client", alpn=None), "h2"),
    "ALPN without h2": (lambda c: context_of(c, c / "client", alpn=("http/1.1",)), "h2"),
}


@pytest.mark.parametrize("case", CLIENTS)
def test_refused_client(server, certificates, tls, case):
    make_context, reason = CLIENTS[case]
    assert is_refused(server.address, make_context(certificates))
    server.expect_log(rf"127\.0\.0\.1.*{reason}")
    assert server.events("connected") == []
    with tls.channel(server.address) as channel:
        assert pb.stub(channel, "echo.Echo").Unary(Request(payload=b"still"), timeout=TIMEOUT).payload == b"still"


def test_nameless_client(server, certificates):
    """It is certified; whether it may do anything without a name is for the access room to say."""
    with connect(server.address, context_of(certificates, certificates / "nameless")) as sock:
        assert is_served(sock)
    assert server.expect("connected")["tag"] == "127.0.0.1"


def test_no_session_is_resumed(server, certificates):
    """Every connection shows its certificate."""
    context = context_of(certificates, certificates / "client")
    with connect(server.address, context) as sock:
        assert is_served(sock)
        session = sock.session
    with connect(server.address, context, session) as sock:
        assert is_served(sock)
        assert not sock.session_reused


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        h2raw.PREFACE,
        b"\x16\x03\x01\xff\xff" + bytes(1000),
        b"\x80\x2e\x01\0\x02",
        bytes(5000),
    ],
    ids=["HTTP/1.1", "h2 in clear", "a record too large", "SSL 2", "zeroes"],
)
def test_what_is_no_tls(server, tls, text):
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT) as sock:
        sock.sendall(text)
        with contextlib.suppress(ConnectionError):
            while sock.recv(1000):
                pass
    server.expect_log(r"127\.0\.0\.1 refused")
    with tls.channel(server.address) as channel:
        assert pb.stub(channel, "echo.Echo").Unary(Request(payload=b"still"), timeout=TIMEOUT).payload == b"still"


def test_handshake_that_does_not_end(certificates):
    with harness.Server("--handshake-msec", "200", certificates=certificates / "server") as server:
        host, _, port = server.address.rpartition(":")
        for start in (b"", b"\x16\x03\x01"):
            with socket.create_connection((host, int(port)), TIMEOUT) as sock:
                sock.sendall(start)
                with contextlib.suppress(ConnectionError):
                    assert sock.recv(1000) == b""
        server.expect_log(r"127\.0\.0\.1 refused")


def test_addresses_of_this_machine_are_one(certificates):
    """Its users have as many as they like."""
    with harness.Server(certificates=certificates / "server") as server, contextlib.ExitStack() as stack:
        host, _, port = server.address.rpartition(":")
        for number in range(1, 71):
            stack.enter_context(socket.create_connection((host, int(port)), TIMEOUT, (f"127.0.1.{number}", 0)))
        server.expect_log(r"127\.0\.0\.1 takes too much: it has 64 connections")


def test_new_certificates(server, certificates, tls):
    """They are for connections to come: the one that stands keeps its own."""
    elsewhere = certificates / "elsewhere"
    with tls.channel(server.address) as channel:
        stub = pb.stub(channel, "echo.Echo")
        assert stub.Unary(Request(payload=b"before"), timeout=TIMEOUT).payload == b"before"
        server.command("certificates", directory=str(elsewhere / "server"))
        assert stub.Unary(Request(payload=b"after"), timeout=TIMEOUT).payload == b"after"
        assert is_refused(server.address, context_of(elsewhere, certificates / "client"))
        with connect(server.address, context_of(elsewhere, elsewhere / "client")) as sock:
            assert is_served(sock)


# Our client


def fails_to_connect(address, certificates, *arguments, **options):
    """Why."""
    with harness.Client(address, "--once", *arguments, certificates=certificates / "client", **options) as client:
        end = client.finished(client.unary(Request(), timeout_msec=TIMEOUT * 1000))
        assert end["code"] == UNAVAILABLE
        return end["message"]


def test_server_that_has_expired(certificates):
    with harness.Server(certificates=certificates / "expired") as server:
        reason = fails_to_connect(server.address, certificates, server_name="expired")
        assert "expired" in reason
        server.expect_log(r"127\.0\.0\.1 refused")


def test_server_of_another_ca(certificates):
    with harness.Server(certificates=certificates / "elsewhere" / "server") as server:
        assert "CA" in fails_to_connect(server.address, certificates)


def test_server_of_another_name(server, certificates):
    assert "name" in fails_to_connect(server.address, certificates, server_name="somebody")


def test_server_without_a_name(certificates):
    with harness.Server(certificates=certificates / "nameless") as server:
        assert "name" in fails_to_connect(server.address, certificates, server_name="nameless")


def test_client_that_is_refused(server, certificates):
    """What the server has against it is an alert, which the client passes on."""
    with harness.Client(server.address, "--once", certificates=certificates / "expired") as client:
        end = client.finished(client.unary(Request()))
        assert end["code"] == UNAVAILABLE
        assert "certificate_expired" in end["message"], end
    server.expect_log("expired")


@contextlib.contextmanager
def openssl_server(context):
    """Takes one connection, and answers nothing."""

    def serve():
        sock, _ = listener.accept()
        sock.settimeout(TIMEOUT)
        with contextlib.suppress(OSError):
            with context.wrap_socket(sock, server_side=True) as secure:
                while secure.recv(1000):
                    pass
        sock.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(TIMEOUT)


@pytest.mark.parametrize(
    "alpn, version, reason",
    [
        (("h2",), ssl.TLSVersion.TLSv1_2, "protocol_version|TLS 1.3|version"),
        ((), ssl.TLSVersion.TLSv1_3, "h2|ALPN"),
        (("http/1.1",), ssl.TLSVersion.TLSv1_3, "h2|ALPN|no_application_protocol"),
    ],
    ids=["TLS 1.2", "no ALPN", "ALPN without h2"],
)
def test_server_that_knows_less(certificates, alpn, version, reason):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server" / "cert.pem", certificates / "server" / "key.pem")
    context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    with openssl_server(context) as address:
        message = fails_to_connect(address, certificates)
    assert any(word in message for word in reason.split("|")), message
