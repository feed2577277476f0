# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemons and machines that die at any moment, under load: nothing that was acknowledged is lost, what runs goes on running
and stays known, and who watches is told of real differences only. pytest --kills=N: how often (contrib/check soak)."""
import json
import random

import pytest

import contents
from load import APP_VM, APPLICATIONS, SERVICE_VM, Load
from miniature import HOST, Fleet
from wire import Wire

DAEMONS = [('admin-vm', 'givc-admin'), ('admin-vm', 'givc-admin'), (APP_VM, 'givc-agent'), (SERVICE_VM, 'givc-agent'),
           (HOST, 'givc-agent')]
KILLS_A_ROUND = 25
AT_ONCE = [contents.file(f'{contents.SYSTEM}/{daemon}.service.d/often.conf', '[Service]\nRestartSec=20ms\n')
           for daemon in ('givc-admin', 'givc-agent')]
OFTEN = [contents.file(f'{contents.SYSTEM}/demo-clock.service.d/often.conf', '[Unit]\nStartLimitIntervalSec=0\n')]


def with_applications(spec):
    for machine in spec['machines']:
        for entry in machine['files']:
            if machine['name'] == APP_VM and entry['path'] == '/etc/givc/agent.json':
                config = json.loads(entry['content'])
                config['capabilities']['applications'] = [{'name': name, 'command': '/bin/sleep infinity'}
                                                          for name in ('keeper', *APPLICATIONS)]
                entry['content'] = json.dumps(config, indent=2)


@pytest.fixture(scope='module')
def fleet(destdir):
    guests = ('admin-vm', SERVICE_VM, APP_VM)
    with Fleet(destdir, guests=guests, configure=with_applications,
               files={name: AT_ONCE + OFTEN for name in (HOST, *guests)}) as fleet:
        fleet.wait_registered()
        fleet.givcctl('start', 'app', 'keeper', '--vm', APP_VM, check=True)
        yield fleet


@pytest.fixture
def wire(fleet):
    with Wire(fleet) as wire:
        yield wire


def main_pid(fleet, machine, unit):
    return fleet.unit(machine, unit)['MainPID']


def entries(fleet):
    """What a list shows, but for how long it has been so."""
    shown = json.loads(fleet.givcctl('query-list', '--json', check=True).stdout)
    return sorted(json.dumps({key: value for key, value in item.items() if key != 'since'}, sort_keys=True) for item in shown)


def kill_one(fleet):
    """Whether one was there to be killed. Now and then the admin is restarted in good order instead."""
    machine, daemon = random.choice(DAEMONS)
    if daemon == 'givc-admin' and random.random() < 0.2:
        return fleet.run(machine, ['systemctl', 'restart', daemon]).returncode == 0
    return fleet.run(machine, ['systemctl', 'kill', '--kill-who=main', '-s', 'KILL', daemon]).returncode == 0


def test_soak(fleet, wire, request, capsys):
    wanted = request.config.getoption('--kills')
    keeper = main_pid(fleet, APP_VM, 'keeper@0.service')
    done = 0
    with Load(fleet, wire) as load:
        while done < wanted:
            for _ in range(min(KILLS_A_ROUND, wanted - done)):
                # Not a wait for anything: at any moment.
                load.wait(random.uniform(0, 0.3))
                done += kill_one(fleet)
            load.check()
            assert main_pid(fleet, APP_VM, 'keeper@0.service') == keeper
    with capsys.disabled():
        print(f'\n{done} kills, calls: {", ".join(f"{name} {how} {n}" for (name, how), n in sorted(load.calls.items()))}')


def test_the_reboot_of_a_vm(fleet, wire):
    """What ran in it is gone, and told so; what it is comes back."""
    before = entries(fleet)
    assert any('keeper@0' in entry for entry in before)
    fleet.run(HOST, ['systemctl', 'restart', f'microvm@{APP_VM}.service'], check=True, timeout=60)
    fleet.wait_registered()
    fleet.wait_for(lambda: entries(fleet) == [entry for entry in before if 'load' not in entry and 'keeper@' not in entry])
    fleet.givcctl('start', 'app', 'keeper', '--vm', APP_VM, check=True)
    assert any('"keeper@0.service"' in entry for entry in entries(fleet))


def test_the_reboot_of_the_admin_vm(fleet):
    """No service manager keeps the registry then: those who are in it make it anew, with the applications that run."""
    before, keeper = entries(fleet), main_pid(fleet, APP_VM, 'keeper@0.service')
    fleet.run(HOST, ['systemctl', 'restart', 'microvm@admin-vm.service'], check=True, timeout=60)
    fleet.wait_registered()
    fleet.wait_for(lambda: entries(fleet) == before)
    assert main_pid(fleet, APP_VM, 'keeper@0.service') == keeper
    fleet.givcctl('start', 'app', 'keeper', '--vm', APP_VM, check=True)
    assert any('"keeper@1.service"' in entry for entry in entries(fleet))
    assert main_pid(fleet, APP_VM, 'keeper@0.service') == keeper
