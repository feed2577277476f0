# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-online.target: what orders itself after it starts once this machine is registered, stops when that is lost for good,
and starts again when it is back."""
import pytest

import contents
from miniature import Fleet, HOST

TARGET = 'givc-online.target'
FOLLOWER = '[Unit]\nDescription=Test: needs the fleet\nBindsTo=givc-online.target\nAfter=givc-online.target\n\n' \
           '[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=givc-online.target\n'
AFTER = '[Unit]\nDescription=Test: once the fleet is there\nWants=givc-online.target\nAfter=givc-online.target\n\n' \
        '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n'
UNITS = [contents.unit('follower.service', FOLLOWER),
         contents.wants(TARGET, 'follower.service', f'{contents.SYSTEM}/follower.service'),
         contents.unit('after.service', AFTER),
         contents.wants('multi-user.target', 'after.service', f'{contents.SYSTEM}/after.service')]


@pytest.fixture(scope='module')
def fleet(destdir):
    machines = ('admin-vm', 'net-vm', HOST)
    with Fleet(destdir, guests=['admin-vm', 'net-vm'], files={machine: UNITS for machine in machines}) as up:
        yield up


def state(fleet, machine, unit):
    return fleet.unit(machine, unit)['ActiveState']


def main_pid(fleet, machine, unit):
    return fleet.unit(machine, unit)['MainPID']


def stop_admin(fleet):
    fleet.run('admin-vm', ['systemctl', 'stop', 'givc-admin.socket', 'givc-admin.service'], check=True)


def start_admin(fleet):
    fleet.run('admin-vm', ['systemctl', 'start', 'givc-admin.socket', 'givc-admin.service'], check=True)


def test_at_boot_it_comes_after_the_registration(fleet):
    for machine in fleet.names:
        fleet.wait_unit(machine, 'follower.service', 'active')
        assert [state(fleet, machine, unit) for unit in (TARGET, 'after.service')] == ['active', 'active']
        entered = [int(fleet.run(machine, ['systemctl', 'show', '-p', 'ActiveEnterTimestampMonotonic', '--value', unit],
                                 check=True).stdout) for unit in ('givc-agent.service', 'givc-online.service', TARGET)]
        begun = int(fleet.run(machine, ['systemctl', 'show', '-p', 'ExecMainStartTimestampMonotonic', '--value', 'after.service'],
                              check=True).stdout)
        assert [*entered, begun] == sorted([*entered, begun])


@pytest.mark.parametrize('how', [['restart'], ['kill', '-s', 'KILL']], ids=['restart', 'kill'])
@pytest.mark.parametrize('machine,daemon', [('admin-vm', 'givc-admin'), ('net-vm', 'givc-agent')])
def test_a_restart_bounces_nothing(fleet, machine, daemon, how):
    before = [main_pid(fleet, m, u) for m in fleet.names for u in ('follower.service', 'givc-online.service')]
    pid = main_pid(fleet, machine, f'{daemon}.service')
    fleet.run(machine, ['systemctl', *how, f'{daemon}.service'], check=True)

    fleet.wait_for(lambda: main_pid(fleet, machine, f'{daemon}.service') not in (pid, '0'), machine, what='another process')

    def is_registered():
        """The status is what systemd tells changes of."""
        status = fleet.run('net-vm', ['systemctl', 'show', '-p', 'StatusText', '--value', 'givc-online.service'], check=True)
        said = fleet.run('net-vm', ['cat', '/run/givc-agent/online']).stdout
        return status.stdout == 'Registered\n' and (machine != 'net-vm' or said.strip() == main_pid(fleet, machine, 'givc-agent.service'))
    fleet.wait_for(is_registered, 'net-vm', what='registered')
    fleet.wait_registered()
    assert [main_pid(fleet, m, u) for m in fleet.names for u in ('follower.service', 'givc-online.service')] == before


def test_what_is_lost_for_good_is_told_and_comes_back(fleet):
    before = main_pid(fleet, 'net-vm', 'follower.service')
    stop_admin(fleet)
    for machine in fleet.names:
        fleet.wait_unit(machine, 'follower.service', 'inactive', timeout=60)
        fleet.wait_unit(machine, TARGET, 'inactive')
        assert state(fleet, machine, 'after.service') == 'active'
        fleet.wait_unit(machine, 'givc-online.service', 'activating')

    # Who wants it now waits.
    fleet.run('net-vm', ['systemctl', 'stop', 'after.service'], check=True)
    fleet.run('net-vm', ['systemctl', 'start', '--no-block', 'after.service'], check=True)
    jobs = fleet.run('net-vm', ['systemctl', 'list-jobs', '--no-legend'], check=True).stdout
    assert 'after.service' in jobs and TARGET in jobs
    assert state(fleet, 'net-vm', 'after.service') == 'inactive'
    start_admin(fleet)
    fleet.wait_unit('net-vm', 'after.service', 'active', timeout=60)
    for machine in fleet.names:
        fleet.wait_unit(machine, 'follower.service', 'active', timeout=60)
        assert state(fleet, machine, TARGET) == 'active'
    assert main_pid(fleet, 'net-vm', 'follower.service') not in (before, '0')


def test_an_agent_that_is_stopped_is_not_online(fleet):
    fleet.run('net-vm', ['systemctl', 'stop', 'givc-agent.socket', 'givc-agent.service'], check=True)
    fleet.wait_unit('net-vm', 'follower.service', 'inactive', timeout=60)
    fleet.run('net-vm', ['systemctl', 'start', 'givc-agent.socket', 'givc-agent.service'], check=True)
    fleet.wait_unit('net-vm', 'follower.service', 'active', timeout=60)


def test_who_is_refused_is_not_online(fleet):
    """With a certificate that does not fit: it reaches the admin, and is not let in."""
    own = fleet.certificates['net-vm']
    others = fleet.authority.certify({'app-vm': fleet.addresses['net-vm']})['app-vm']

    def show_as(files):
        for base, text in files.items():
            fleet.write_file('net-vm', f'/etc/givc/{base}', text, 0o600)
        fleet.run('net-vm', ['systemctl', 'restart', 'givc-agent.service'], check=True)

    show_as(others)
    try:
        fleet.wait_log('net-vm', 'refuses to register', 'givc-agent.service')
        fleet.wait_unit('net-vm', 'follower.service', 'inactive', timeout=60)
        assert state(fleet, 'net-vm', TARGET) == 'inactive'
        fleet.wait_unit('net-vm', 'givc-online.service', 'activating')
    finally:
        show_as(own)
    fleet.wait_unit('net-vm', 'follower.service', 'active', timeout=60)


def test_a_users_manager_has_it_too(destdir):
    with Fleet(destdir, guests=['admin-vm', 'app-vm']) as fleet:
        fleet.run('app-vm', ['systemctl', 'stop', 'givc-agent.socket', 'givc-agent.service'], check=True)
        fleet.run('app-vm', ['chown', contents.USER, '/etc/givc/key.pem'], check=True)
        fleet.run('app-vm', ['systemctl', 'start', f'user@{contents.USER_ID}.service'], check=True)
        fleet.run('app-vm', ['systemctl', '--user', 'start', TARGET], user=contents.USER, check=True)
        active = fleet.run('app-vm', ['systemctl', '--user', 'is-active', TARGET, 'givc-agent.service'], user=contents.USER)
        assert active.stdout == 'active\nactive\n'
