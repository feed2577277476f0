# SPDX-License-Identifier: GPL-2.0-or-later
"""daemon/bus against a real systemd: a small program (unit/driver-units.c) follows units and moves them inside a machine,
and says what it is told; systemctl in the same machine is the other hand."""
import contextlib
import json
import os
import select
import time

import pytest

from miniature import Fleet, HOST
import contents

VM = 'app-vm'
DRIVER = '/usr/local/bin/driver-units'

UNITS = {
    # Ends when it is asked to, which a frozen process can do only once it was thawed.
    'demo-polite.service': {'Type': 'exec', 'TimeoutStopSec': '20',
                            'ExecStart': "/bin/bash -c 'trap \"exit 0\" TERM; while :; do sleep 1000 & wait; done'"},
    'demo-bad-oneshot.service': {'Type': 'oneshot', 'ExecStart': "/bin/sh -c 'exit 3'"},
    'demo-late-start.service': {'Type': 'oneshot', 'ExecStart': '/bin/sleep 1000', 'TimeoutStartSec': '300ms'},
}


@pytest.fixture(scope='module')
def fleet(destdir):
    program = os.path.join(os.path.dirname(os.path.abspath(destdir)), 'selftest', 'driver-units')
    units = [contents.unit(name, contents.service(f'Test: {name}', **settings)) for name, settings in UNITS.items()]
    units.append(contents.unit('demo-bounce.service', '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\n'
                                                      'RestartSec=0\nExecStart=/bin/sh -c "read line <>/run/bounce"\n'))
    with Fleet(guests=(VM,), files={VM: units}) as running:
        with open(program, 'rb') as f:
            binary = f.read()
        for machine in running.names:
            running.write_file(machine, DRIVER, binary, 0o755)
        yield running


class Driver:
    def __init__(self, fleet, machine, directory, arguments=(), env=None):
        self._fleet, self._machine = fleet, machine
        self._errors = directory / 'stderr'
        self._operations = 0
        self._buffer = b''
        self._waiting = []
        with open(self._errors, 'wb') as errors:
            self.process = fleet.popen(machine, [DRIVER, *arguments], env=env, stdin=-1, stdout=-1, stderr=errors, encoding=None)

    def systemctl(self, *arguments):
        self._fleet.run(self._machine, ['systemctl', *arguments], check=True)

    def errors(self):
        return self._errors.read_text()

    def send(self, *lines):
        self.process.stdin.write(''.join(f'{line}\n' for line in lines).encode())
        self.process.stdin.flush()

    def next(self, timeout=15):
        """The next thing that it says."""
        if self._waiting:
            return self._waiting.pop(0)
        deadline = time.monotonic() + timeout
        while b'\n' not in self._buffer:
            ready = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f'nothing was said within {timeout} s; {self.errors()}'
            part = os.read(self.process.stdout.fileno(), 65536)
            assert part, f'it has ended; {self.errors()}'
            self._buffer += part
        line, self._buffer = self._buffer.split(b'\n', 1)
        return json.loads(line)

    def until(self, condition):
        """What is said up to the first for which condition(it) holds, and this one."""
        said = []
        while not said or not condition(said[-1]):
            said.append(self.next())
        return said

    def changes(self, unit, **last):
        """All changes of a unit up to the first that has these values. Changes of others are an error."""
        said = self.until(lambda s: last.items() <= s.get('changed', {}).items())
        assert {s['changed']['name'] for s in said} == {unit}
        return [s['changed'] for s in said]

    def begin(self, verb, unit):
        self.send(f'{verb} {unit}')
        self._operations += 1
        return self._operations - 1

    def end(self, number):
        """How an operation ended; the changes before its end are kept for changes()."""
        said = self.until(lambda s: s.get('done') == number)
        self._waiting = said[:-1] + self._waiting
        return said[-1]

    def do(self, verb, unit):
        """An operation that must succeed: the state after it."""
        done = self.end(self.begin(verb, unit))
        assert done['error'] is None, done['message']
        return done['state']

    def fail(self, verb, unit):
        """An operation that must not: error and text."""
        done = self.end(self.begin(verb, unit))
        return done['error'], done['message']

    def follow(self, *units):
        """Their states, as told first."""
        self.send(*(f'follow {unit}' for unit in units))
        states = {}
        while len(states) < len(units):
            state = self.next()['changed']
            states[state['name']] = state
        return states[units[0]] if len(units) == 1 else states

    def assert_silent(self):
        """Nothing was said, and nothing is on its way: the bus and systemd keep the order."""
        for _ in range(2):
            self.do('status', 'init.scope')
        assert not self._waiting

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=15) == 0, self.errors()
        self.process.stdout.close()


