# SPDX-License-Identifier: GPL-2.0-or-later
"""The miniature itself, without givc: whatever else runs in it relies on this."""
import os
import re
import select
import signal
import subprocess
import sys

import pytest

from miniature import Fleet, FleetError, HOST, Timeout, wait_line
import contents


@pytest.fixture(scope='module')
def fleet():
    with Fleet() as running:
        yield running


def bridges():
    return subprocess.run(['ip', '-o', 'link', 'show', 'type', 'bridge'], check=True, capture_output=True).stdout


def network_namespaces():
    found = set()
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            found.add(os.readlink(f'/proc/{pid}/ns/net'))
        except OSError:
            pass
    return found


def processes_with(text):
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                if text.encode() in f.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def fleet_cgroups(fleet_id):
    found = []
    for root in ('/sys/fs/cgroup', '/sys/fs/cgroup/unified'):
        if os.path.isdir(root):
            found += [name for name in os.listdir(root) if fleet_id in name]
    return found


# --- what is there

def test_all_machines_are_up_and_healthy(fleet):
    for machine in fleet.names:
        assert fleet.run(machine, ['systemctl', 'is-system-running']).stdout.strip() == 'running', fleet.journal(machine)
        assert fleet.run(machine, ['hostname']).stdout.strip() == machine
    for guest in fleet.names[1:]:
        assert fleet.unit(HOST, f'microvm@{guest}.service')['ActiveState'] == 'active'


def test_nothing_of_this_machine_runs_inside(fleet):
    """What is enabled here by chance would be in every guest, too."""
    services = fleet.run('app-vm', 'systemctl list-units --type=service --state=running --no-legend --plain').stdout
    assert {line.split()[0] for line in services.splitlines()} == {'dbus.service', 'systemd-journald.service'}


def test_what_machines_share_with_this_one_is_out_of_reach(fleet):
    """Its clock, its modules, its sleep."""
    cap_sys_module, cap_sys_time = 16, 25
    for machine in (HOST, 'app-vm'):
        bounds = re.search(r'CapBnd:\s*(\w+)', fleet.run(machine, ['cat', '/proc/1/status'], check=True).stdout)
        assert int(bounds[1], 16) & (1 << cap_sys_module | 1 << cap_sys_time) == 0
    fleet.run(HOST, ['systemctl', 'start', 'suspend.target'], check=True)
    assert 'asked to suspend' in fleet.journal(HOST, 'systemd-suspend.service')


def test_machines_reach_each_other_by_name(fleet):
    for source in fleet.names:
        for target in fleet.names:
            assert fleet.run(source, f'head -1 </dev/tcp/{target}/7', check=True).stdout.strip() == target


def test_machine_ids_differ(fleet):
    assert len({fleet.read_file(machine, '/etc/machine-id') for machine in fleet.names}) == len(fleet.names)


def test_demo_units_do_what_they_say(fleet):
    assert fleet.run('net-vm', ['systemctl', 'start', 'demo-fail.service']).returncode == 0
    assert fleet.wait_unit('net-vm', 'demo-fail.service', 'failed')['Result'] == 'exit-code'
    fleet.run('net-vm', ['systemctl', 'start', 'demo-oneshot.service'], check=True)
    assert fleet.unit('net-vm', 'demo-oneshot.service')['SubState'] == 'exited'
    fleet.run('net-vm', ['systemctl', 'start', '--no-block', 'demo-gate.service'], check=True)
    fleet.wait_unit('net-vm', 'demo-gate.service', 'activating')
    fleet.run('net-vm', 'echo >/run/demo-gate', check=True)
    fleet.wait_unit('net-vm', 'demo-gate.service', 'running')
    for name in contents.DEMO:
        assert fleet.unit('net-vm', name)['LoadState'] == 'loaded'
    fleet.run('net-vm', ['systemctl', 'reset-failed'], check=True)


def test_what_a_command_says_and_how_it_ends(fleet):
    done = fleet.run('net-vm', 'cat; echo err >&2; exit 7', input='in\n')
    assert (done.returncode, done.stdout, done.stderr) == (7, 'in\n', 'err\n')
    with pytest.raises(FleetError, match='exit status 1'):
        fleet.run('net-vm', ['false'], check=True)
    with pytest.raises(Timeout, match='still running'):
        fleet.run('net-vm', ['sleep', 'infinity'], timeout=0.1)
    with pytest.raises(FleetError, match='no machine'):
        fleet.run('tea-vm', ['true'])


