# SPDX-License-Identifier: GPL-2.0-or-later
"""Unit verbs: an agent's UnitManageService, and the admin's FleetService, which passes them on."""
import signal
import time

import grpc
import pytest
from grpc import StatusCode

from miniature import Fleet

MACHINE = 'net-vm'
CLOCK = 'demo-clock.service'
STEADY = 20  # seconds: what should come at once, and has not come by then, does not come
UNITS = {
    # Reloads by a signal that its shell counts, and takes SIGUSR1 as the end, with a status of its own.
    'demo-handy.service': '''[Service]
Type=notify
NotifyAccess=all
ExecStart=/bin/bash -c 'trap "echo reloaded" HUP; trap "exit 7" USR1; systemd-notify --ready; while :; do sleep infinity & wait; done'
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
''',
}


class Manage:
    """The verbs of one machine's agent, straight or through the admin."""

    def __init__(self, fleet, wire, machine=None, source=None):
        self.fleet, self.pb, self.machine = fleet, wire.pb, machine
        if machine is None:
            self.stub = wire.stub(MACHINE, 9000, 'systemd.UnitManageService', source=source or 'admin-vm')
        else:
            self.stub = wire.stub('admin-vm', 9001, 'admin.FleetService', source=source or 'ghaf-host')

    def request(self, verb, unit, **more):
        request = self.pb.msg('systemd.ManageUnitRequest')(
            UnitName=unit, Verb=self.pb.enum('systemd.UnitVerb').get(verb, verb), **more)
        if self.machine is None:
            return request
        return self.pb.msg('admin.ManageUnitRequest')(VmName=self.machine, Request=request)

    def __call__(self, verb, unit, timeout=STEADY, **more):
        return self.stub.ManageUnit(self.request(verb, unit, **more), timeout=timeout, wait_for_ready=True)

    def error(self, verb, unit, timeout=STEADY, **more):
        with pytest.raises(grpc.RpcError) as raised:
            self(verb, unit, timeout, **more)
        return raised.value.code(), raised.value.details()

    def list(self):
        request = self.pb.msg('systemd.ListUnitsRequest')()
        if self.machine is not None:
            request = self.pb.msg('admin.ListUnitsRequest')(VmName=self.machine)
        return {unit.Status.Name: unit for unit in self.stub.ListUnits(request, timeout=STEADY).Units}

    def unit(self, name):
        return self.fleet.unit(MACHINE, name)

    def wait(self, name, state):
        return self.fleet.wait_unit(MACHINE, name, state)


@pytest.fixture(scope='module')
def fleet(destdir):
    import contents
    files = {MACHINE: [contents.unit(name, text) for name, text in UNITS.items()]}
    exposed = {MACHINE: contents.exposed_units(MACHINE) + list(UNITS) + ['demo-absent.service']}
    with Fleet(destdir, guests=('admin-vm', MACHINE), files=files, exposed=exposed) as fleet:
        fleet.wait_registered()
        yield fleet


@pytest.fixture(scope='module')
def stubs(fleet, wire):
    return {'agent': Manage(fleet, wire), 'admin': Manage(fleet, wire, MACHINE), 'host': Manage(fleet, wire, '')}


@pytest.fixture
def agent(stubs, clean):
    return stubs['agent']


@pytest.fixture
def host(stubs):
    return stubs['host']


@pytest.fixture(params=['agent', 'admin'])
def manage(request, stubs, clean):
    """Everything that an agent can be asked can be asked of the admin."""
    return stubs[request.param]


@pytest.fixture
def clean(fleet):
    yield
    fleet.run(MACHINE, "systemctl thaw demo-clock; systemctl stop 'demo-*'; systemctl reset-failed")


# --- too much of it

@pytest.mark.parametrize('through, limit', [(None, 20), (MACHINE, 24)], ids=['agent', 'admin'])
def test_one_peer_cannot_use_up_the_operations(fleet, wire, stubs, clean, through, limit):
    one = Manage(fleet, wire, through, source=MACHINE)
    start = one.request('START', 'demo-gate.service')
    under_way = [one.stub.ManageUnit.future(start, timeout=STEADY) for _ in range(limit)]
    stubs['agent'].wait('demo-gate.service', 'activating')
    with pytest.raises(grpc.RpcError) as raised:
        one.stub.ManageUnit(start, timeout=STEADY)
    assert raised.value.code() == StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.details() == f'too many operations at a time: {MACHINE} may have {limit} now'
    for other in stubs['agent'], stubs['admin']:
        assert other('START', CLOCK).Status.ActiveState == 'active'
    fleet.run(MACHINE, 'echo >/run/demo-gate', check=True)
    for call in under_way:
        assert call.result().Status.ActiveState == 'active'
    assert one('STATUS', CLOCK).Status.ActiveState == 'active'