@contextlib.contextmanager
def driving(fleet, machine, directory, **options):
    driver = Driver(fleet, machine, directory, **options)
    try:
        assert driver.next() == {'bus': 'connected'}
        yield driver
        driver.close()
    finally:
        driver.process.kill()
        driver.process.wait()


@pytest.fixture
def driver(fleet, tmp_path):
    with driving(fleet, VM, tmp_path) as driver:
        yield driver
    fleet.run(VM, 'systemctl kill -s KILL "demo-*"; systemctl stop "demo-*"; systemctl reset-failed; rm -f /run/demo-gate')


def brief(changes):
    """The states that were passed, those in which only something else has changed left out."""
    states = [f'{c["active"]}/{c["sub"]}' for c in changes]
    return [s for i, s in enumerate(states) if i == 0 or s != states[i - 1]]


# --- states and their order

def test_first_states(driver):
    states = driver.follow('demo-clock.service', 'multi-user.target', 'dbus.service', 'no-such.service')
    assert (states['demo-clock.service']['load'], states['demo-clock.service']['active']) == ('loaded', 'inactive')
    assert states['demo-clock.service']['description'] == 'Demo: does nothing, for ever'
    assert states['demo-clock.service']['path'] == '/org/freedesktop/systemd1/unit/demo_2dclock_2eservice'
    assert states['multi-user.target']['active'] == 'active'
    assert (states['dbus.service']['sub'], states['dbus.service']['freezer']) == ('running', 'running')
    assert (states['no-such.service']['load'], states['no-such.service']['sub']) == ('not-found', 'dead')
    driver.send('follow demo-clock.service', 'follow template@.service', 'follow nonsense', 'get no-such.service',
                'unfollow no-such.service', 'get no-such.service')
    assert [driver.next() for _ in range(4)][:2] == [{'refused': 'EINVAL', 'line': 'follow'}] * 2
    driver.assert_silent()


def test_more_units_than_the_bus_lets_us_read_at_once(driver):
    names = [f'many-{i}.service' for i in range(390)]
    driver.follow(*names)
    driver.systemctl('daemon-reload')
    driver.assert_silent()
    driver.send(*(f'follow more-{i}.service' for i in range(11)))
    said = driver.until(lambda s: 'refused' in s)
    assert said[-1]['refused'] == 'ENOSPC'


def test_start_and_stop_from_elsewhere(driver):
    driver.follow('demo-slow-stop.service')
    driver.systemctl('start', 'demo-slow-stop.service')
    changes = driver.changes('demo-slow-stop.service', active='active')
    assert brief(changes)[-1] == 'active/running' and not changes[-1]['final']
    driver.systemctl('stop', 'demo-slow-stop.service')
    changes = driver.changes('demo-slow-stop.service', active='inactive', final=True)
    assert brief(changes) == ['deactivating/stop', 'deactivating/stop-sigterm', 'inactive/dead']
    assert [c['final'] for c in changes] == [False] * (len(changes) - 1) + [True]
    driver.assert_silent()


