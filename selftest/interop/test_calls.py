# SPDX-License-Identifier: GPL-2.0-or-later
"""grpcio's client and our server: every kind of call, on every kind of address."""

import queue
import socket
import threading
import uuid

import grpc
import pytest

import harness
import transports
from harness import MESSAGE_LIMIT, TIMEOUT, Outcome, Reply, Request, pb, request_of

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
MESSAGE = "größer als 100 %\n\tund noch 漢字 \U0001f427"


def fails(call, code):
    """Awaits a call's failure."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert error.value.code() is code, error.value
    return error.value


# Kinds and sizes


def test_empty_unary(channel):
    """A message of no bytes at all."""
    method = channel.unary_unary("/echo.Echo/Unary", lambda text: text, Reply.FromString)
    assert method(b"", timeout=TIMEOUT).messages == 1


@pytest.mark.parametrize("size", [7, 1000, 16384, 70000, 1024 * 1024, MESSAGE_LIMIT])
def test_unary(stub, size):
    request = request_of(size)
    assert request.ByteSize() == size
    assert stub.Unary(request, timeout=TIMEOUT).bytes == len(request.payload)


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, MESSAGE_LIMIT - 64])
def test_unary_reply(stub, size):
    assert len(stub.Unary(Request(reply_bytes=size), timeout=TIMEOUT).payload) == size


def test_client_stream(stub):
    sizes = [0, 1, 1000, 1024 * 1024, MESSAGE_LIMIT - 64, 5]
    reply = stub.ClientStream((Request(payload=b"x" * size) for size in sizes), timeout=TIMEOUT)
    assert (reply.messages, reply.bytes) == (len(sizes), sum(sizes))


def test_client_stream_of_many(stub):
    reply = stub.ClientStream((Request(payload=b"12345678") for _ in range(20000)), timeout=TIMEOUT)
    assert (reply.messages, reply.bytes) == (20000, 160000)


def test_server_stream(stub):
    replies = list(stub.ServerStream(Request(replies=500, reply_bytes=10000), timeout=TIMEOUT))
    assert [reply.messages for reply in replies] == list(reversed(range(500)))
    assert all(len(reply.payload) == 10000 for reply in replies)


def test_bidi(stub):
    """Each request waits for the answer to the one before."""
    answered = queue.SimpleQueue()

    def requests():
        for i in range(100):
            yield Request(payload=bytes([i]) * i)
            assert answered.get(timeout=TIMEOUT) == i

    for i, reply in enumerate(stub.Bidi(requests(), timeout=TIMEOUT)):
        assert reply.payload == bytes([i]) * i
        answered.put(i)
    assert i == 99


def test_bidi_of_large_messages(stub):
    payload = bytes(range(256)) * 4096
    replies = list(stub.Bidi((Request(payload=payload) for _ in range(30)), timeout=TIMEOUT))
    assert len(replies) == 30
    assert all(reply.payload == payload for reply in replies)


def test_empty_streams(stub):
    assert stub.ClientStream(iter(()), timeout=TIMEOUT).messages == 0
    assert list(stub.ServerStream(Request(), timeout=TIMEOUT)) == []
    assert list(stub.Bidi(iter(()), timeout=TIMEOUT)) == []


def test_request_over_the_limit(stub):
    error = fails(lambda: stub.Unary(request_of(MESSAGE_LIMIT + 1)), grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert str(MESSAGE_LIMIT) in error.details()
    fails(lambda: stub.ClientStream(iter([request_of(60_000_000)])), grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert stub.Unary(Request(payload=b"still"), timeout=TIMEOUT).payload == b"still"


def test_reply_over_the_limit(stub):
    fails(lambda: stub.Unary(Request(reply_bytes=MESSAGE_LIMIT + 1)), grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert stub.Unary(Request(payload=b"still"), timeout=TIMEOUT).payload == b"still"


def test_many_at_once(stub):
    """More than the server lets be open at once: the rest waits at the client."""
    calls = [stub.Unary.future(Request(payload=str(i).encode()), timeout=TIMEOUT) for i in range(1000)]
    assert [call.result().payload for call in calls] == [str(i).encode() for i in range(1000)]


def test_streams_beyond_the_limit_wait(transport):
    with transport.server("--streams", "20") as server, transport.channel(server.address) as channel:
        stub = pb.stub(channel, "echo.Echo")
        calls = {str(i): stub.Unary.future(Request(tag=str(i), hang=True)) for i in range(40)}
        first = [server.expect("open")["tag"] for _ in range(20)]
        server.command("counters")
        assert server.expect("counters")["calls_now"] == 20
        # As one goes, the next one comes.
        for tag in first:
            calls[tag].cancel()
            server.expect("gone", tag=tag)
            assert server.expect("open")["tag"] not in first
        for call in calls.values():
            call.cancel()


# Addresses that the others stand for


def test_abstract_socket():
    name = f"givc-interop-{uuid.uuid4()}"
    with harness.Server(listen=f"@{name}") as server, harness.Client(server.address) as client:
        with grpc.insecure_channel(f"unix-abstract:{name}", transports.OPTIONS) as channel:
            stub = pb.stub(channel, "echo.Echo")
            assert stub.Unary(Request(payload=b"grpcio"), timeout=TIMEOUT).payload == b"grpcio"
        assert client.reply(client.unary(Request(payload=b"ours"))).payload == b"ours"


def test_ipv6(certificates):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with harness.Server(listen="[::1]:0", certificates=certificates / "server") as server:
        with harness.Client(server.address, certificates=certificates / "client") as client:
            assert client.reply(client.unary(Request(payload=b"six"))).payload == b"six"


# Status


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_status(stub, code):
    outcome = Outcome(code=code.value[0], message=MESSAGE, detail="warum: \u00fc")
    error = fails(lambda: stub.Unary(Request(outcome=outcome), timeout=TIMEOUT), code)
    assert error.details() == MESSAGE
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    # google.rpc.Status: the code, the message, and the detail are in it as they are.
    assert details.startswith(bytes([0x08, code.value[0], 0x12, len(MESSAGE.encode())]) + MESSAGE.encode())
    assert b"type.googleapis.com/google.rpc.DebugInfo" in details
    assert details.endswith("warum: \u00fc".encode())


def test_status_after_messages(stub):
    outcome = Outcome(code=grpc.StatusCode.ABORTED.value[0], message="half way")
    call = stub.ServerStream(Request(replies=3, outcome=outcome), timeout=TIMEOUT)
    assert [next(call).messages for _ in range(3)] == [2, 1, 0]
    error = fails(lambda: next(call), grpc.StatusCode.ABORTED)
    assert error.details() == "half way"


def test_status_before_the_requests_end(stub):
    """The server has heard enough: the client is told so, and stops."""
    outcome = Outcome(code=grpc.StatusCode.OUT_OF_RANGE.value[0], message="enough")
    written = threading.Event()

    def requests():
        yield Request(payload=b"first")
        yield Request(outcome=outcome)
        for _ in range(10000):
            yield Request(payload=b"x" * 10000)
        written.set()

    error = fails(lambda: stub.ClientStream(requests(), timeout=TIMEOUT), grpc.StatusCode.OUT_OF_RANGE)
    assert error.details() == "enough"
    assert not written.is_set()
    assert stub.Unary(Request(payload=b"still"), timeout=TIMEOUT).payload == b"still"


def test_long_status_message(stub):
    """Longer than a peer needs to take in headers: the code arrives all the same."""
    outcome = Outcome(code=grpc.StatusCode.NOT_FOUND.value[0], message="long " * 40000)
    fails(lambda: stub.Unary(Request(outcome=outcome), timeout=TIMEOUT), grpc.StatusCode.NOT_FOUND)
    assert stub.Unary(Request(payload=b"still"), timeout=TIMEOUT).payload == b"still"


@pytest.mark.parametrize(
    "path", ["/echo.Echo/Absent", "/echo.Echo/Nowhere", "/echo.Unoffered/Nothing", "/nobody/Nothing"]
)
def test_unknown_method(channel, path):
    method = channel.unary_unary(path, Request.SerializeToString, Request.FromString)
    fails(lambda: method(Request(), timeout=TIMEOUT), grpc.StatusCode.UNIMPLEMENTED)


def test_malformed_message(channel):
    method = channel.unary_unary("/echo.Echo/Unary", lambda text: text, lambda text: text)
    for text in (b"\xff", b"\x0a\x05abc", b"\x0a\x02\xff\xfe"):
        fails(lambda: method(text, timeout=TIMEOUT), grpc.StatusCode.INTERNAL)


def test_refused_by_policy(server, stub):
    """A refused call ends before any handler sees it."""
    refuse = {"metadata": (("refuse", "not you"),), "timeout": TIMEOUT}
    request = Request(tag="refused", hang=True)
    calls = [
        lambda: stub.Unary(request, **refuse),
        lambda: list(stub.ServerStream(request, **refuse)),
        lambda: stub.ClientStream(iter([request]), **refuse),
        lambda: list(stub.Bidi(iter([request]), **refuse)),
    ]
    for call in calls:
        assert fails(call, grpc.StatusCode.PERMISSION_DENIED).details() == "Refused: not you"
    server.command("counters")
    server.expect("counters")
    assert server.events("open", tag="refused") == []


def test_gzip_is_refused(stub):
    # A word that is worth compressing, or grpcio does not.
    call = lambda: stub.Unary(Request(payload=b"x" * 10000), compression=grpc.Compression.Gzip, timeout=TIMEOUT)
    assert "gzip" in fails(call, grpc.StatusCode.UNIMPLEMENTED).details()
    assert stub.Unary(Request(payload=b"x" * 10000), timeout=TIMEOUT).bytes == 10000


# Metadata


def test_metadata(stub):
    sent = (("text", "plain"), ("some-bin", bytes(range(256))), ("empty", ""))
    keys = [key for key, _ in sent] + ["absent"]
    reply, call = stub.Unary.with_call(Request(metadata=keys), metadata=sent, timeout=TIMEOUT)
    assert reply.metadata[0] == "plain"
    assert reply.metadata[3] == ""
    for received in (call.initial_metadata(), call.trailing_metadata()):
        received = dict(received)
        assert received["text"] == "plain"
        assert received["some-bin"] == bytes(range(256))
        assert received["empty"] == ""
        assert "absent" not in received


def test_peer(transport, stub):
    peer = stub.Unary(Request(), timeout=TIMEOUT).peer
    if transport.is_tls:
        assert peer == "client"
    else:
        assert peer in ("127.0.0.1", "unix:")


# Deadlines and cancellation


# grpcio rounds up what it says of a deadline.
def has_about_30_seconds(reply):
    return reply.has_deadline and 20_000_000 < reply.remaining_usec <= 31_000_000


def test_deadline_is_seen(stub):
    assert not stub.Unary(Request()).has_deadline
    assert has_about_30_seconds(stub.Unary(Request(), timeout=30))


def test_deadline_passes(server, stub):
    stub.Unary(Request())  # so that there is a connection
    fails(lambda: stub.Unary(Request(tag="slow", hang=True), timeout=0.5), grpc.StatusCode.DEADLINE_EXCEEDED)
    server.expect("open", tag="slow")
    server.expect("gone", tag="slow")


def test_deadline_is_passed_on(transport, server, stub):
    """Three hops: what is left of the deadline goes along, and so does its end."""
    with transport.server(listen=transport.elsewhere()) as second:
        forward = Request(forward=second.address, payload=b"far")
        reply = stub.Unary(forward, timeout=30)
        assert reply.payload == b"far"
        assert has_about_30_seconds(reply)
        assert not stub.Unary(forward).has_deadline

        late = Request(forward=second.address, tag="late", hang=True)
        fails(lambda: stub.Unary(late, timeout=2), grpc.StatusCode.DEADLINE_EXCEEDED)
        second.expect("open", tag="late")
        second.expect("gone", tag="late")


def test_cancel_is_passed_on(transport, server, stub):
    with transport.server(listen=transport.elsewhere()) as second:
        call = stub.Unary.future(Request(forward=second.address, tag="far", hang=True))
        second.expect("open", tag="far")
        call.cancel()
        server.expect("gone", tag="far")
        second.expect("gone", tag="far")


def test_status_is_passed_on(transport, server, stub):
    with transport.server(listen=transport.elsewhere()) as second:
        outcome = Outcome(code=grpc.StatusCode.DATA_LOSS.value[0], message=MESSAGE, detail="deep")
        request = Request(forward=second.address, outcome=outcome)
        error = fails(lambda: stub.Unary(request, timeout=TIMEOUT), grpc.StatusCode.DATA_LOSS)
        assert error.details() == MESSAGE
        assert dict(error.trailing_metadata())["grpc-status-details-bin"].endswith(b"deep")


def test_cancel(server, stub):
    never = threading.Event()

    def requests():
        yield Request(tag="bidi", hang=True)
        never.wait(TIMEOUT)

    calls = {
        "unary": stub.Unary.future(Request(tag="unary", hang=True)),
        "server": stub.ServerStream(Request(tag="server", hang=True, replies=1)),
        "bidi": stub.Bidi(requests()),
    }
    for tag, call in calls.items():
        server.expect("open", tag=tag)
        call.cancel()
        server.expect("gone", tag=tag)
    never.set()


def test_lost_connection_ends_calls(transport, server):
    channel = transport.channel(server.address)
    call = pb.stub(channel, "echo.Echo").Unary.future(Request(tag="orphan", hang=True))
    server.expect("open", tag="orphan")
    channel.close()
    server.expect("gone", tag="orphan")
    server.expect("disconnected")
    assert call.code() is grpc.StatusCode.CANCELLED
