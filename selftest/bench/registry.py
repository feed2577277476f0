# SPDX-License-Identifier: GPL-2.0-or-later
"""What the admin's registry costs: an event by the number of watchers, a call by the number of entries, memory by entry."""
import contextlib
import os
import re
import sys
import tempfile

import grpc

from figures import CLIENT_CORE, SERVER_CORE, TOP, Figure, cpu_seconds, make_certificates, median, running, wait_port
from calls import free_port
from daemons import settle

sys.path.insert(0, f'{TOP}/selftest/interop')
import givcpb  # noqa: E402

WATCHERS = (10, 100, 1000)
PER_PEER = 16        # as many as the admin allows
EVENTS = 200
ENTRIES = (100, 1000, 5000)
PER_AGENT = 1000     # the fifth agent finds room for so many yet
CALLS = 300          # in a round; an agent may register 4096 times in 10 s
ROUNDS = 3
AT_ONCE = 64


class Admin:
    """One that runs by itself, with agents that nobody reaches: what they register is what is known of them."""

    def __init__(self, build, certificates):
        self.certificates = certificates
        self._pb = givcpb.load(f'{build}/proto/givc-descriptors.pb')
        self.port = free_port()
        own = f'{certificates}/admin-vm'
        environment = {**os.environ, 'CA_CERT': f'{own}/ca-cert.pem', 'HOST_CERT': f'{own}/cert.pem', 'HOST_KEY': f'{own}/key.pem'}
        self._stack = contextlib.ExitStack()
        self._process = self._stack.enter_context(running(
            [f'{build}/daemon/admin/givc-admin', '--listen', f'127.0.0.1:{self.port}', '--monitoring=false'], SERVER_CORE,
            env=environment, stderr=open(os.devnull, 'w')))
        self._stubs = {}

    def __enter__(self):
        wait_port(self.port)
        return self

    def __exit__(self, *_):
        for channel, _stub in self._stubs.values():
            channel.close()
        self._stack.close()

    def stub(self, peer):
        if peer not in self._stubs:
            def read(name):
                with open(f'{self.certificates}/{peer}/{name}.pem', 'rb') as f:
                    return f.read()
            credentials = grpc.ssl_channel_credentials(read('ca-cert'), read('key'), read('cert'))
            channel = grpc.secure_channel(f'127.0.0.1:{self.port}', credentials, (('grpc.ssl_target_name_override', 'admin-vm'),))
            self._stubs[peer] = channel, self._pb.stub(channel, 'admin.AdminService')
        return self._stubs[peer][1]

    def state(self, up):
        active, sub = ('active', 'running') if up else ('inactive', 'dead')
        return self._pb.msg('systemd.UnitStatus')(Name='', Description='A unit of the benchmark', LoadState='loaded',
                                                  ActiveState=active, SubState=sub, FreezerState='running')

    def register_agent(self, peer):
        transport = self._pb.msg('admin.TransportConfig')(Protocol='tcp', Address='127.0.0.1', Port='9', Name=peer)
        self.stub(peer).RegisterService(self._pb.msg('admin.RegistryRequest')(
            Name=f'givc-{peer}.service', Type=8, Transport=transport, State=self.state(True)), timeout=10)

    def unit(self, peer, number, up=True):
        return self._pb.msg('admin.RegistryRequest')(Name=unit_name(number), Parent=f'givc-{peer}.service', Type=9,
                                                     State=self.state(up))

    def register(self, numbers):
        """Units by number, each under the agent that it belongs to."""
        under_way = []
        for number in numbers:
            peer = peer_of(number)
            if number % PER_AGENT == 0:
                self.register_agent(peer)
            under_way.append(self.stub(peer).RegisterService.future(self.unit(peer, number), timeout=60))
            if len(under_way) >= AT_ONCE:
                under_way.pop(0).result()
        for call in under_way:
            call.result()

    def status(self, number):
        return self._pb.msg('admin.UnitStatusRequest')(VmName=peer_of(number), UnitName=unit_name(number))

    def cpu(self):
        return cpu_seconds(self._process.pid)

    def private_dirty(self):
        with open(f'/proc/{self._process.pid}/smaps_rollup') as f:
            return int(re.search(r'^Private_Dirty: +(\d+) kB', f.read(), re.M)[1]) * 1024