def test_a_signal_reaches_the_command_itself(fleet):
    with fleet.popen('net-vm', ['/bin/bash', '-c', "trap 'echo caught; exit 4' INT; echo there; read x"],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        wait_line(process, 'there')
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == 'caught\n'
        assert process.wait() == 4


def test_files_can_be_written_and_read(fleet):
    fleet.write_file('app-vm', '/etc/deep/er/file', 'content\n', 0o640)
    assert fleet.read_file('app-vm', '/etc/deep/er/file') == b'content\n'
    assert fleet.run('app-vm', ['stat', '-c', '%a %U', '/etc/deep/er/file']).stdout == '640 root\n'
    assert not os.path.exists('/etc/deep')
    assert fleet.run('net-vm', ['test', '-e', '/etc/deep']).returncode == 1


def test_a_log_line_can_be_waited_for(fleet):
    fleet.run('app-vm', 'echo the needle | systemd-cat -t needle', check=True)
    assert fleet.wait_log('app-vm', 'needle') == 'the needle'
    assert 'the needle' in fleet.journal('app-vm')


# --- what VMs do

def test_freezing_a_vm_freezes_all_of_it(fleet):
    unit = 'microvm@app-vm.service'
    ticker = "while sleep 0.01; do echo tick; done"
    with fleet.popen('app-vm', ['systemd-run', '-q', '--pipe', '--wait', '/bin/sh', '-c', ticker],
                     stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            wait_line(process, 'tick')
            fleet.run(HOST, ['systemctl', 'freeze', unit], check=True)
            assert fleet.is_frozen('app-vm')
            assert fleet.unit(HOST, unit)['FreezerState'] == 'frozen'
            # What was on its way in the pipe comes yet, then nothing: as many ticks as a second would have brought are not there.
            with pytest.raises(Timeout):
                wait_line(process, 'no such line', timeout=0.3)
            with pytest.raises(Timeout):
                fleet.run('app-vm', ['systemctl', 'is-system-running'], timeout=0.3)
            assert fleet.run('net-vm', ['true']).returncode == 0
            fleet.run(HOST, ['systemctl', 'thaw', unit], check=True)
            assert fleet.run('app-vm', ['systemctl', 'is-system-running']).stdout == 'running\n'
        finally:
            fleet.run(HOST, ['systemctl', 'thaw', unit])
            process.kill()


def test_a_killed_vm_is_noticed_and_can_be_started_again(fleet):
    unit = 'microvm@app-vm.service'
    leader = fleet.leader('app-vm')
    fleet.write_file('app-vm', '/var/lib/kept', 'disk')
    fleet.write_file('app-vm', '/run/lost', 'memory')
    fleet.kill_vm('app-vm')
    assert fleet.wait_unit(HOST, unit, ['failed', 'inactive'])['Result'] == 'signal'
    assert not os.path.exists(f'/proc/{leader}/root/etc')
    assert not fleet.is_running('app-vm')
    assert 'Reached target multi-user.target' in fleet.journal('app-vm')
    fleet.start_vm('app-vm')
    assert fleet.read_file('app-vm', '/var/lib/kept') == b'disk'
    assert fleet.run('app-vm', ['test', '-e', '/run/lost']).returncode == 1
    assert fleet.run('net-vm', 'head -1 </dev/tcp/app-vm/7', check=True).stdout == 'app-vm\n'


def test_a_stopped_vm_shuts_down(fleet):
    fleet.stop_vm('app-vm')
    assert fleet.unit(HOST, 'microvm@app-vm.service')['ActiveState'] == 'inactive'
    assert not fleet.is_running('app-vm')
    fleet.start_vm('app-vm')


def test_a_vm_that_powers_itself_off_ends_its_unit(fleet):
    fleet.run('app-vm', ['systemctl', 'poweroff'])
    fleet.wait_unit(HOST, 'microvm@app-vm.service', 'inactive')
    fleet.start_vm('app-vm')


# --- fleets as such

def test_fleets_do_not_see_each_other_and_leave_nothing(fleet):
    bridges_before, mounts_before = bridges(), open('/proc/self/mounts').read()
    with Fleet(guests=['net-vm', 'audio-vm'], autostart=['net-vm']) as other:
        keeper = other._keeper.pid
        assert other.is_running('net-vm') and not other.is_running('audio-vm')
        assert other.run('net-vm', 'head -1 </dev/tcp/ghaf-host/7').stdout == 'ghaf-host\n'
        assert other.addresses['audio-vm'] == '192.168.100.5'
        assert other.run(HOST, ['cat', '/etc/machine-id']).stdout != fleet.run(HOST, ['cat', '/etc/machine-id']).stdout
        namespace = os.readlink(f'/proc/{keeper}/ns/net')
        assert namespace in network_namespaces()
        assert bridges() == bridges_before
        assert open('/proc/self/mounts').read() == mounts_before
        assert fleet_cgroups(other.id)
    assert not os.path.exists(f'/proc/{keeper}')
    assert processes_with(other.id) == []
    assert fleet_cgroups(other.id) == []
    assert bridges() == bridges_before
    assert open('/proc/self/mounts').read() == mounts_before
    assert namespace not in network_namespaces()
    assert fleet.run('net-vm', ['systemctl', 'is-system-running']).stdout == 'running\n'


def test_a_killed_test_leaves_nothing():
    program = """
import signal
from miniature import Fleet
with Fleet(guests=['net-vm']) as fleet:
    print(fleet.id, fleet._keeper.pid, flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, '-c', program], cwd=os.path.dirname(os.path.abspath(__file__)),
                          stdout=subprocess.PIPE, encoding='utf-8') as test:
        fleet_id, keeper = test.stdout.readline().split()
        gone = os.pidfd_open(int(keeper))
        test.kill()
    wait_gone(gone)
    assert processes_with(fleet_id) == []
    assert fleet_cgroups(fleet_id) == []


def test_a_killed_keeper_takes_all_with_it():
    running = Fleet(guests=['net-vm']).start()
    gone = [os.pidfd_open(running.leader(machine)) for machine in running.names]
    running._keeper.kill()
    for fd in gone:
        wait_gone(fd)
    running.stop()
    with Fleet(guests=[]):  # sweeps the empty cgroup
        assert fleet_cgroups(running.id) == []


def wait_gone(pidfd):
    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)


def test_a_host_that_does_not_come_up_says_why():
    with pytest.raises(FleetError, match='demo-gate|microvm'):
        Fleet(guests=['net-vm'], timeout=3, files={
            'net-vm': [contents.wants('multi-user.target', 'demo-gate.service', '/etc/systemd/system/demo-gate.service')]}).start()
