# SPDX-License-Identifier: GPL-2.0-or-later
"""Our client: against grpcio's server and against ours, every kind of call on every kind of address; and against
servers that go away, come back, and misbehave."""

import base64
import contextlib
import os
import socket

import grpc
import pytest

import h2raw
import harness
from echo_grpcio import Echo
from h2raw import END_HEADERS, END_STREAM, frame, grpc_message
from harness import MESSAGE_LIMIT, Outcome, Request, request_of

OK = 0
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
MESSAGE = "größer als 100 %\n\tund noch 漢字 \U0001f427"


def number(code):
    return code.value[0]


@pytest.fixture(params=["ours", "grpcio"])
def peer(request, transport):
    """A server, whose events can be awaited, and which has an address."""
    if request.param == "ours":
        with transport.server() as server:
            yield server
        return
    echo = Echo()
    server, echo.address = transport.grpcio_server(echo.handler())
    yield echo
    server.stop(None).wait()


@pytest.fixture
def client(transport, peer):
    with transport.client(peer.address) as client:
        yield client


# Kinds and sizes


@pytest.mark.parametrize("size", [0, 7, 1000, 16384, 70000, 1024 * 1024, MESSAGE_LIMIT])
def test_unary(client, size):
    request = request_of(size) if size > 0 else Request()
    call = client.unary(request)
    assert client.finished(call)["code"] == OK
    assert client.reply(call).bytes == len(request.payload)


@pytest.mark.parametrize("size", [1, 1024 * 1024, MESSAGE_LIMIT - 64])
def test_unary_reply(client, size):
    call = client.unary(Request(reply_bytes=size))
    assert client.finished(call)["code"] == OK
    assert len(client.reply(call).payload) == size


def test_client_stream(client):
    call = client.call("ClientStream")
    sizes = [0, 1, 1000, 1024 * 1024, MESSAGE_LIMIT - 64, 5]
    for size in sizes:
        client.send(call, Request(payload=b"x" * size))
    client.send(call, Request(payload=b"12345678"), times=20000, half_close=True)
    reply = client.reply(call)
    assert (reply.messages, reply.bytes) == (len(sizes) + 20000, sum(sizes) + 160000)
    assert client.finished(call)["code"] == OK


def test_server_stream(client):
    call = client.call("ServerStream")
    client.send(call, Request(replies=500, reply_bytes=10000), half_close=True)
    replies = [client.reply(call) for _ in range(500)]
    assert [reply.messages for reply in replies] == list(reversed(range(500)))
    assert all(len(reply.payload) == 10000 for reply in replies)
    assert client.finished(call)["code"] == OK


def test_bidi(client):
    """Each request waits for the answer to the one before."""
    call = client.call("Bidi")
    for i in range(100):
        payload = bytes([i]) * i * 100
        client.send(call, Request(payload=payload))
        assert client.reply(call).payload == payload
    client.command("half-close", id=call)
    assert client.finished(call)["code"] == OK


def test_bidi_of_large_messages(client):
    call = client.call("Bidi")
    payload = os.urandom(1024 * 1024)
    client.send(call, Request(payload=payload), times=30, half_close=True)
    assert all(client.reply(call).payload == payload for _ in range(30))
    assert client.finished(call)["code"] == OK


def test_empty_streams(client):
    for method in ("ClientStream", "Bidi"):
        call = client.call(method)
        client.command("half-close", id=call)
        assert client.finished(call)["code"] == OK


def test_request_over_the_limit(client):
    call = client.call("Unary")
    client.send(call, request_of(MESSAGE_LIMIT + 1))
    client.expect("send-failed", id=call)
    client.command("cancel", id=call)
    call = client.unary(Request(payload=b"still"))
    assert client.reply(call).payload == b"still"


def test_reply_over_the_limit(transport, peer):
    with transport.client(peer.address, "--message-bytes", "100000") as client:
        for method in ("Unary", "ServerStream"):
            call = client.call(method)
            client.send(call, Request(reply_bytes=100000, replies=1), half_close=True)
            assert client.finished(call)["code"] == number(grpc.StatusCode.RESOURCE_EXHAUSTED)
        call = client.unary(Request(payload=b"still"))
        assert client.reply(call).payload == b"still"


def test_many_at_once(client):
    """More than the server lets be open at once: the rest waits here."""
    calls = [client.unary(Request(payload=str(i).encode())) for i in range(1000)]
    for i, call in enumerate(calls):
        assert client.finished(call)["code"] == OK
        assert client.reply(call).payload == str(i).encode()