def test_failure(driver):
    driver.follow('demo-fail.service')
    driver.systemctl('start', 'demo-fail.service')
    changes = driver.changes('demo-fail.service', final=True)
    assert brief(changes)[-2:] == ['active/running', 'failed/failed']
    assert (changes[-1]['result'], changes[-1]['code'], changes[-1]['status']) == ('exit-code', 1, 3)
    driver.systemctl('reset-failed', 'demo-fail.service')
    assert driver.changes('demo-fail.service', final=True)[-1]['active'] == 'inactive'


def test_every_pass_of_a_unit_that_restarts_itself_is_told(driver, fleet):
    fleet.run(VM, ['mkfifo', '/run/bounce'], check=True)
    driver.follow('demo-bounce.service')
    driver.do('start', 'demo-bounce.service')
    driver.changes('demo-bounce.service', active='active')
    for _ in range(3):
        fleet.run(VM, 'echo >/run/bounce', check=True)
        passed = brief(driver.changes('demo-bounce.service', active='active'))
        assert passed[0] == 'inactive/dead' and 'activating/auto-restart' in passed and passed[-1] == 'active/running'


def test_killed_from_elsewhere(driver):
    driver.follow('demo-clock.service')
    driver.do('start', 'demo-clock.service')
    driver.changes('demo-clock.service', active='active')
    driver.systemctl('kill', '-s', 'KILL', 'demo-clock.service')
    last = driver.changes('demo-clock.service', final=True)[-1]
    assert (last['active'], last['result'], last['code'], last['status']) == ('failed', 'signal', 2, 9)


# --- freezing

def test_freezing_by_somebody_else_is_told_at_once(driver):
    driver.follow('demo-clock.service')
    driver.systemctl('start', 'demo-clock.service')
    driver.changes('demo-clock.service', active='active')
    for _ in range(3):
        driver.systemctl('freeze', 'demo-clock.service')
        assert len(driver.changes('demo-clock.service', freezer='frozen')) == 1
        driver.systemctl('thaw', 'demo-clock.service')
        assert len(driver.changes('demo-clock.service', freezer='running')) == 1
    driver.assert_silent()


def test_freezing_by_us(driver):
    driver.follow('demo-clock.service')
    driver.do('start', 'demo-clock.service')
    driver.changes('demo-clock.service', active='active')
    for _ in range(2):
        assert driver.do('freeze', 'demo-clock.service')['freezer'] == 'frozen'
    driver.changes('demo-clock.service', freezer='frozen')
    assert driver.do('status', 'demo-clock.service')['freezer'] == 'frozen'
    for _ in range(2):
        assert driver.do('thaw', 'demo-clock.service')['freezer'] == 'running'
    driver.changes('demo-clock.service', freezer='running')
    driver.assert_silent()


def test_found_frozen_at_first(driver):
    driver.systemctl('start', 'demo-clock.service')
    driver.systemctl('freeze', 'demo-clock.service')
    assert driver.follow('demo-clock.service')['freezer'] == 'frozen'
    driver.systemctl('thaw', 'demo-clock.service')
    driver.changes('demo-clock.service', freezer='running')


@pytest.mark.parametrize('verb,end', [('stop', 'inactive/dead'), ('restart', 'active/running')])
def test_moving_what_is_frozen(driver, verb, end):
    driver.follow('demo-polite.service')
    driver.do('start', 'demo-polite.service')
    driver.changes('demo-polite.service', active='active')
    driver.do('freeze', 'demo-polite.service')
    driver.changes('demo-polite.service', freezer='frozen')
    state = driver.do(verb, 'demo-polite.service')
    assert f'{state["active"]}/{state["sub"]} {state["freezer"]}' == f'{end} running'
    assert brief(driver.changes('demo-polite.service', active='inactive'))[-2:] != ['active/running']


