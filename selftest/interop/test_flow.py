# SPDX-License-Identifier: GPL-2.0-or-later
"""Flow control: a slow reader stops the writer, whoever of the two is ours; memory stays bounded on the way; others on
the same connection are served meanwhile; and nothing is lost."""

import itertools
import threading

import grpc
import pytest

import h2raw
import harness
from echo_grpcio import Echo
from h2raw import grpc_headers, grpc_message
from harness import TIMEOUT, Request, pb

OK = 0
PIECE = 64 * 1024
PIECES = 1000  # 64 MB: many times what may wait anywhere
GROWTH_KIB = 8 * 1024


def watch_memory(*programs, growth_kib=GROWTH_KIB):
    """Returns a function that says whether each has stayed within bounds since now."""
    before = []
    for program in programs:
        program.forget_peak()
        before.append(program.peak_kib())

    def check():
        for program, kib in zip(programs, before):
            assert program.peak_kib() - kib <= growth_kib

    return check


@pytest.fixture
def client(transport, server):
    with transport.client(server.address) as client:
        yield client


def is_served(client):
    """On the same connection, by the way."""
    call = client.unary(Request(payload=b"x" * 10000))
    assert client.reply(call).bytes == 10000
    return client.finished(call)["code"] == OK


def open_paused(client, method):
    """A call that does not read its answers."""
    call = client.call(method, brief=True)
    client.command("reading", id=call, on=False)
    return call


def test_slow_client(server, client):
    assert is_served(client)
    check = watch_memory(server, client)
    call = open_paused(client, "ServerStream")
    client.send(call, Request(tag="slow", replies=PIECES, reply_bytes=PIECE), half_close=True)
    server.expect("full", tag="slow")
    assert is_served(client)
    assert client.events("message", id=call) == []
    client.command("reading", id=call, on=True)
    for _ in range(PIECES):
        client.expect("message", id=call)
    assert client.finished(call)["code"] == OK
    check()


def test_slow_server(server, client):
    assert is_served(client)
    check = watch_memory(server, client)
    call = client.call("ClientStream")
    client.send(call, Request(tag="slow", stop_reading=True))
    server.expect("stopped", tag="slow")
    client.send(call, Request(payload=bytes(PIECE)), times=PIECES, half_close=True)
    client.expect("full", id=call)
    assert is_served(client)
    server.command("resume")
    reply = client.reply(call)
    assert (reply.messages, reply.bytes) == (1 + PIECES, PIECE * PIECES)
    assert client.finished(call)["code"] == OK
    check()


def test_echo_that_nobody_hears(server, client):
    """The client does not read, so the server cannot write, so it does not read, so the client cannot write."""
    assert is_served(client)
    check = watch_memory(server, client)
    call = open_paused(client, "Bidi")
    client.send(call, Request(payload=bytes(PIECE)), times=PIECES, half_close=True)
    client.expect("full", id=call)
    assert is_served(client)
    client.command("reading", id=call, on=True)
    for _ in range(PIECES):
        client.expect("message", id=call)
    assert client.finished(call)["code"] == OK
    check()


def test_slow_grpcio_client(server, stub):
    assert stub.Unary(Request(payload=b"x"), timeout=TIMEOUT).bytes == 1
    check = watch_memory(server)
    call = stub.ServerStream(Request(tag="slow", replies=PIECES, reply_bytes=PIECE), timeout=60)
    first = next(call)
    server.expect("full", tag="slow")
    assert stub.Unary(Request(payload=b"x"), timeout=TIMEOUT).bytes == 1
    assert [reply.messages for reply in itertools.chain([first], call)] == list(reversed(range(PIECES)))
    check()


def test_grpcio_client_and_slow_server(server, stub):
    assert stub.Unary(Request(payload=b"x"), timeout=TIMEOUT).bytes == 1
    check = watch_memory(server)
    written = itertools.count()

    def requests():
        yield Request(tag="slow", stop_reading=True)
        for _ in range(PIECES):
            next(written)
            yield Request(payload=bytes(PIECE))

    call = stub.ClientStream.future(requests(), timeout=60)
    server.expect("stopped", tag="slow")
    assert stub.Unary(Request(payload=b"x" * 100000), timeout=TIMEOUT).bytes == 100000
    assert next(written) < PIECES
    server.command("resume")
    assert call.result().bytes == PIECE * PIECES
    check()


