# SPDX-License-Identifier: GPL-2.0-or-later
"""gRPC between a test and what runs in a fleet's machines, as if the test ran in one of them.

    with Wire(fleet) as wire:
        agent = wire.stub('app-vm', 9000, 'systemd.UnitControlService', source='admin-vm')
        agent.GetUnitStatus(wire.pb.msg('systemd.UnitRequest')(UnitName='demo-clock.service'), timeout=5)

A connection leaves from the address of `source` and shows its certificate, or that of another machine (identity=…).
"""
import contextlib
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading

import grpc
import pytest

from miniature import TOP, setns

sys.path.insert(0, f'{TOP}/selftest/interop')
import givcpb  # noqa: E402  (stands in another folder)

CLONE_NEWNET = 0x40000000


def contract():
    with tempfile.TemporaryDirectory() as directory:
        protos = [f'{TOP}/proto/{name}' for name in sorted(os.listdir(f'{TOP}/proto')) if name.endswith('.proto')]
        subprocess.run(['protoc', f'--proto_path={TOP}/proto', '--include_imports',
                        f'--descriptor_set_out={directory}/set', *protos], check=True)
        return givcpb.load(f'{directory}/set')


class Wire:
    def __init__(self, fleet):
        self.fleet = fleet
        self.pb = contract()
        self._directory = tempfile.TemporaryDirectory()
        self._tunnels = []
        self._channels = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for channel in self._channels:
            channel.close()
        for tunnel in self._tunnels:
            tunnel.close()
        self._directory.cleanup()

    def channel(self, machine, port, source, identity=None, options=()):
        """A channel, with a connection of its own, to a port of the machine. options: gRPC's own."""
        path = f'{self._directory.name}/{len(self._tunnels)}'
        self._tunnels.append(Tunnel(path, self.fleet, source, (self.fleet.addresses[machine], port)))
        files = {name: text.encode() for name, text in self.fleet.certificates[identity or source].items()}
        credentials = grpc.ssl_channel_credentials(files['ca-cert.pem'], files['key.pem'], files['cert.pem'])
        options = (('grpc.ssl_target_name_override', machine), ('grpc.use_local_subchannel_pool', 1), *options)
        channel = grpc.secure_channel(f'unix:{path}', credentials, options)
        self._channels.append(channel)
        return channel

    def stub(self, machine, port, service, source, **arguments):
        return self.pb.stub(self.channel(machine, port, source, **arguments), service)


MEMORY = '''
import re, sys
pid, text = sys.argv[1], sys.argv[2].encode()
with open(f'/proc/{pid}/mem', 'rb', 0) as memory:
    for line in open(f'/proc/{pid}/maps'):
        begin, end, rights = re.match('([0-9a-f]+)-([0-9a-f]+) (....)', line).groups()
        if rights.startswith('rw') and '[v' not in line:
            memory.seek(int(begin, 16))
            found = memory.read(int(end, 16) - int(begin, 16)).find(text)
            if found >= 0:
                sys.exit(f'{text} at {found} of {line}')
'''


def assert_forgotten(fleet, machine, unit, text):
    """It is nowhere in the memory of the unit's main process. Not for sanitized ones."""
    fleet.run(machine, ['/usr/bin/python3', '-c', MEMORY, fleet.unit(machine, unit)['MainPID'], text], check=True)


@contextlib.contextmanager
def crowd(begin, limit):
    """While so many streams of one peer, each made by begin(), stand, one more of it is refused; after that, none is."""
    def start():
        stream = begin()
        stack.callback(stream.cancel)
        return stream

    with contextlib.ExitStack() as stack:
        for stream in [start() for _ in range(limit)]:
            next(stream)
        with pytest.raises(grpc.RpcError) as raised:
            next(start())
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert f'may have {limit} now' in raised.value.details()
        yield
    with contextlib.ExitStack() as stack:
        next(start())


class Tunnel:
    """Passes on whoever connects to path to a TCP address, from within the network of a machine."""

    def __init__(self, path, fleet, source, address):
        self._fleet, self._source, self._address = fleet, source, address
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._closing, self._closer = socket.socketpair()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._closer.close()

    def _accept(self):
        with self._listener:
            while self._closing not in select.select([self._listener, self._closing], [], [])[0]:
                # The thread moves into the other network for good: it is not used for anything else.
                threading.Thread(target=self._pass, args=(self._listener.accept()[0],), daemon=True).start()

    def _pass(self, near):
        with near:
            try:
                with open(f'/proc/{self._fleet.leader(self._source)}/ns/net') as namespace:
                    setns(namespace.fileno(), CLONE_NEWNET)
                with socket.create_connection(self._address, timeout=10) as far:
                    far.settimeout(None)
                    # Small writes would otherwise wait for the acknowledgement of the one before, 40 ms.
                    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._pump(near, far)
            except OSError:
                pass  # whoever connected sees the connection end

    def _pump(self, near, far):
        other = {near: far, far: near}
        while True:
            ready = select.select([near, far, self._closing], [], [])[0]
            if self._closing in ready:
                return
            for end in ready:
                data = end.recv(1 << 16)
                if not data:
                    return
                other[end].sendall(data)
