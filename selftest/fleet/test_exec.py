# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that an agent runs for another machine (exec.Exec)."""
import json
import queue
import re
import signal
import threading

import grpc
import pytest
from grpc import StatusCode

from miniature import Fleet
from wire import Wire, crowd

MACHINE = 'ghaf-host'
COMMANDS = ['cat', 'sh', 'env', 'pwd', 'uptime', 'missing-program']
STEADY = 20  # seconds: what should come at once, and has not come by then, does not come


def configure(wire, how, **exec):
    config = json.loads(wire.fleet.read_file(MACHINE, '/etc/givc/agent.json'))
    config['capabilities']['exec'] = {'enable': True, 'commands': COMMANDS, **exec}
    wire.fleet.write_file(MACHINE, '/etc/givc/agent.json', json.dumps(config))
    wire.fleet.run(MACHINE, ['systemctl', how, 'givc-agent.service'], check=True)


@pytest.fixture(scope='module')
def wire(destdir):
    with Fleet(destdir, guests=('admin-vm',)) as fleet:
        fleet.wait_registered()
        with Wire(fleet) as wire:
            configure(wire, 'restart')
            wire.exec = wire.stub(MACHINE, 9000, 'exec.Exec', source='admin-vm')
            yield wire


class Run:
    """One RunCommand, whose requests are sent as the test says so."""

    def __init__(self, wire, command, *arguments, timeout=STEADY, stub=None, **start):
        self.pb, self._requests = wire.pb, queue.Queue()
        self.responses = (stub or wire.exec).RunCommand(iter(self._requests.get, None), timeout=timeout, wait_for_ready=True)
        self.send(Start=self.pb.msg('exec.StartCommand')(Command=command, Arguments=arguments, **start))

    def send(self, **request):
        self._requests.put(self.pb.msg('exec.CommandRequest')(**request))

    def stdin(self, payload):
        self.send(Stdin=self.pb.msg('exec.CommandIO')(Payload=payload))

    def signal(self, number):
        self.send(Signal=self.pb.msg('exec.SignalCommand')(Signal=number))

    def half_close(self):
        self._requests.put(None)

    def next(self, kind):
        response = next(self.responses)
        assert response.WhichOneof('Event') == kind
        return getattr(response, kind)

    def rest(self):
        """(standard output, standard error, exit code) of all that is still to come."""
        out = {'Stdout': b'', 'Stderr': b''}
        code = None
        for response in self.responses:
            kind = response.WhichOneof('Event')
            assert code is None, 'nothing comes after Finished'
            if kind == 'Finished':
                code = response.Finished.ReturnCode
            elif kind != 'Started':
                out[kind] += getattr(response, kind).Payload
        return out['Stdout'], out['Stderr'], code

    def error(self):
        with pytest.raises(grpc.RpcError) as raised:
            self.rest()
        return raised.value.code(), raised.value.details()


def alive(wire, pid):
    return wire.fleet.run(MACHINE, ['test', '-d', f'/proc/{pid}']).returncode == 0


def test_short_commands_lose_no_output(wire):
    for i in range(30):
        assert Run(wire, 'sh', '-c', f'echo {i}; echo error >&2; exit {i}').rest() == (f'{i}\n'.encode(), b'error\n', i)


def test_much_output_comes_whole(wire):
    out, _, code = Run(wire, 'sh', '-c', 'head -c 20000000 /dev/zero').rest()
    assert (len(out), code) == (20_000_000, 0)


def test_input_flows_to_its_end(wire):
    run = Run(wire, 'cat', Stdin=b'first ')
    run.stdin(b'second ')
    run.stdin(b'x' * 1_000_000)
    run.half_close()
    assert run.rest() == (b'first second ' + b'x' * 1_000_000, b'', 0)


def test_without_stdin_there_is_none(wire):
    assert Run(wire, 'cat').rest() == (b'', b'', 0)
    run = Run(wire, 'sh', '-c', 'read x </dev/zero')
    run.stdin(b'unexpected')
    assert run.error()[0] is StatusCode.FAILED_PRECONDITION


def test_a_signal_reaches_it(wire):
    run = Run(wire, 'sh', '-c', 'trap "echo caught; exit 7" USR1; echo ready; while :; do read x; done', Stdin=b'')
    run.next('Started')
    assert run.next('Stdout').Payload == b'ready\n'
    run.signal(signal.SIGUSR1)
    run.stdin(b'\n')
    assert run.rest() == (b'caught\n', b'', 7)
    run = Run(wire, 'cat', Stdin=b'')
    run.next('Started')
    run.signal(signal.SIGKILL)
    assert run.rest() == (b'', b'', 128 + signal.SIGKILL)
    run = Run(wire, 'cat', Stdin=b'')
    run.next('Started')
    run.signal(4711)
    assert run.error()[0] is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize('how', ['cancel', 'deadline'])