def test_killing_what_is_frozen_leaves_nothing_frozen(driver):
    """systemd itself says "frozen" of it from now on, even when it runs again."""
    driver.follow('demo-clock.service')
    driver.do('start', 'demo-clock.service')
    driver.do('freeze', 'demo-clock.service')
    driver.changes('demo-clock.service', freezer='frozen')
    driver.do('kill', 'demo-clock.service')
    assert driver.changes('demo-clock.service', final=True)[-1]['freezer'] == 'running'
    assert driver.do('start', 'demo-clock.service')['freezer'] == 'running'
    assert {c['freezer'] for c in driver.changes('demo-clock.service', active='active')} == {'running'}
    assert driver.do('freeze', 'demo-clock.service')['freezer'] == 'frozen'
    driver.changes('demo-clock.service', freezer='frozen')


def test_a_whole_machine(fleet, tmp_path):
    with driving(fleet, HOST, tmp_path) as driver:
        unit = f'microvm@{VM}.service'
        assert driver.follow(unit)['sub'] == 'running'
        driver.systemctl('freeze', unit)
        driver.changes(unit, freezer='frozen')
        assert driver.do('thaw', unit)['freezer'] == 'running'
        driver.changes(unit, freezer='running')
    assert fleet.unit(VM, 'multi-user.target')['ActiveState'] == 'active'


def test_the_manager_of_a_user(fleet, tmp_path):
    env = {'XDG_RUNTIME_DIR': '/run/user0', 'DBUS_SESSION_BUS_ADDRESS': 'unix:path=/run/user0/bus'}
    fleet.run(VM, ['systemd-run', '--quiet', '--unit=demo-user.service', '--property=Type=notify', '--property=Delegate=yes',
                   '--property=RuntimeDirectory=user0', '--setenv=XDG_RUNTIME_DIR=/run/user0', '--setenv=HOME=/root',
                   '/usr/lib/systemd/systemd', '--user'], check=True)
    with driving(fleet, VM, tmp_path, arguments=['--user'], env=env) as driver:
        driver.follow('demo-run.service')
        fleet.run(VM, ['systemd-run', '--user', '--quiet', '--unit=demo-run.service', '--description=Run', 'sleep', 'infinity'],
                  check=True, env=env)
        driver.changes('demo-run.service', active='active', description='Run')
        assert driver.do('freeze', 'demo-run.service')['freezer'] == 'frozen'
        driver.changes('demo-run.service', freezer='frozen')
        assert driver.do('stop', 'demo-run.service')['active'] == 'inactive'
        driver.changes('demo-run.service', final=True)
    fleet.run(VM, ['systemctl', 'stop', 'demo-user.service'], check=True)


# --- operations

def test_start_restart_stop(driver):
    assert driver.do('start', 'demo-slow-start.service')['active'] == 'active'
    assert driver.do('restart', 'demo-oneshot.service')['sub'] == 'exited'
    assert driver.do('restart', 'demo-clock.service')['sub'] == 'running'
    assert driver.do('stop', 'demo-clock.service')['sub'] == 'dead'
    assert driver.do('stop', 'demo-clock.service')['sub'] == 'dead'
    assert driver.do('stop', 'no-such.service')['load'] == 'not-found'


def test_what_cannot_be_done(driver, fleet):
    fleet.run(VM, 'ln -sf /dev/null /etc/systemd/system/masked.service; systemctl daemon-reload', check=True)
    assert driver.fail('start', 'no-such.service') == ('ENOENT', 'Unit no-such.service not found.')
    assert driver.fail('start', 'masked.service') == ('EREMOTEIO', 'Unit masked.service is masked.')
    for verb in 'freeze', 'thaw', 'kill':
        assert driver.fail(verb, 'no-such.service') == ('ENOENT', 'There is no unit no-such.service')
        assert driver.fail(verb, 'demo-clock.service') == ('ESRCH', 'demo-clock.service does not run')
    assert driver.fail('freeze', 'multi-user.target')[0] == 'EOPNOTSUPP'
    assert driver.fail('start', 'demo-bad-oneshot.service') == (
        'EREMOTEIO', 'The start of demo-bad-oneshot.service failed: its main process exited with status 3')
    assert driver.fail('freeze', 'demo-bad-oneshot.service')[0] == 'ESRCH'
    assert driver.fail('start', 'demo-late-start.service')[0] == 'EREMOTEIO'


