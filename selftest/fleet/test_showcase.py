# SPDX-License-Identifier: GPL-2.0-or-later
"""What README.md shows works in the fleet of contrib/try, typed there one after the other."""
import pytest

from miniature import HOST
from showcase import readme_commands, showcase

# Those that end when they are interrupted.
ENDLESS = ('givcctl top', 'givcctl watch', 'givcctl auth log', 'givcctl logs -f')
# Of what is not in the fleet: wireless networks, and grpcurl.
NOT_THERE = (' wifi connect ', 'grpcurl')


@pytest.fixture(scope='module')
def fleet(destdir):
    with showcase(destdir) as fleet:
        fleet.wait_registered()
        yield fleet


def test_what_the_readme_shows(fleet):
    commands = readme_commands()
    assert len(commands) > 30
    for command in commands:
        if any(word in command for word in NOT_THERE):
            continue
        machine = 'admin-vm' if 'givc-admin/metrics' in command or 'Givc1.Admin' in command else HOST
        alternatives = command.split(' | ')
        if len(alternatives) > 1:  # reboot | poweroff | suspend | sysinfo
            command = f'givcctl {alternatives[-1]}'
        if command.startswith(ENDLESS):
            command = f'timeout --preserve-status -s INT 0.5 {command}'
        run = fleet.run(machine, f'cd /root; {command}')
        assert run.returncode == (130 if 'INT' in command else 0), f'{command}\n{run.stdout}{run.stderr}'


def test_the_journal_explains(fleet):
    fleet.wait_unit('admin-vm', 'fleet-catalog.service', 'inactive')
    shown = fleet.run('admin-vm', ['journalctl', '-x', '-u', 'givc-admin.service'], check=True).stdout
    assert '-- Subject: ' in shown or 'Subject:' in shown