def test_it_dies_with_its_call(wire, how):
    run = Run(wire, 'sh', '-c', 'echo $$; cat', Stdin=b'', timeout=2 if how == 'deadline' else STEADY)
    run.next('Started')
    pid = int(run.next('Stdout').Payload)
    assert alive(wire, pid)
    if how == 'cancel':
        run.responses.cancel()
    else:
        assert run.error()[0] is StatusCode.DEADLINE_EXCEEDED
    await_end(wire, pid)


def await_end(wire, pid):
    wire.fleet.run(MACHINE, ['timeout', str(STEADY), 'tail', f'--pid={pid}', '-s', '0.05', '-f', '/dev/null'], check=True)


def test_what_it_leaves_behind_ends_with_it(wire):
    run = Run(wire, 'sh', '-c', 'setsid sleep infinity & echo $!')
    run.next('Started')
    pid = int(run.next('Stdout').Payload)
    assert run.rest() == (b'', b'', 0), 'not waited for'
    await_end(wire, pid)


@pytest.mark.parametrize('how', ['kill', 'restart'])
def test_it_dies_with_the_agent(wire, how):
    run = Run(wire, 'sh', '-c', 'echo $$; exec sleep infinity')
    run.next('Started')
    pid = int(run.next('Stdout').Payload)
    command = ['systemctl', 'restart'] if how == 'restart' else ['systemctl', 'kill', '-s', 'KILL']
    wire.fleet.run(MACHINE, [*command, 'givc-agent.service'], check=True)
    assert run.error()[0] is StatusCode.UNAVAILABLE
    await_end(wire, pid)
    assert Run(wire, 'uptime').rest()[2] == 0


def test_systemd_may_be_executed_anew_meanwhile(wire):
    run = Run(wire, 'sh', '-c', 'echo ready; read x; exit 5', Stdin=b'')
    run.next('Started')
    run.next('Stdout')
    wire.fleet.run(MACHINE, ['systemctl', 'daemon-reexec'], check=True)
    run.stdin(b'\n')
    assert run.rest() == (b'', b'', 5)


def test_it_is_a_service_of_its_own_that_tells_nobody(wire):
    """What confines the agent does not confine it; and what callers pass in the environment may be secret."""
    confined = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp_filters):' /proc/{}/status"
    run = Run(wire, 'sh', '-c', f'{confined.format("self")}; cat /proc/self/cgroup; cat', Stdin=b'',
              EnvVars={'CACHIX_AUTH_TOKEN': 'top-secret'})
    run.next('Started')
    out = ''
    while '.service' not in out:
        out += run.next('Stdout').Payload.decode()
    assert out.startswith(wire.fleet.run(MACHINE, confined.format(1), check=True).stdout), 'no more than systemd itself is'
    unit = re.search(r'givc-command-[0-9a-f]+\.service', out).group()
    shown = wire.fleet.run(MACHINE, ['systemctl', 'show', unit], check=True).stdout
    assert 'Description=Command sh of admin-vm\n' in shown
    assert 'top-secret' not in shown + wire.fleet.run(MACHINE, ['systemctl', 'cat', unit], check=True).stdout
    run.half_close()
    assert run.rest() == (b'', b'', 0)


def test_no_service_is_left(wire):
    Run(wire, 'sh', '-c', 'exit 3').rest()
    wire.fleet.wait_for(lambda: not wire.fleet.run(MACHINE, ['systemctl', 'list-units', '--all', '-q', 'givc-command-*']).stdout,
                        MACHINE, what='no unit of a command is left')
    assert 'givc-command-' not in wire.fleet.run(MACHINE, ['journalctl', '-q', '-p', 'notice', '_PID=1']).stdout


def peak_memory(wire):
    """Of the agent, in KiB."""
    pid = wire.fleet.run(MACHINE, ['systemctl', 'show', '-P', 'MainPID', 'givc-agent.service'], check=True).stdout.strip()
    status = wire.fleet.run(MACHINE, ['cat', f'/proc/{pid}/status'], check=True).stdout
    return int(status.split('VmHWM:')[1].split()[0])


def test_a_slow_reader_stops_it(wire):
    run = Run(wire, 'sh', '-c', 'head -c 200000000 /dev/zero; echo done >&2')
    run.next('Started')
    assert run.next('Stdout').Payload
    assert Run(wire, 'uptime').rest()[2] == 0, 'others are served meanwhile'
    assert wire.fleet.sanitized or peak_memory(wire) < 64 * 1024, 'sanitizers keep what is freed'
    run.responses.cancel()


def test_input_that_waits_is_the_callers(wire):
    """One that is not the admin has 10 MiB, whatever its commands do not read."""
    other = wire.stub(MACHINE, 9000, 'exec.Exec', source=MACHINE)
    runs = [Run(wire, 'sh', '-c', 'exec sleep infinity', stub=other, Stdin=b'') for _ in range(4)]
    ended = queue.Queue()
    for run in runs:
        run.next('Started')
        run.responses.add_done_callback(ended.put)
        run.stdin(b'x' * 4_000_000)
    assert ended.get(timeout=STEADY).code() is StatusCode.RESOURCE_EXHAUSTED
    assert Run(wire, 'cat', Stdin=b'x').next('Started')
    for run in runs:
        run.responses.cancel()