def unit_name(number):
    return f'bench-{number:05}.service'


def peer_of(number):
    return f'vm{number // PER_AGENT}'


@contextlib.contextmanager
def admin_of(build, peers):
    with tempfile.TemporaryDirectory() as certificates:
        make_certificates(certificates, *(f'{peer}=127.0.0.1' for peer in ('admin-vm', *peers)))
        with Admin(build, certificates) as admin:
            yield admin


# --- an event

def spent_on_events(admin):
    """Microseconds of the admin's for each of so many registrations of a unit that is up and down in turns."""
    stub, before = admin.stub('vm0'), admin.cpu()
    for i in range(EVENTS):
        stub.RegisterService(admin.unit('vm0', 0, up=i % 2 == 1), timeout=10)
    return (admin.cpu() - before) / EVENTS * 1e6


def with_watchers(build, admin, n):
    peers = min(n, -(-n // PER_PEER))
    each = n // peers
    argv = [f'{build}/selftest/bench/bench-watch', f'127.0.0.1:{admin.port}', str(EVENTS), str(each),
            *(f'{admin.certificates}/watcher{i}' for i in range(peers))]
    with running(argv, CLIENT_CORE, ready='watching') as process:
        before = admin.cpu()
        spent_on_events(admin)
        if 'done' not in process.stdout.readline():
            raise RuntimeError('a watcher was not told of everything')
        return (admin.cpu() - before) / EVENTS * 1e6, peers * each


def watcher_figures(build):
    peers = [f'watcher{i}' for i in range(-(-max(WATCHERS) // PER_PEER))]
    with admin_of(build, ['vm0', *peers]) as admin:
        admin.register(range(10))
        alone = median([spent_on_events(admin) for _ in range(ROUNDS)])
        yield Figure('registry event, no watcher', alone, 'µs', ('<', 1000), note='with the call that makes it')
        measured = [with_watchers(build, admin, n) for n in WATCHERS]
    for spent, n in measured:
        yield Figure(f'registry event, {n} watchers, each', (spent - alone) / n, 'µs', ('<', 20), note=f'{spent:.4g} µs in all')
    (few_cost, few), *_, (many_cost, many) = measured[1:]
    slope = (many_cost - few_cost) / (many - few)
    yield Figure(f'slope from {few} to {many} watchers, to {few} alone', slope, 'µs', ('<=', 1.5), (few_cost - alone) / few,
                 'linear: 1')


# --- a call

def spent_on(admin, call, numbers):
    before = admin.cpu()
    for number in numbers:
        call(number)
    return (admin.cpu() - before) / len(numbers) * 1e6


def entry_figures(build):
    peers = [f'vm{i}' for i in range(-(-max(ENTRIES) // PER_AGENT))]

    def register_again(number):
        admin.stub(peer_of(number)).RegisterService(admin.unit(peer_of(number), number), timeout=10)

    def ask(number):
        """Of an agent that cannot be reached: found, and refused."""
        try:
            admin.stub(peer_of(number)).GetUnitStatus(admin.status(number), timeout=10)
        except grpc.RpcError:
            pass

    costs, memory = {}, {}
    with admin_of(build, peers) as admin:
        held = 0
        for n in ENTRIES:
            admin.register(range(held, n))
            held = n
            settle()
            memory[n] = admin.private_dirty()
            some = [i * n // CALLS for i in range(CALLS)]
            costs[n] = [min(spent_on(admin, call, some) for _ in range(ROUNDS)) for call in (register_again, ask)]
    for i, what in enumerate(('RegisterService, unchanged', 'GetUnitStatus')):
        for n in ENTRIES[1:]:
            yield Figure(f'{what}, {n} entries to {ENTRIES[0]}', costs[n][i], 'µs', ('<=', 1.25), costs[ENTRIES[0]][i])
    few, many = ENTRIES[0], ENTRIES[-1]
    yield Figure('admin memory per entry, private dirty', (memory[many] - memory[few]) / (many - few), 'bytes', ('<=', 512),
                 note=f'from {few} to {many} entries')