def test_slow_grpcio_server(transport):
    echo = Echo()
    server, address = transport.grpcio_server(echo.handler())
    with transport.client(address) as client:
        assert is_served(client)
        check = watch_memory(client)
        call = client.call("ClientStream")
        client.send(call, Request(tag="slow", stop_reading=True))
        echo.expect("stopped", "slow")
        client.send(call, Request(payload=bytes(PIECE)), times=PIECES, half_close=True)
        client.expect("full", id=call)
        assert is_served(client)
        echo.resume()
        reply = client.reply(call)
        assert (reply.messages, reply.bytes) == (1 + PIECES, PIECE * PIECES)
        check()
    server.stop(None).wait()


def test_cancel_of_a_full_stream(server, client):
    """What waits is thrown away, and the connection goes on."""
    for i in range(20):
        tag = f"full {i}"
        call = open_paused(client, "ServerStream")
        client.send(call, Request(tag=tag, replies=PIECES, reply_bytes=PIECE), half_close=True)
        server.expect("full", tag=tag)
        client.command("cancel", id=call)
        server.expect("gone", tag=tag)
    for i in range(20):
        tag = f"stopped {i}"
        call = client.call("ClientStream")
        client.send(call, Request(tag=tag, stop_reading=True))
        server.expect("stopped", tag=tag)
        client.send(call, Request(payload=bytes(PIECE)), times=PIECES)
        client.expect("full", id=call)
        client.command("cancel", id=call)
        server.expect("gone", tag=tag)
    assert is_served(client)


def test_many_slow_streams(server, client):
    """Each may have so much waiting: 256 KiB, and a message more."""
    assert is_served(client)
    check = watch_memory(server, growth_kib=40 * (256 + 2 * PIECE // 1024))
    calls = [open_paused(client, "ServerStream") for _ in range(40)]
    for call in calls:
        client.send(call, Request(tag=str(call), replies=50, reply_bytes=PIECE), half_close=True)
    for call in calls:
        client.command("reading", id=call, on=True)
    for call in calls:
        for _ in range(50):
            client.expect("message", id=call)
        assert client.finished(call)["code"] == OK
    check()


def test_streams_queue_at_the_client(transport):
    """A thousand calls, of which the server takes ten at a time."""
    with transport.server("--streams", "10") as server, transport.client(server.address) as client:
        assert is_served(client)  # so that the client knows the limit
        calls = [client.call("Bidi") for _ in range(1000)]
        for call in calls:
            client.send(call, Request(payload=b"queued"), half_close=True)
        for call in calls:
            assert client.reply(call).payload == b"queued"
            assert client.finished(call)["code"] == OK


def test_deadline_of_a_queued_call(transport):
    """A call that never got its turn ends at its deadline, too."""
    with transport.server("--streams", "1") as server, transport.client(server.address) as client:
        assert is_served(client)  # so that the client knows the limit: before, it may be refused
        first = client.unary(Request(tag="first", hang=True))
        server.expect("open", tag="first")
        second = client.unary(Request(tag="second", hang=True), timeout_msec=300)
        assert client.finished(second)["code"] == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        client.command("cancel", id=first)
        server.expect("gone", tag="first")
        assert is_served(client)
        assert server.events("open", tag="second") == []


def test_peer_that_reads_nothing_at_all():
    """Not even its socket: it answers no PING, and is cut off with all that waits for it."""
    with harness.Server("--keepalive-msec", "100", "--keepalive-timeout-msec", "100") as server:
        check = watch_memory(server)
        with h2raw.connect(server.address, (h2raw.INITIAL_WINDOW_SIZE, (1 << 31) - 1)) as connection:
            connection.send(h2raw.window_update(0, (1 << 30)))
            request = Request(tag="deaf", replies=100 * PIECES, reply_bytes=PIECE).SerializeToString()
            connection.request(1, grpc_message(request), grpc_headers("/echo.Echo/ServerStream"))
            server.expect("full", tag="deaf")
            server.expect("gone", tag="deaf")
            server.expect("disconnected")
        check()


def test_many_clients_at_once(transport, server):
    """Each its connection, each its streams: everybody gets his own."""
    failures = []

    def work(name):
        try:
            with transport.channel(server.address) as channel:
                stub = pb.stub(channel, "echo.Echo")
                for i in range(20):
                    payload = f"{name}-{i}".encode() * 1000
                    replies = stub.Bidi((Request(payload=payload) for _ in range(5)), timeout=TIMEOUT)
                    assert [reply.payload for reply in replies] == [payload] * 5
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