def test_directory_and_environment(wire):
    assert Run(wire, 'pwd', WorkingDirectory='/usr').rest()[0] == b'/usr\n'
    out, _, _ = Run(wire, 'env', EnvVars={'CACHIX_AUTH_TOKEN': 'x y'}).rest()
    assert sorted(line.split(b'=')[0] for line in out.splitlines()) == [b'CACHIX_AUTH_TOKEN', b'PATH']


@pytest.mark.parametrize('command, start, code', [
    ('bash', {}, StatusCode.PERMISSION_DENIED),
    ('/bin/sh', {}, StatusCode.PERMISSION_DENIED),
    ('../bin/sh', {}, StatusCode.PERMISSION_DENIED),
    ('', {}, StatusCode.PERMISSION_DENIED),
    ('missing-program', {}, StatusCode.NOT_FOUND),
    ('cat', {'EnvVars': {'A=B': 'x'}}, StatusCode.PERMISSION_DENIED),
    ('cat', {'WorkingDirectory': 'tmp'}, StatusCode.PERMISSION_DENIED),
    ('cat', {'WorkingDirectory': '/no/such/place'}, StatusCode.NOT_FOUND),
    ('cat', {'Role': 'root'}, StatusCode.PERMISSION_DENIED),
])
def test_refusals(wire, command, start, code):
    if wire.fleet.under_valgrind and 'no/such' in start.get('WorkingDirectory', ''):
        pytest.skip('valgrind lets nobody know that a program could not be started')
    assert Run(wire, command, **start).error()[0] is code


@pytest.mark.parametrize('name, value', [
    ('LD_PRELOAD', '/tmp/x.so'), ('BASH_ENV', '/dev/stdin'), ('ENV', '/dev/stdin'), ('PATH', '/tmp'), ('HOME', '/tmp'),
    ('NODE_OPTIONS', '--require=/dev/stdin'), ('RUBYOPT', '-r/tmp/x'), ('PERL5OPT', '-Mx'), ('PYTHONSTARTUP', '/dev/stdin'),
    ('GIT_SSH_COMMAND', 'id'), ('NIX_CONFIG', 'plugin-files = /tmp/x'), ('JDK_JAVA_OPTIONS', '-javaagent:x'), ('LC_ALL', '../../tmp')])
def test_a_variable_that_changes_what_is_run_is_refused_by_its_name(wire, name, value):
    code, details = Run(wire, 'env', EnvVars={'GREETING': 'hello', name: value}).error()
    assert code is StatusCode.PERMISSION_DENIED and f'"{name}"' in details and 'capabilities.exec.environment' in details


def test_the_configuration_says_which_variables_are_taken(wire):
    configure(wire, 'reload', environment=['GREETING', 'NODE_*', 'PATH'])
    try:
        given = {'GREETING': 'hello', 'NODE_OPTIONS': '--x', 'PATH': '/usr/bin'}
        out, _, _ = Run(wire, 'env', EnvVars=given).rest()
        assert sorted(out.decode().splitlines()) == [f'{name}={value}' for name, value in sorted(given.items())]
        for name in 'OTHER', 'GREETINGS', 'BASH_ENV':
            code, details = Run(wire, 'env', EnvVars={name: 'x'}).error()
            assert code is StatusCode.PERMISSION_DENIED and f'"{name}"' in details
    finally:
        configure(wire, 'reload')
    assert b'OTHER=x\n' in Run(wire, 'env', EnvVars={'OTHER': 'x'}).rest()[0]


def test_order_of_requests(wire):
    run = Run(wire, 'cat', Stdin=b'')
    run.send(Start=wire.pb.msg('exec.StartCommand')(Command='cat'))
    assert run.error()[0] is StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as raised:
        list(wire.exec.RunCommand(iter([]), timeout=STEADY))
    assert raised.value.code() is StatusCode.INVALID_ARGUMENT


def test_a_crowd_is_turned_away(wire):
    """One that is not the admin; whom that does not concern."""
    other = wire.stub(MACHINE, 9000, 'exec.Exec', source=MACHINE)
    start = wire.pb.msg('exec.CommandRequest')(Start=wire.pb.msg('exec.StartCommand')(Command='cat', Stdin=b''))
    hold = threading.Event()

    def requests():
        yield start
        hold.wait(STEADY)

    with crowd(lambda: other.RunCommand(requests(), timeout=STEADY), 8):
        assert Run(wire, 'cat').rest() == (b'', b'', 0)
    hold.set()


def test_it_is_not_offered_unless_enabled(wire):
    with pytest.raises(grpc.RpcError) as raised:
        list(wire.stub('admin-vm', 9000, 'exec.Exec', source='ghaf-host').RunCommand(iter([]), timeout=STEADY))
    assert raised.value.code() is StatusCode.UNIMPLEMENTED
