# SPDX-License-Identifier: GPL-2.0-or-later
"""What our rpc room costs: CPU time per call against nghttpd, bytes per second against wolfSSL alone."""
import json
import os
import re
import socket
import tempfile

from figures import (CLIENT_CORE, SERVER_CORE, Figure, children_cpu_seconds, cpu_seconds, make_certificates, median, output,
                     running, wait_port)

STREAMS = 32
PAYLOAD = 64  # of each call, either way
ROUNDS = 5
CALLS = 100_000  # in each round
WARM_UP = 20_000
MEGABYTES = 512


def echo_server(build, certificates, address='127.0.0.1:0'):
    return running([f'{build}/selftest/interop/echo-server', '--certificates', f'{certificates}/server', '--descriptors',
                    f'{build}/selftest/interop/echo-descriptors.pb', address], SERVER_CORE, ready='"listening"')


def address_of(server):
    return json.loads(server.first_line)['address']


def spent_per_call(pid, load, calls):
    """Microseconds of the server's CPU time."""
    before = cpu_seconds(pid)
    output(load, CLIENT_CORE)
    return (cpu_seconds(pid) - before) / calls * 1e6


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def serve_file(certificates, root, port):
    return running(['nghttpd', '--address=127.0.0.1', '--htdocs', root, '--workers=1', str(port),
                    f'{certificates}/server/key.pem', f'{certificates}/server/cert.pem'],
                   SERVER_CORE)


def unary(build, certificates):
    """Rounds of both in turns: whatever else runs on the machine meets both alike."""
    def ours(calls):
        return [f'{build}/selftest/bench/bench-calls', 'unary', f'{certificates}/client', address_of(server), str(calls),
                str(STREAMS), str(PAYLOAD)]

    def theirs(calls):
        return ['h2load', '-n', str(calls), '-c', '1', '-t', '1', '-m', str(STREAMS), f'https://127.0.0.1:{port}/body']

    port = free_port()
    with tempfile.TemporaryDirectory() as root, echo_server(build, certificates) as server, \
            serve_file(certificates, root, port) as nghttpd:
        wait_port(port)
        answer_bytes = int(float(output(ours(WARM_UP), CLIENT_CORE)))
        with open(f'{root}/body', 'wb') as f:
            f.write(bytes(5 + answer_bytes))  # gRPC's prefix goes before each message
        shown = output(theirs(WARM_UP), CLIENT_CORE)
        if not re.search(rf'\b{WARM_UP} succeeded', shown):
            raise RuntimeError(f'h2load: {shown}')
        rounds = [(spent_per_call(server.pid, ours(CALLS), CALLS), spent_per_call(nghttpd.pid, theirs(CALLS), CALLS))
                  for _ in range(ROUNDS)]
    yield Figure('server CPU per unary call, to nghttpd', median([a for a, b in rounds]), 'µs', ('<=', 1.7),
                 median([b for a, b in rounds]), f'bodies of {5 + answer_bytes} bytes, {STREAMS} streams')


def bulk(build, certificates):
    """Over a Unix socket, as the figure it is held against. Of several rounds the best of each: what else runs on the
    machine only ever takes away. Where that is much, what remains is the CPU time of the side that needs more."""
    ours, ours_cpu, raw, raw_cpu = [], [], [], []
    with echo_server(build, certificates, f'@givc-bench-{os.getpid()}') as server:
        load = [f'{build}/selftest/bench/bench-calls', 'stream', f'{certificates}/client', address_of(server), str(MEGABYTES)]
        for _ in range(ROUNDS):
            shown = output([f'{build}/selftest/bench/bench-tls', certificates, str(MEGABYTES), '1'])
            match = re.search(r'wolfSSL alone: *([0-9.]+) MB/s, *([0-9.]+) MB per', shown)
            raw.append(float(match[1]))
            raw_cpu.append(float(match[2]))
            server_before, client_before = cpu_seconds(server.pid), children_cpu_seconds()
            ours.append(float(output(load, CLIENT_CORE)))
            ours_cpu.append(MEGABYTES / max(cpu_seconds(server.pid) - server_before, children_cpu_seconds() - client_before))
    yield Figure('stream of 64 KiB messages, to wolfSSL alone', max(ours), 'MB/s', ('>=', 0.8), max(raw))
    yield Figure('the same, by CPU time of the busier side', max(ours_cpu), 'MB/s', ('>=', 0.8), max(raw_cpu))


def with_certificates(build, measure):
    with tempfile.TemporaryDirectory() as certificates:
        make_certificates(certificates, 'server=127.0.0.1', 'client=127.0.0.1', 'admin-vm=127.0.0.1', 'app-vm=127.0.0.1')
        yield from measure(build, certificates)