# Status


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_status(client, code):
    outcome = Outcome(code=number(code), message=MESSAGE, detail="warum: \u00fc")
    call = client.unary(Request(outcome=outcome))
    end = client.finished(call)
    assert (end["code"], end["message"]) == (number(code), MESSAGE)
    assert end["details"].endswith("warum: \u00fc".encode())


def test_status_after_messages(client):
    call = client.call("ServerStream")
    outcome = Outcome(code=number(grpc.StatusCode.ABORTED), message="half way")
    client.send(call, Request(replies=3, outcome=outcome), half_close=True)
    assert [client.reply(call).messages for _ in range(3)] == [2, 1, 0]
    end = client.finished(call)
    assert (end["code"], end["message"]) == (number(grpc.StatusCode.ABORTED), "half way")


def test_status_before_the_requests_end(client):
    call = client.call("ClientStream")
    outcome = Outcome(code=number(grpc.StatusCode.OUT_OF_RANGE), message="enough")
    client.send(call, Request(payload=b"first"))
    client.send(call, Request(outcome=outcome))
    client.send(call, Request(payload=b"x" * 10000), times=10000)
    end = client.finished(call)
    assert (end["code"], end["message"]) == (number(grpc.StatusCode.OUT_OF_RANGE), "enough")
    call = client.unary(Request(payload=b"still"))
    assert client.reply(call).payload == b"still"


def test_unknown_method(client):
    call = client.call("Absent")
    client.send(call, Request(), half_close=True)
    assert client.finished(call)["code"] == number(grpc.StatusCode.UNIMPLEMENTED)


# Metadata


def test_metadata(client):
    binary = base64.b64encode(bytes(range(256))).decode().rstrip("=")
    keys = ["text", "some-bin", "absent"]
    call = client.call("Unary", metadata=["text", "plain", "some-bin", binary], want=keys)
    client.send(call, Request(metadata=keys), half_close=True)
    end = client.finished(call)
    assert end["code"] == OK
    assert end["metadata"]["text"] == "plain"
    assert end["metadata"]["some-bin"].rstrip("=") == binary
    assert "absent" not in end["metadata"]


# Deadlines and cancellation


def test_deadline_is_seen(client):
    call = client.unary(Request())
    assert not client.reply(call).has_deadline
    call = client.unary(Request(), timeout_msec=30000)
    assert 20_000_000 < client.reply(call).remaining_usec <= 30_000_000


def test_deadline_passes(client, peer):
    client.finished(client.unary(Request()))  # so that there is a connection
    call = client.unary(Request(tag="slow", hang=True), timeout_msec=500)
    peer.expect("open", tag="slow")
    end = client.finished(call)
    assert end["code"] == number(grpc.StatusCode.DEADLINE_EXCEEDED)
    peer.expect("gone", tag="slow")


def test_cancel(client, peer):
    for method in ("Unary", "ServerStream", "Bidi"):
        call = client.call(method)
        client.send(call, Request(tag=method, hang=True), half_close=method != "Bidi")
        peer.expect("open", tag=method)
        client.command("cancel", id=call)
        client.expect("cancelled", id=call)
        peer.expect("gone", tag=method)
    call = client.unary(Request(payload=b"still"))
    assert client.reply(call).payload == b"still"
    assert client.finished(call)["code"] == OK
    assert client.events("finished") == []


def test_a_client_that_dies(transport, peer):
    with transport.client(peer.address) as client:
        client.unary(Request(tag="orphan", hang=True))
        peer.expect("open", tag="orphan")
    peer.expect("gone", tag="orphan")


# Connections that are not there, that go, and that come back


