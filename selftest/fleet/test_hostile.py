# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile guest: app-vm, with a certificate of its own and others, does to the admin what attack.py knows; meanwhile net-vm
calls, and every call of it is answered in time. The daemon's memory stays within bounds through all of it."""
import re
import threading
import time

import pytest

from contents import file
from miniature import HERE, TOP, Authority, Fleet
from wire import Wire

DEADLINE = 2  # seconds, of the other guest's calls
MEMORY_KIB = 32 * 1024
DIRECTORY = '/tmp/attack'
# Whoever may power off the admin VM need not attack it.
RULES = """permit (principal, action, resource);
forbid (principal == Source::"app-vm", action in [Command::"Poweroff", Command::"Reboot", Command::"Suspend"], resource);
"""
# What an attack says of itself: that it was one, and where it was ended.
ENDS = {'connections': '[0-9]{4,5} connected', 'headers': 'cut off', 'queries': '[1-9][0-9]{2,} calls', 'methods': '[1-9][0-9]{2,} calls',
        'rapid_reset': '[1-9][0-9]* times cut off', 'replay': '[1-9] parts recorded', 'slow_watch': '[1-9][0-9]* connections'}
latencies = []


def with_rules(spec):
    for machine in spec['machines']:
        for entry in machine['files']:
            if entry.get('path') == '/etc/givc/admin.env':
                entry['content'] += 'ACCESS_CONTROL=true\nCEDAR_FILE=/etc/givc/rules.cedar\n'


@pytest.fixture(scope='module')
def fleet(destdir):
    with Fleet(destdir, files={'admin-vm': [file('/etc/givc/rules.cedar', RULES)]}, configure=with_rules) as fleet:
        fleet.wait_registered()
        for name, path in (('attack.py', f'{HERE}/attack.py'), ('h2raw.py', f'{TOP}/selftest/interop/h2raw.py')):
            with open(path) as program:
                fleet.write_file('app-vm', f'{DIRECTORY}/{name}', program.read())
        yield fleet


@pytest.fixture(scope='module')
def neighbour(fleet):
    with Wire(fleet) as wire:
        stub = wire.stub('admin-vm', 9001, 'admin.AdminService', source='net-vm')
        empty = wire.pb.msg('admin.Empty')()
        stub.QueryList(empty, timeout=20, wait_for_ready=True)
        yield lambda: stub.QueryList(empty, timeout=DEADLINE)


class Calls(threading.Thread):
    """The neighbour's calls, one after the other, while an attack goes on."""

    def __init__(self, call):
        super().__init__()
        self._call, self._over, self.failures, self.n = call, threading.Event(), [], 0

    def run(self):
        while not self._over.wait(0.005):
            begin = time.monotonic()
            try:
                self._call()
            except Exception as error:
                self.failures.append(error)
            self.n += 1
            latencies.append(time.monotonic() - begin)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()


def attack(fleet, neighbour, what, directory='/etc/givc'):
    with Calls(neighbour) as calls:
        said = fleet.run('app-vm', ['python3', f'{DIRECTORY}/attack.py', what, fleet.addresses['admin-vm'], '9001', directory],
                         check=True, timeout=30).stdout
    assert not calls.failures, calls.failures[0]
    assert calls.n > 0
    return said.strip()


@pytest.mark.parametrize('what', ['connections', 'half_open', 'handshakes', 'slow_watch', 'methods', 'queries', 'rapid_reset', 'headers',
                                  'oversize'])
def test_others_are_served_meanwhile(fleet, neighbour, what):
    before = fleet.unit('admin-vm', 'givc-admin.service')['MainPID']
    said = attack(fleet, neighbour, what)
    assert re.fullmatch(ENDS.get(what, '.*'), said), said
    assert fleet.unit('admin-vm', 'givc-admin.service')['MainPID'] == before


def handshakes(fleet):
    figures = fleet.run('admin-vm', ['curl', '-s', '--unix-socket', '/run/givc-admin/metrics', 'http://localhost/metrics'],
                        check=True).stdout
    return int(re.search(r'_handshakes_total (\d+)', figures)[1])


def test_a_recorded_session_is_worth_nothing(fleet, neighbour):
    """50 times again: none of them gets through the handshake."""
    before = handshakes(fleet)
    assert re.fullmatch(ENDS['replay'], attack(fleet, neighbour, 'replay'))
    assert handshakes(fleet) < before + 10


@pytest.mark.parametrize('what', ['tls12', 'downgrade', 'renegotiation', 'no_certificate'])
def test_refused(fleet, neighbour, what):
    assert attack(fleet, neighbour, what) == 'refused'


def put_certificate(fleet, files):
    for name, text in files.items():
        fleet.write_file('app-vm', f'{DIRECTORY}/{name}', text, mode=0o600)


@pytest.mark.parametrize('kind', ['expired', 'of another CA', 'of another, with the name of the host'])
def test_wrong_certificates(fleet, neighbour, kind):
    where = fleet.addresses['app-vm']
    if kind == 'expired':
        files = fleet.authority.certify({'app-vm': where}, '--expired', '--force')['app-vm']
    else:
        name = 'app-vm' if kind == 'of another CA' else 'ghaf-host'
        files = Authority().certify({name: where})[name]
    put_certificate(fleet, files)
    assert attack(fleet, neighbour, 'wrong_certificate', DIRECTORY) == 'refused'


def test_it_is_told(fleet):
    said = fleet.journal('admin-vm', 'givc-admin.service')
    assert re.search(r'(192\.168\.100\.4|app-vm) takes too much: it has \d+ connections', said)
    assert len(re.findall('takes too much', said)) < 100
    figures = fleet.run('admin-vm', ['curl', '-s', '--unix-socket', '/run/givc-admin/metrics', 'http://localhost/metrics'],
                        check=True).stdout
    assert int(re.search(r'limited_total\{resource="connections"\} (\d+)', figures)[1]) > 0


def test_memory_stays_in_bounds(fleet, capsys):
    pid = fleet.unit('admin-vm', 'givc-admin.service')['MainPID']
    status = fleet.run('admin-vm', ['cat', f'/proc/{pid}/status'], check=True).stdout
    peak = int(re.search(r'VmHWM:\s+(\d+)', status)[1])
    ordered = sorted(latencies)
    p99 = ordered[len(ordered) * 99 // 100] * 1000
    with capsys.disabled():
        print(f'\n{len(ordered)} calls of the neighbour, p99 {p99:.1f} ms; peak memory of the daemon {peak} KiB')
    if not fleet.sanitized:
        assert peak <= MEMORY_KIB