def test_job_cancelled_by_another(driver):
    start = driver.begin('start', 'demo-gate.service')
    driver.follow('demo-gate.service')
    stop = driver.begin('stop', 'demo-gate.service')
    done = driver.end(start)
    assert done['error'] == 'ECANCELED'
    assert done['message'].startswith('The start of demo-gate.service was cancelled')
    assert driver.end(stop)['error'] is None


def test_operation_that_nobody_waits_for_any_more(driver, fleet):
    driver.follow('demo-gate.service')
    start = driver.begin('start', 'demo-gate.service')
    driver.changes('demo-gate.service', active='activating')
    driver.send(f'cancel {start}')
    fleet.run(VM, 'echo >/run/demo-gate', check=True)
    driver.changes('demo-gate.service', active='active')
    driver.assert_silent()


def test_too_many_operations(driver):
    for _ in range(40):
        driver.begin('start', 'demo-gate.service')
    driver.send('start demo-gate.service')
    assert driver.until(lambda s: 'refused' in s)[-1]['refused'] == 'EBUSY'


# --- units come and go

def test_appears_by_being_started(driver, fleet):
    assert driver.follow('demo-new.service')['load'] == 'not-found'
    fleet.write_file(VM, '/etc/systemd/system/demo-new.service', contents.service('New', ExecStart='/bin/sleep infinity'))
    driver.systemctl('start', 'demo-new.service')
    changes = driver.changes('demo-new.service', active='active', description='New')
    assert {c['load'] for c in changes} == {'loaded'}
    driver.systemctl('freeze', 'demo-new.service')
    driver.changes('demo-new.service', freezer='frozen')
    fleet.run(VM, 'rm /etc/systemd/system/demo-new.service; systemctl stop demo-new', check=True)
    driver.changes('demo-new.service', final=True)
    driver.systemctl('daemon-reload')
    driver.changes('demo-new.service', load='not-found')


def test_appears_by_reload_or_by_being_looked_at(driver, fleet):
    driver.follow('demo-new2.service')
    fleet.write_file(VM, '/etc/systemd/system/demo-new2.service', contents.service('New', ExecStart='/bin/true'))
    assert driver.do('status', 'demo-new2.service')['load'] == 'loaded'
    driver.changes('demo-new2.service', load='loaded')
    fleet.run(VM, 'rm /etc/systemd/system/demo-new2.service; systemctl daemon-reload', check=True)
    driver.changes('demo-new2.service', load='not-found')
    fleet.write_file(VM, '/etc/systemd/system/demo-new2.service', contents.service('Newer', ExecStart='/bin/true'))
    driver.systemctl('daemon-reload')
    assert driver.changes('demo-new2.service', load='loaded')[-1]['description'] == 'Newer'
    fleet.run(VM, 'rm /etc/systemd/system/demo-new2.service; systemctl daemon-reload', check=True)


def test_transient_unit_twice(driver, fleet):
    """Following it must not keep it loaded: then nobody could create it again."""
    driver.follow('demo-run.service')
    for n in 1, 2:
        fleet.run(VM, ['systemd-run', '--quiet', '--unit=demo-run.service', f'--description=Run {n}', 'sleep', 'infinity'],
                  check=True)
        driver.changes('demo-run.service', active='active', description=f'Run {n}')
        driver.systemctl('stop', 'demo-run.service')
        driver.changes('demo-run.service', final=True)