@contextlib.contextmanager
def reserved_port():
    """An address of which nobody listens, and which nobody else gets meanwhile."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def test_nobody_there():
    with reserved_port() as address, harness.Client(address, "--once") as client:
        end = client.finished(client.unary(Request()))
        assert end["code"] == number(grpc.StatusCode.UNAVAILABLE)
        assert "refused" in end["message"]
        # With "once" there is nothing to wait for.
        end = client.finished(client.unary(Request(), wait_for_ready=True))
        assert end["code"] == number(grpc.StatusCode.UNAVAILABLE)


def test_wait_for_ready_until_the_deadline():
    with reserved_port() as address, harness.Client(address, "--backoff-msec", "50") as client:
        end = client.finished(client.unary(Request(), wait_for_ready=True, timeout_msec=400))
        assert end["code"] == number(grpc.StatusCode.DEADLINE_EXCEEDED)
        assert "refused" in end["message"]


def test_wait_for_ready():
    """The call is there before the server is."""
    with reserved_port() as address:
        with harness.Client(address, "--backoff-msec", "50") as client:
            waits = client.unary(Request(payload=b"waits"), wait_for_ready=True)
            client.expect("state", state="failed")
            fails = client.unary(Request(payload=b"does not"))
            assert client.finished(fails)["code"] == number(grpc.StatusCode.UNAVAILABLE)
            with harness.Server(listen=address):
                assert client.reply(waits).payload == b"waits"
                client.expect("state", state="ready")


def test_reconnect(transport):
    """A server that is killed with calls under way, and started again."""
    first = transport.server()
    with transport.client(first.address, "--backoff-msec", "50") as client:
        client.command("connect")
        client.expect("state", state="ready")
        call = client.unary(Request(tag="lost", hang=True))
        first.expect("open", tag="lost")
        first.kill()
        end = client.finished(call)
        assert end["code"] == number(grpc.StatusCode.UNAVAILABLE)
        assert client.expect("state", state="failed")["reason"]
        with transport.server(listen=first.address):
            client.expect("state", state="ready")
            call = client.unary(Request(payload=b"back"))
            assert client.reply(call).payload == b"back"


def test_drain(transport):
    """GOAWAY: calls under way are done, new ones go elsewhere or fail; then the server is drained."""
    with transport.server() as server, transport.client(server.address, "--once") as client:
        call = client.call("Bidi")
        client.send(call, Request(payload=b"before"))
        assert client.reply(call).payload == b"before"
        server.command("drain")
        client.expect("state", state="failed")
        late = client.unary(Request())
        assert client.finished(late)["code"] == number(grpc.StatusCode.UNAVAILABLE)
        client.send(call, Request(payload=b"after"))
        assert client.reply(call).payload == b"after"
        assert server.events("drained") == []
        client.command("half-close", id=call)
        assert client.finished(call)["code"] == OK
        server.expect("drained")


def test_drain_of_an_idle_server(transport):
    with transport.server() as server, transport.client(server.address, "--once") as client:
        client.command("connect")
        client.expect("state", state="ready")
        server.command("drain")
        server.expect("drained")
    with transport.server() as server:
        server.command("drain")
        server.expect("drained")


def test_grpcios_drain(transport):
    echo = Echo()
    server, address = transport.grpcio_server(echo.handler())
    with transport.client(address, "--backoff-msec", "50") as client:
        call = client.call("Bidi")
        client.send(call, Request(payload=b"before"))
        assert client.reply(call).payload == b"before"
        stopping = server.stop(grace=10)
        client.expect("state", state="failed")
        client.send(call, Request(payload=b"after"))
        assert client.reply(call).payload == b"after"
        client.command("half-close", id=call)
        assert client.finished(call)["code"] == OK
        stopping.wait()
        # To another one at that address it goes by itself.
        with transport.server(listen=address):
            call = client.unary(Request(payload=b"back"), wait_for_ready=True)
            assert client.reply(call).payload == b"back"


# Servers that misbehave: frame by frame


@contextlib.contextmanager
def raw_server(*arguments):
    """Our client, in clear, and the raw server's end of its connection, opened."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with harness.Client(address, "--once", *arguments) as client:
            client.command("connect")
            sock, _ = listener.accept()
            with h2raw.Connection(sock) as connection:
                connection.receive_preface()
                connection.send(h2raw.settings())
                assert connection.receive_type(h2raw.SETTINGS).flags == 0
                connection.send(frame(h2raw.SETTINGS, h2raw.ACK))
                client.expect("state", state="ready")
                yield client, connection


