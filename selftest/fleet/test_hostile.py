# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile guest: app-vm, with a certificate of its own and others, does to the admin, and to the host's agent, what attack.py
knows; meanwhile net-vm calls the admin, and, through it, that agent, and every call of it is answered in time. The daemons'
memory stays within bounds through all of it. What --attack-seconds measures wants a machine that is idle otherwise."""
import contextlib
import json
import os
import re
import subprocess
import typing

import pytest

from contents import file
from miniature import HERE, HOST, TOP, Authority, Fleet, wait_line

DEADLINE = 2  # seconds, of the other guest's calls
MEMORY_KIB = 32 * 1024
DIRECTORY = '/tmp/attack'
RULES_FILE = '/etc/givc/rules.cedar'
# Whoever may power off a machine need not attack it.
RULES = """permit (principal, action, resource);
forbid (principal == Source::"app-vm", action in [Command::"Poweroff", Command::"Reboot", Command::"Suspend"], resource);
"""
CUT_OFF = '[1-9][0-9]* times cut off'
# What an attack says of itself: that it was one, and where it was ended.
ENDS = {'connections': '[0-9]{4,5} connected', 'handshakes': '[1-9][0-9]* handshakes', 'headers': 'cut off',
        'methods': '[1-9][0-9]{2,} calls', 'queries': '[1-9][0-9]{2,} calls', 'questions': '[1-9][0-9]{2,} calls',
        'pulses': '[1-9][0-9]+ calls', 'rapid_reset': CUT_OFF, 'continuations': CUT_OFF, 'pings': CUT_OFF,
        'names': '[0-9]+ units', 'replay': '[1-9] parts recorded', 'slow_watch': '[1-9][0-9]* connections'}
# The last but one leaves a longer list, and the last one a peer that may reset nothing for ten seconds.
FLOODS = ['nothing', 'connections', 'half_open', 'handshakes', 'slow_watch', 'methods', 'queries', 'questions', 'pulses', 'oversize',
          'headers', 'continuations', 'header_bombs', 'pings', 'frames', 'names', 'rapid_reset']


class Target(typing.NamedTuple):
    """A daemon, what another guest asks of it by way of the admin meanwhile, and what it says of the attacks."""
    name: str
    machine: str
    port: int
    method: str
    request: bytes
    floods: list
    seconds: int  # that an attack goes on where nothing is measured
    tells: str
    limited: tuple

    @property
    def unit(self):
        return f'givc-{self.name}.service'

    def metrics(self, fleet):
        return fleet.run(self.machine, ['curl', '-s', '--unix-socket', f'/run/givc-{self.name}/metrics', 'http://localhost/metrics'],
                         check=True).stdout


TARGETS = [
    Target('admin', 'admin-vm', 9001, '/admin.AdminService/QueryList', b'', FLOODS, 2, 'app-vm takes too much: it has 2048 names',
           ('connections', 'names', 'watchers', 'bytes')),
    Target('agent', HOST, 9000, '/admin.AdminService/GetUnitStatus', b'\x0a\x09ghaf-host\x12\x16microvm@net-vm.service',
           [flood for flood in FLOODS if flood != 'names'], 1, 'app-vm takes too much: it has 8 watchers',
           ('connections', 'watchers', 'monitors', 'log streams', 'operations', 'bytes')),
]
figures = {}


def with_rules(spec):
    for machine in spec['machines']:
        for entry in machine['files']:
            if entry.get('path') == '/etc/givc/admin.env':
                entry['content'] += f'ACCESS_CONTROL=true\nCEDAR_FILE={RULES_FILE}\n'
            if entry.get('path') == '/etc/givc/agent.json' and machine['name'] == HOST:
                config = json.loads(entry['content'])
                config['accessControl'] = {'enable': True, 'rulesFile': RULES_FILE}
                entry['content'] = json.dumps(config)


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request):
    return request.param


@pytest.fixture
def seconds(request, target, fleet):
    return request.config.getoption('--attack-seconds') or target.seconds * (3 if fleet.sanitized else 1)


@pytest.fixture(scope='module')
def fleet(destdir):
    rules = [file(RULES_FILE, RULES)]
    with Fleet(destdir, files={'admin-vm': rules, HOST: rules}, configure=with_rules) as fleet:
        fleet.wait_registered()
        for path in (f'{HERE}/attack.py', f'{HERE}/neighbour.py', f'{TOP}/selftest/interop/h2raw.py'):
            with open(path) as program:
                text = program.read()
            for machine in ('app-vm', 'net-vm'):
                fleet.write_file(machine, f'{DIRECTORY}/{os.path.basename(path)}', text)
        yield fleet


@contextlib.contextmanager
def neighbour(fleet, target, times, calls):
    """Calls of another guest, one after the other, so many on a connection, meanwhile: none fails, each is answered in time. How
    long they took: times."""
    arguments = ['python3', f'{DIRECTORY}/neighbour.py', fleet.addresses['admin-vm'], '9001', '/etc/givc', str(DEADLINE),
                 target.method, target.request.hex(), str(calls)]
    with fleet.popen('net-vm', arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            wait_line(process, 'calling')
            yield
            said, why = process.communicate('enough', timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, why
    times.extend(sorted(float(word) for word in said.split()))


def attack(fleet, target, what, seconds, directory='/etc/givc'):
    """Returns what became of it. The daemon is still the same."""
    before, times = fleet.unit(target.machine, target.unit)['MainPID'], []
    # Where it is about who gets in, the neighbour comes again and again.
    with neighbour(fleet, target, times, 40 if what == 'half_open' else 1_000_000):
        said = fleet.run('app-vm', ['nice', 'python3', f'{DIRECTORY}/attack.py', what, target.name, fleet.addresses[target.machine],
                                    str(target.port), directory, str(seconds)], check=True, timeout=60 + seconds).stdout.strip()
    figures.setdefault(target.name, {})[what] = said, times
    assert fleet.unit(target.machine, target.unit)['MainPID'] == before
    return said


@pytest.mark.parametrize('target, what', [(target, flood) for target in TARGETS for flood in target.floods], indirect=['target'],
                         ids=lambda value: getattr(value, 'name', value))
def test_others_are_served_meanwhile(fleet, target, seconds, what):
    said = attack(fleet, target, what, seconds)
    assert re.fullmatch(ENDS.get(what, '.*'), said), said


def handshakes(fleet, target):
    return int(re.search(r'_handshakes_total (\d+)', target.metrics(fleet))[1])


def test_a_recorded_session_is_worth_nothing(fleet, target, seconds):
    """50 times again: none of them gets through the handshake."""
    before = handshakes(fleet, target)
    assert re.fullmatch(ENDS['replay'], attack(fleet, target, 'replay', seconds))
    assert handshakes(fleet, target) < before + 10


@pytest.mark.parametrize('what', ['tls12', 'downgrade', 'renegotiation', 'no_certificate'])
def test_refused(fleet, target, seconds, what):
    assert attack(fleet, target, what, seconds) == 'refused'


def put_certificate(fleet, files):
    for name, text in files.items():
        fleet.write_file('app-vm', f'{DIRECTORY}/{name}', text, mode=0o600)


@pytest.mark.parametrize('kind', ['expired', 'of another CA', 'of another, with the name of the host'])
def test_wrong_certificates(fleet, target, seconds, kind):
    where = fleet.addresses['app-vm']
    if kind == 'expired':
        files = fleet.authority.certify({'app-vm': where}, '--expired', '--force')['app-vm']
    else:
        name = 'app-vm' if kind == 'of another CA' else HOST
        files = Authority().certify({name: where})[name]
    put_certificate(fleet, files)
    assert attack(fleet, target, 'wrong_certificate', seconds, DIRECTORY) == 'refused'


@pytest.mark.parametrize('target', TARGETS[:1], ids=['admin'], indirect=True)
def test_a_flood_of_strangers_is_a_few_lines(fleet, target, seconds):
    """In the journal, and to who follows denials: as many in a minute as of one stranger."""
    where = fleet.addresses['app-vm']
    put_certificate(fleet, fleet.authority.certify({'app-vm': where}, '--expired', '--force')['app-vm'])
    with fleet.popen(HOST, ['givcctl', 'auth', 'log', '--json'], stdout=subprocess.PIPE, text=True) as log:
        try:
            wait_line(log, '"givc-admin".*"followed":true')
            said = attack(fleet, target, 'strangers', seconds, DIRECTORY)
        finally:
            log.kill()
        told = log.stdout.read().count('"refuse"')
    assert re.fullmatch('[1-9][0-9]+ times refused', said), said
    most = 3 * (seconds // 60 + 2)  # in each minute that it touches
    assert told <= most
    refused = re.findall(f'Connection of {where} refused: .* expired', fleet.journal(target.machine, target.unit))
    assert len(refused) <= most + 3


def test_it_is_told(fleet, target):
    said = fleet.journal(target.machine, target.unit)
    assert re.search(r'(192\.168\.100\.4|app-vm) takes too much: it has \d+ connections', said)
    assert target.tells in said
    assert len(re.findall('takes too much', said)) < 100
    metrics = target.metrics(fleet)
    for resource in target.limited:
        assert int(re.search(rf'limited_total\{{resource="{resource}"\}} (\d+)', metrics)[1]) > 0, resource


def test_memory_stays_in_bounds(fleet, target, capsys):
    pid = fleet.unit(target.machine, target.unit)['MainPID']
    status = fleet.run(target.machine, ['cat', f'/proc/{pid}/status'], check=True).stdout
    peak = int(re.search(r'VmHWM:\s+(\d+)', status)[1])
    with capsys.disabled():
        print(f'\npeak memory of the {target.name} {peak} KiB; the other guest\'s calls while it was attacked, in milliseconds:')
        for what, (said, times) in figures[target.name].items():
            print(f'{what:15} {len(times):6} calls, p50 {times[len(times) // 2]:7.2f}, p99 {times[len(times) * 99 // 100]:7.2f}, '
                  f'longest {times[-1]:7.2f} ({said})')
    if not fleet.sanitized:
        assert peak <= MEMORY_KIB