def test_alias(driver, fleet):
    fleet.run(VM, 'ln -s demo-clock.service /etc/systemd/system/demo-watch.service; systemctl daemon-reload', check=True)
    assert driver.follow('demo-watch.service')['description'] == 'Demo: does nothing, for ever'
    driver.systemctl('start', 'demo-clock.service')
    driver.changes('demo-watch.service', active='active')
    fleet.run(VM, 'systemctl stop demo-clock.service; rm /etc/systemd/system/demo-watch.service; systemctl daemon-reload',
              check=True)
    driver.changes('demo-watch.service', load='not-found')


# --- systemd and the bus go away and come back

@pytest.mark.parametrize('how', ['daemon-reload', 'daemon-reexec'])
def test_systemd_reloads(driver, fleet, how):
    driver.follow('demo-clock.service', 'demo-gate.service')
    driver.do('start', 'demo-clock.service')
    driver.changes('demo-clock.service', active='active')
    driver.do('freeze', 'demo-clock.service')
    driver.changes('demo-clock.service', freezer='frozen')
    start = driver.begin('start', 'demo-gate.service')
    driver.changes('demo-gate.service', active='activating')
    for _ in range(3):
        driver.systemctl(how)
    driver.assert_silent()
    driver.systemctl('thaw', 'demo-clock.service')
    driver.changes('demo-clock.service', freezer='running')
    fleet.run(VM, 'echo >/run/demo-gate', check=True)
    assert driver.end(start)['error'] is None
    driver.changes('demo-gate.service', active='active')
    driver.systemctl('stop', 'demo-clock.service')
    driver.changes('demo-clock.service', final=True)


def test_bus_restarts(driver, fleet):
    driver.follow('demo-clock.service', 'demo-gate.service')
    start = driver.begin('start', 'demo-gate.service')
    driver.changes('demo-gate.service', active='activating')
    driver.systemctl('restart', 'dbus.service')
    said = driver.until(lambda s: s.get('bus') == 'connected')
    assert [(s.get('bus'), s.get('done'), s.get('error')) for s in said] == [
        ('lost', None, None), (None, start, 'ENOTCONN'), ('connected', None, None)]
    driver.assert_silent()
    fleet.run(VM, 'echo >/run/demo-gate', check=True)
    driver.changes('demo-gate.service', active='active')
    assert driver.do('start', 'demo-clock.service')['active'] == 'active'
    driver.changes('demo-clock.service', active='active')


def test_without_a_bus(driver, fleet):
    driver.follow('demo-clock.service')
    driver.systemctl('stop', 'dbus.socket', 'dbus.service')
    assert driver.next() == {'bus': 'lost'}
    assert driver.fail('start', 'demo-clock.service') == ('ENOTCONN', 'There is no connection to systemd')
    driver.systemctl('start', 'demo-clock.service')
    # What happened meanwhile is told as soon as there is somebody to ask; why there was nobody, once for each cause.
    driver.systemctl('start', 'dbus.socket')
    assert driver.next() == {'bus': 'connected'}
    driver.changes('demo-clock.service', active='active')
    causes = [line for line in driver.errors().splitlines() if line.startswith('No connection')]
    assert 1 <= len(causes) == len(set(causes)) <= 3
    assert 'Connected to the system bus again' in driver.errors()


# --- idle

def wake_ups(process):
    with open(f'/proc/{process.pid}/status') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('voluntary_ctxt_switches'))


def test_others_do_not_wake_us(driver, fleet):
    driver.follow('demo-clock.service', 'no-such.service')
    driver.do('start', 'demo-clock.service')
    driver.changes('demo-clock.service', active='active')
    driver.assert_silent()
    before = wake_ups(driver.process)
    for verb in 'start', 'freeze', 'thaw', 'restart', 'stop':
        driver.systemctl(verb, 'demo-echo.service')
    driver.systemctl('start', 'demo-fail.service')
    driver.systemctl('status', 'demo-clock.service')
    # One at most: it may not have gone to sleep yet when we looked first.
    assert wake_ups(driver.process) - before <= 1