GRPC = ((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = (("grpc-status", "0"),)


def respond(connection, stream, headers, data=b"", trailers=()):
    connection.respond(stream, *headers, end=not data and not trailers)
    if data:
        connection.send(frame(h2raw.DATA, 0 if trailers else END_STREAM, stream, data))
    if trailers:
        connection.respond(stream, *trailers, end=True)


def outcome_of(*answer):
    """How a unary call ends that is so answered."""
    with raw_server() as (client, connection):
        call = client.unary(Request())
        stream, _ = connection.receive_headers()
        respond(connection, stream, *answer)
        return client.finished(call)


def test_request_headers():
    """What PROTOCOL-HTTP2 asks for."""
    with raw_server() as (client, connection):
        client.unary(Request(), timeout_msec=1500, metadata=["key", "value"])
        _, headers = connection.receive_headers()
        assert sorted(list(headers)[:4]) == [":authority", ":method", ":path", ":scheme"]
        timeout = headers.pop("grpc-timeout")
        units = {"m": 1e-3, "u": 1e-6, "n": 1e-9}
        assert 1 < int(timeout[:-1]) * units[timeout[-1]] <= 1.5
        headers.pop("user-agent", None)
        assert headers == {
            ":method": "POST",
            ":scheme": "http",
            ":path": "/echo.Echo/Unary",
            ":authority": "server",
            "te": "trailers",
            "content-type": "application/grpc",
            "key": "value",
        }


# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
HTTP_STATUSES = {
    "400": grpc.StatusCode.INTERNAL,
    "401": grpc.StatusCode.UNAUTHENTICATED,
    "403": grpc.StatusCode.PERMISSION_DENIED,
    "404": grpc.StatusCode.UNIMPLEMENTED,
    "429": grpc.StatusCode.UNAVAILABLE,
    "500": grpc.StatusCode.UNKNOWN,
    "502": grpc.StatusCode.UNAVAILABLE,
    "503": grpc.StatusCode.UNAVAILABLE,
    "504": grpc.StatusCode.UNAVAILABLE,
    "302": grpc.StatusCode.UNKNOWN,
}


@pytest.mark.parametrize("status", HTTP_STATUSES)
def test_http_status(status):
    end = outcome_of(((":status", status), ("content-type", "text/html")), b"<html>")
    assert end["code"] == number(HTTP_STATUSES[status])
    assert status in end["message"]


ANSWERS = {
    "trailers only": ((GRPC + (("grpc-status", "5"), ("grpc-message", "no%20such%zz")),), 5, "no such%zz"),
    "not gRPC, though 200": ((((":status", "200"), ("content-type", "text/html")), b"<html>"), 2, None),
    "no status": ((GRPC, grpc_message(b"")), 2, None),
    "no status in the trailers": ((GRPC, grpc_message(b""), (("other", "x"),)), 2, None),
    "status that is no number": ((GRPC, grpc_message(b""), (("grpc-status", "fine"),)), 2, None),
    "status that is not known": ((GRPC, b"", (("grpc-status", "4711"), ("grpc-message", "new"))), 2, "new"),
    "OK without a message": ((GRPC, b"", TRAILERS), 13, None),
    "two messages": ((GRPC, grpc_message(b"") * 2, TRAILERS), 13, None),
    "half a message": ((GRPC, grpc_message(b"abc")[:-1], TRAILERS), 13, None),
    "half a prefix": ((GRPC, b"\0\0", TRAILERS), 13, None),
    "a message of 4 GiB": ((GRPC, grpc_message(b"", length=0xFFFFFFFF), TRAILERS), 8, None),
    "compressed": ((GRPC, grpc_message(b"", flag=1), TRAILERS), 13, None),
    "compressed, and says so": ((GRPC + (("grpc-encoding", "gzip"),), grpc_message(b"", flag=1), TRAILERS), 13, None),
    "not protobuf": ((GRPC, grpc_message(b"\xff"), TRAILERS), 13, None),
    "too many headers": ((GRPC + (("large", "x" * 15000),) * 3, grpc_message(b""), TRAILERS), 8, None),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answer(case):
    answer, code, message = ANSWERS[case]
    end = outcome_of(*answer)
    assert end["code"] == code
    assert message is None or end["message"] == message


# PROTOCOL-HTTP2 "Errors"
RESETS = {
    h2raw.NO_ERROR: 13,
    h2raw.PROTOCOL_ERROR: 13,
    h2raw.INTERNAL_ERROR: 13,
    h2raw.FLOW_CONTROL_ERROR: 13,
    h2raw.REFUSED_STREAM: 14,
    h2raw.CANCEL: 1,
    h2raw.ENHANCE_YOUR_CALM: 8,
    0xC: 7,  # INADEQUATE_SECURITY
    0xD: 13,  # HTTP_1_1_REQUIRED
}


@pytest.mark.parametrize("code", RESETS)
def test_reset(code):
    with raw_server() as (client, connection):
        call = client.unary(Request())
        stream, _ = connection.receive_headers()
        connection.send(h2raw.rst_stream(stream, code))
        assert client.finished(call)["code"] == RESETS[code]


def test_interim_responses_are_skipped():
    with raw_server() as (client, connection):
        call = client.unary(Request())
        stream, _ = connection.receive_headers()
        connection.respond(stream, (":status", "103"), ("link", "x"))
        respond(connection, stream, GRPC, grpc_message(harness.Reply(tag="x").SerializeToString()), TRAILERS)
        assert client.reply(call).tag == "x"
        assert client.finished(call)["code"] == OK


def test_goaway_that_has_not_seen_a_call():
    """6.8: streams above the last one were not begun: UNAVAILABLE, and others go on."""
    with raw_server() as (client, connection):
        seen = client.unary(Request())
        first, _ = connection.receive_headers()
        unseen = client.unary(Request())
        connection.receive_headers()
        connection.send(h2raw.goaway(first, h2raw.NO_ERROR))
        assert client.finished(unseen)["code"] == number(grpc.StatusCode.UNAVAILABLE)
        respond(connection, first, GRPC, grpc_message(b""), TRAILERS)
        assert client.finished(seen)["code"] == OK


def test_server_that_is_no_http2():
    for text in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"\0" * 100, b""):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with harness.Client(f"127.0.0.1:{listener.getsockname()[1]}", "--once") as client:
                call = client.unary(Request())
                sock, _ = listener.accept()
                sock.sendall(text)
                sock.shutdown(socket.SHUT_WR)
                end = client.finished(call)
                assert end["code"] == number(grpc.StatusCode.UNAVAILABLE)
                assert end["message"]
                sock.close()


def test_server_that_says_nothing(certificates):
    """It takes the connection, and no more: the attempt has an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with harness.Client(
            address, "--once", "--connect-msec", "200", certificates=certificates / "client"
        ) as client:
            call = client.unary(Request(), wait_for_ready=True)
            sock, _ = listener.accept()
            assert client.finished(call)["code"] == number(grpc.StatusCode.UNAVAILABLE)
            sock.close()


def test_dead_server():
    """It answers no PING: calls without a deadline end, too."""
    with raw_server("--keepalive-msec", "100", "--keepalive-timeout-msec", "100") as (client, connection):
        call = client.unary(Request())
        connection.receive_headers()
        assert client.finished(call)["code"] == number(grpc.StatusCode.UNAVAILABLE)
        assert "PING" in client.expect("state", state="failed")["reason"]


def test_living_server():
    with raw_server("--keepalive-msec", "50", "--keepalive-timeout-msec", "500") as (client, connection):
        call = client.unary(Request())
        stream, _ = connection.receive_headers()
        for _ in range(3):
            ping = connection.receive_type(h2raw.PING)
            connection.send(frame(h2raw.PING, h2raw.ACK, 0, ping.payload))
        respond(connection, stream, GRPC, grpc_message(b""), TRAILERS)
        assert client.finished(call)["code"] == OK


CONNECTION_ERRORS = {
    "PUSH_PROMISE": lambda stream: frame(h2raw.PUSH_PROMISE, END_HEADERS, stream, b"\0\0\0\2" + h2raw.hpack(*GRPC)),
    "HEADERS on a stream of its own": lambda stream: frame(h2raw.HEADERS, END_HEADERS, 2, h2raw.hpack(*GRPC)),
    "an oversized frame": lambda stream: frame(h2raw.DATA, 0, stream, length=(1 << 24) - 1),
    "HPACK that is none": lambda stream: frame(h2raw.HEADERS, END_HEADERS, stream, b"\xff\xff\x7f"),
    "WINDOW_UPDATE of 0": lambda stream: h2raw.window_update(0, 0),
}


@pytest.mark.parametrize("case", CONNECTION_ERRORS)
def test_connection_error(case):
    """The connection goes, and the calls on it with it."""
    with raw_server() as (client, connection):
        call = client.unary(Request())
        stream, _ = connection.receive_headers()
        connection.send(CONNECTION_ERRORS[case](stream))
        assert client.finished(call)["code"] in (
            number(grpc.StatusCode.UNAVAILABLE),
            number(grpc.StatusCode.INTERNAL),
        )
        assert client.expect("state", state="failed")["reason"]


@pytest.mark.parametrize("kind", ["PING", "SETTINGS", "empty DATA", "1xx", "CONTINUATION"])
def test_flood(kind):
    """A server may flood its client as little as the other way round: bounded, and cut off."""
    with raw_server() as (client, connection):
        client.unary(Request())
        stream, _ = connection.receive_headers()
        client.forget_peak()
        before = client.peak_kib()
        blocks = {
            "PING": frame(h2raw.PING, payload=bytes(8)),
            "SETTINGS": h2raw.settings(),
            "empty DATA": frame(h2raw.DATA, 0, stream),
            "1xx": frame(h2raw.HEADERS, END_HEADERS, stream, h2raw.hpack((":status", "103"), ("link", "x" * 1000))),
            "CONTINUATION": frame(h2raw.CONTINUATION, 0, stream, bytes(16384)),
        }
        if kind == "empty DATA":
            connection.respond(stream, *GRPC)
        if kind == "CONTINUATION":
            connection.send(frame(h2raw.HEADERS, 0, stream, h2raw.hpack(*GRPC)))
        block = blocks[kind] * max(1, 65536 // len(blocks[kind]))
        connection.flood(block for _ in range(300))
        assert client.peak_kib() - before <= 8 * 1024