# --- every verb

def test_start_leaves_alone_what_runs(manage):
    begin = time.time()
    first = manage('START', CLOCK)
    assert (first.Status.Name, first.Status.ActiveState, first.Status.SubState) == (CLOCK, 'active', 'running')
    assert first.MainPid == int(manage.unit(CLOCK)['MainPID'])
    assert begin - 1 < first.SinceUsec / 1e6 < time.time() + 1
    assert first.Result == 'success'
    again = manage('START', CLOCK)
    assert (again.MainPid, again.SinceUsec) == (first.MainPid, first.SinceUsec)


def test_status_changes_nothing(manage):
    detail = manage('STATUS', CLOCK)
    assert (detail.Status.LoadState, detail.Status.ActiveState, detail.MainPid) == ('loaded', 'inactive', 0)
    manage.fleet.run(MACHINE, ['systemctl', 'start', CLOCK], check=True)
    assert manage('STATUS', CLOCK).MainPid == int(manage.unit(CLOCK)['MainPID'])


def test_stop(manage):
    manage('START', CLOCK)
    detail = manage('STOP', CLOCK)
    assert (detail.Status.ActiveState, detail.Result, detail.MainPid) == ('inactive', 'success', 0)
    assert manage('STOP', CLOCK).Status.ActiveState == 'inactive', 'once more does no harm'


def test_restart(manage):
    first = manage('RESTART', CLOCK)
    assert first.Status.ActiveState == 'active', 'what does not run is started'
    assert manage('RESTART', CLOCK).MainPid not in (0, first.MainPid)


def test_try_restart(manage):
    assert manage('TRY_RESTART', CLOCK).Status.ActiveState == 'inactive', 'what does not run is left alone'
    first = manage('START', CLOCK)
    assert manage('TRY_RESTART', CLOCK).MainPid not in (0, first.MainPid)


def test_reload(manage):
    first = manage('START', 'demo-handy.service')
    again = manage('RELOAD', 'demo-handy.service')
    assert (again.Status.ActiveState, again.MainPid) == ('active', first.MainPid)
    manage.fleet.wait_log(MACHINE, '^reloaded$', 'demo-handy.service')


def test_what_cannot_be_reloaded(manage):
    manage('START', CLOCK)
    code, text = manage.error('RELOAD', CLOCK)
    assert code == StatusCode.FAILED_PRECONDITION, text
    assert 'not applicable' in text
    code, text = manage.error('RELOAD', 'demo-handy.service')
    assert code == StatusCode.FAILED_PRECONDITION, text
    assert 'does not run' in text


def test_how_it_failed_and_reset_failed(manage):
    manage('START', 'demo-fail.service')
    manage.wait('demo-fail.service', 'failed')
    failed = manage('STATUS', 'demo-fail.service')
    assert (failed.Status.ActiveState, failed.Result, failed.ExitCode, failed.ExitStatus) == ('failed', 'exit-code', 1, 3)
    reset = manage('RESET_FAILED', 'demo-fail.service')
    assert (reset.Status.ActiveState, reset.Result) == ('inactive', 'success')
    assert manage('RESET_FAILED', CLOCK).Status.ActiveState == 'inactive', 'nothing to forget is no error'


def test_kill_asks_it_to_end_unless_told_otherwise(manage):
    manage('START', CLOCK)
    manage('KILL', CLOCK)
    assert manage.wait(CLOCK, ['inactive', 'failed'])['Result'] == 'success', 'SIGTERM is a clean end'


def test_kill_by_signal(manage):
    manage('START', CLOCK)
    manage('KILL', CLOCK, Signal=signal.SIGKILL)
    manage.wait(CLOCK, 'failed')
    detail = manage('STATUS', CLOCK)
    assert (detail.Result, detail.ExitCode, detail.ExitStatus) == ('signal', 2, signal.SIGKILL)


