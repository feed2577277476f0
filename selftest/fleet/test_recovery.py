# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs that crash come back by themselves, and those that were stopped do not."""
import json
import time

import pytest

from miniature import HOST, Fleet, Journal
from wire import Wire

VM, UNIT = 'app-vm', 'microvm@app-vm.service'
DROP_IN = f'/run/systemd/system/{UNIT}.d/broken.conf'
STEADY = 20  # seconds: what should come at once, and has not come by then, does not come


def journal_of(fleet):
    """What the admin logs from now on."""
    return Journal(fleet, 'admin-vm', 'givc-admin')


def count(journal, words):
    return sum(words in entry['MESSAGE'] for entry in journal.entries())


@pytest.fixture(scope='module')
def fleet(destdir):
    with Fleet(destdir, guests=('admin-vm', VM)) as fleet:
        fleet.wait_registered()
        yield fleet


@pytest.fixture
def up(fleet):
    """With the VM up, and as if it had never crashed."""
    yield fleet
    fleet.run(HOST, f'rm -f {DROP_IN}; systemctl daemon-reload; systemctl reset-failed {UNIT}; systemctl stop {UNIT}')
    assert fleet.unit(HOST, UNIT)['ActiveState'] == 'inactive'
    fleet.start_vm(VM)
    fleet.wait_registered()


@pytest.fixture(scope='module')
def manage(fleet):
    with Wire(fleet) as wire:
        stub = wire.stub('admin-vm', 9001, 'admin.FleetService', source=HOST)

        def manage(verb, unit, vm=''):
            request = wire.pb.msg('systemd.ManageUnitRequest')(UnitName=unit, Verb=wire.pb.enum('systemd.UnitVerb')[verb])
            return stub.ManageUnit(wire.pb.msg('admin.ManageUnitRequest')(VmName=vm, Request=request), timeout=STEADY)
        yield manage


def main_pid(fleet):
    return int(fleet.unit(HOST, UNIT)['MainPID'])


def test_a_vm_that_is_killed_comes_back(up):
    journal, before = journal_of(up), main_pid(up)
    up.kill_vm(VM)
    line = journal.wait(f'VM {VM} has crashed: ')
    assert line.endswith('crashed: its main process was killed by SIGKILL; starting it again (1 of 5).')
    journal.wait(f'VM {VM} is up again')
    assert main_pid(up) not in (0, before)
    up.wait_registered()


def test_it_says_so_with_a_message_id(up):
    journal = journal_of(up)
    up.kill_vm(VM)
    journal.wait(f'VM {VM} is up again')
    entries = journal.entries()
    crashed, = (entry for entry in entries if ' has crashed' in entry['MESSAGE'])
    assert (crashed['GIVC_VM'], crashed['GIVC_UNIT'], crashed['GIVC_RESULT']) == (VM, UNIT, 'signal')
    explained = up.run('admin-vm', ['journalctl', '--catalog', '-q', '-u', 'givc-admin', f'MESSAGE_ID={crashed["MESSAGE_ID"]}'])
    assert explained.returncode == 0


@pytest.mark.parametrize('how', ['the host', 'StopService', 'ManageUnit', 'the VM itself'])
def test_what_was_stopped_stays_down(up, manage, how):
    journal = journal_of(up)
    if how == 'the host':
        up.stop_vm(VM)
    elif how == 'StopService':
        up.givcctl('stop', 'service', UNIT, '--vm', HOST, check=True)
    elif how == 'ManageUnit':
        assert manage('STOP', UNIT).Status.ActiveState == 'inactive'
    else:
        up.run(VM, ['systemctl', 'poweroff', '--no-block'], check=True)
        up.wait_unit(HOST, UNIT, 'inactive')
    # The admin has heard of it by then, and would start it half a second later.
    journal.wait(f'givc-{VM}.service .* has left the registry')
    time.sleep(1)
    assert up.unit(HOST, UNIT)['ActiveState'] == 'inactive'
    assert count(journal, 'has crashed') == 0


def test_a_crash_that_somebody_has_seen_to_is_none(up):
    up.run(HOST, ['systemctl', 'stop', 'givc-agent.service', 'givc-agent.socket'], check=True)
    up.kill_vm(VM)
    up.wait_unit(HOST, UNIT, 'failed')
    up.run(HOST, ['systemctl', 'reset-failed', UNIT], check=True)
    journal = journal_of(up)
    up.run(HOST, ['systemctl', 'start', 'givc-agent.socket', 'givc-agent.service'], check=True)
    journal.wait(f'givc-{VM}.service .* has left the registry')
    time.sleep(1)
    assert up.unit(HOST, UNIT)['ActiveState'] == 'inactive'


def break_it(fleet):
    fleet.write_file(HOST, DROP_IN, '[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStartPre=/bin/false\n')
    fleet.run(HOST, ['systemctl', 'daemon-reload'], check=True)


def test_what_is_stopped_while_it_waits_to_be_started_stays_down(up, manage):
    break_it(up)
    journal = journal_of(up)
    up.kill_vm(VM)
    journal.wait(f'VM {VM} could not be started again')
    assert manage('STOP', UNIT).Status.ActiveState == 'failed'
    time.sleep(1.5)  # the next start would have been after one second
    assert count(journal, 'starting it again') == 1


def test_a_crash_while_the_admin_is_down(up):
    """What it remembers over its own crash is that the VM was up."""
    before = main_pid(up)
    up.run('admin-vm', ['systemctl', 'kill', '--signal=KILL', 'givc-admin.service'], check=True)
    up.kill_vm(VM)
    up.wait_unit(HOST, UNIT, 'failed')
    up.wait_unit(HOST, UNIT, 'active')
    assert main_pid(up) != before


def test_a_vm_that_keeps_crashing_is_given_up(up):
    break_it(up)
    journal, begin = journal_of(up), time.monotonic()
    up.kill_vm(VM)
    line = journal.wait(f'VM {VM} .*stays down', timeout=30)
    assert 'after 5 starts' in line
    assert time.monotonic() - begin > 15, 'each start waits twice as long'
    assert count(journal, 'starting it again') == 5
    assert up.unit(HOST, UNIT)['ActiveState'] == 'failed'
    up.run(HOST, ['rm', DROP_IN], check=True)
    up.run(HOST, ['systemctl', 'daemon-reload'], check=True)

    # Whoever starts it by hand has looked: it is watched over again.
    up.givcctl('start', 'vm', VM, check=True)
    journal = journal_of(up)
    up.kill_vm(VM)
    assert '(1 of 5)' in journal.wait(f'VM {VM} has crashed')
    journal.wait(f'VM {VM} is up again')


def test_an_agent_that_is_killed_is_its_systemds_business(up):
    journal, before = journal_of(up), main_pid(up)
    up.run(VM, ['systemctl', 'kill', '--signal=KILL', 'givc-agent.service'], check=True)
    journal.wait(f'givc-{VM}.service is back')
    up.wait_registered()
    time.sleep(2.5)  # after two seconds without its agent, the admin asks for the VM
    assert main_pid(up) == before
    assert count(journal, 'has crashed') == 0


def test_a_vm_that_is_paused_is_left_alone(up, manage):
    journal, before = journal_of(up), main_pid(up)
    assert manage('FREEZE', UNIT).Status.FreezerState == 'frozen'
    listed = json.loads(up.givcctl('query-list', '--json', check=True).stdout)
    assert [item['status'] for item in listed if item['name'] == UNIT] == ['Paused']
    assert manage('THAW', UNIT).Status.FreezerState == 'running'
    assert main_pid(up) == before
    assert count(journal, 'has crashed') == 0