def test_kill_the_main_process_alone(manage):
    first = manage('START', 'demo-handy.service')
    manage('KILL', 'demo-handy.service', Signal=signal.SIGUSR1, Whom='main')
    manage.wait('demo-handy.service', 'failed')
    detail = manage('STATUS', 'demo-handy.service')
    assert (detail.Result, detail.ExitCode, detail.ExitStatus, detail.MainPid) == ('exit-code', 1, 7, 0)
    assert first.MainPid != 0


def test_kill_nobody(manage):
    code, text = manage.error('KILL', CLOCK)
    assert code == StatusCode.FAILED_PRECONDITION, text
    manage('START', CLOCK)
    code, text = manage.error('KILL', CLOCK, Whom='control')
    assert code == StatusCode.FAILED_PRECONDITION, text


def test_freeze_and_thaw(manage):
    manage('START', CLOCK)
    assert manage('FREEZE', CLOCK).Status.FreezerState == 'frozen'
    assert manage.unit(CLOCK)['FreezerState'] == 'frozen'
    assert manage('THAW', CLOCK).Status.FreezerState == 'running'
    manage('STOP', CLOCK)
    assert manage.error('FREEZE', CLOCK)[0] == StatusCode.FAILED_PRECONDITION


def test_no_block_answers_when_the_job_is_queued(manage):
    begin = time.monotonic()
    detail = manage('START', 'demo-slow-start.service', NoBlock=True)
    assert time.monotonic() - begin < 1.5
    assert detail.Status.ActiveState in ('inactive', 'activating')
    manage.wait('demo-slow-start.service', 'active')
    begin = time.monotonic()
    manage('RESTART', 'demo-slow-start.service')
    assert time.monotonic() - begin >= 2, 'else it answers when it is done'


def test_a_start_that_fails_says_why(manage):
    code, text = manage.error('START', 'demo-absent.service')
    assert code == StatusCode.NOT_FOUND, text
    assert manage.error('STATUS', 'demo-absent.service')[0] == StatusCode.NOT_FOUND


# --- refusals

@pytest.mark.parametrize('unit', ['demo-hidden.service', 'dbus.service', 'givc-agent.service', 'demo-clock', '', 'x' * 10000])
def test_other_units_are_refused(manage, unit):
    code, text = manage.error('STATUS', unit)
    assert code == StatusCode.NOT_FOUND, text
    for verb in 'START', 'STOP', 'RESTART', 'TRY_RESTART', 'RELOAD', 'RESET_FAILED', 'KILL', 'FREEZE', 'THAW':
        code, text = manage.error(verb, unit)
        assert code == StatusCode.PERMISSION_DENIED, (verb, text)
        assert 'unit is not whitelisted' in text


@pytest.mark.parametrize('verb, more, reason', [
    (10, {}, 'there is no verb 10'), (-1, {}, 'there is no verb -1'),
    ('KILL', {'Signal': -9}, 'there is no signal -9'), ('KILL', {'Signal': 65}, 'there is no signal 65'),
    ('KILL', {'Whom': 'everybody'}, 'Whom must be'),
])
def test_nonsense_is_refused(manage, verb, more, reason):
    code, text = manage.error(verb, CLOCK, **more)
    assert code == StatusCode.INVALID_ARGUMENT
    assert reason in text


def test_an_agent_does_not_suspend_itself(agent):
    own = f'givc-{MACHINE}.service'
    assert agent.error('FREEZE', own)[0] == StatusCode.FAILED_PRECONDITION
    assert agent.error('KILL', own, Signal=signal.SIGSTOP)[0] == StatusCode.FAILED_PRECONDITION
    assert agent('STATUS', own).Status.ActiveState == 'active'


# --- all of them

def test_list(manage):
    manage('START', CLOCK)
    manage('START', 'demo-fail.service')
    manage.wait('demo-fail.service', 'failed')
    manage('STATUS', 'demo-fail.service')
    units = manage.list()
    assert set(units) == {f'givc-{MACHINE}.service', *manage.fleet.exposed[MACHINE]}
    assert units[CLOCK].MainPid == int(manage.unit(CLOCK)['MainPID'])
    assert units[CLOCK].SinceUsec > 0
    failed = units['demo-fail.service']
    assert (failed.Status.ActiveState, failed.Result, failed.ExitStatus) == ('failed', 'exit-code', 3)
    assert units['demo-absent.service'].Status.LoadState == 'not-found'
    assert units[f'givc-{MACHINE}.service'].Status.ActiveState == 'active'
