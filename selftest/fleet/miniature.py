# SPDX-License-Identifier: GPL-2.0-or-later
"""A Ghaf in miniature: a host and its VMs, each with a systemd of its own, as nested nspawn containers.

    with Fleet(destdir) as fleet:                       # host, admin-vm, net-vm, app-vm, with givc
        fleet.run('app-vm', ['systemctl', 'is-active', 'demo-clock.service'])
        fleet.givcctl('query-list')                     # on the host, with its certificate
        fleet.kill_vm('app-vm')
        fleet.wait_unit('ghaf-host', 'microvm@app-vm.service', 'failed')

Without destdir, machines come up without givc. Needs root, and Debian's systemd-container and iproute2. What is in the machines:
contents.py; what holds them and takes them down whatever happens: keeper.py. Any number of fleets can run at once.

Addresses: ghaf-host 192.168.100.1, admin-vm .2, net-vm .3, app-vm .4, any other guest .5 and up. All names resolve everywhere.
"""
import contextlib
import ctypes
import json
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

import contents

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.append(f'{TOP}/selftest/valgrind')
import memcheck  # noqa: E402
HOST = contents.HOST
GUESTS = ('admin-vm', 'net-vm', 'app-vm')
CLONE_NEWPID = 0x20000000

libc = ctypes.CDLL(None, use_errno=True)


class FleetError(Exception):
    pass


class Timeout(FleetError):
    pass


def setns(fd, kind):
    if libc.setns(fd, kind) < 0:
        raise OSError(ctypes.get_errno(), 'setns')


@contextlib.contextmanager
def pid_namespace(leader):
    """Children forked inside it belong to that machine. It holds for children only and for this thread only."""
    own = os.open('/proc/thread-self/ns/pid', os.O_RDONLY | os.O_CLOEXEC)
    theirs = os.pidfd_open(leader)
    try:
        setns(theirs, CLONE_NEWPID)
        try:
            yield
        finally:
            setns(own, CLONE_NEWPID)
    finally:
        os.close(theirs)
        os.close(own)


class Fleet:
    """destdir: what `meson install --destdir` made, or None. guests: the VMs that exist; autostart: those of them that the
    host starts at boot (default: all). files: {machine: [contents.file(...), ...]}, laid over everything else
    before the boot. exposed: {machine: [unit, ...]} that its agent exposes instead of contents.exposed_units(). certificates: {machine: {'ca-cert.pem': text, 'cert.pem': …, 'key.pem': …}} instead of new ones
    of contrib/make-certs. configure: called with the whole specification before it is used, may change it."""

    def __init__(self, destdir=None, guests=GUESTS, autostart=None, files=None, exposed=None, certificates=None,
                 configure=None, timeout=60):
        self.id = f'{os.getpid()}-{secrets.token_hex(3)}'
        self.names = [HOST, *guests]
        self.addresses = contents.addresses(self.names)
        self.destdir = os.path.abspath(destdir) if destdir else None
        self._timeout = timeout
        self._keeper = None
        self._cgroups = None
        self._leaders = {}
        self.authority = Authority()
        if self.destdir and certificates is None:
            certificates = self.authority.certify(self.addresses)
        self.certificates = certificates or {}
        self.autostart = list(guests if autostart is None else autostart)
        self.exposed = {name: (exposed or {}).get(name, contents.exposed_units(name)) for name in self.names}
        machines = []
        for name in self.names:
            made = contents.machine(self.id, name, self.addresses, self.exposed[name] if self.destdir else None,
                                    self.certificates.get(name, {}), self.autostart)
            made['files'] += (files or {}).get(name, [])
            machines.append(made)
        common = contents.common()
        # With sanitizers, or under valgrind (selftest/valgrind/install): not what memory and rights are measured of.
        self.under_valgrind = bool(self.destdir) and os.path.isdir(self.destdir + contents.VALGRIND_LOGS)
        self.sanitized = self.under_valgrind or bool(self.destdir) and is_sanitized(self.destdir)
        self.slowness = 10 if self.under_valgrind else 1  # what a bound of a test's on time is to be multiplied by
        if self.sanitized:
            common += contents.sanitized()
        self.spec = {'id': self.id, 'destdir': self.destdir, 'timeout': timeout, 'common': common,
                     'machines': machines}
        if configure:
            configure(self.spec)

    # --- life

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self.sanitized and kind is None:
                self._ask_sanitizers()
        finally:
            self.stop()

    def start(self):
        """Returns when the host and all guests that it starts at boot are up (systemd's READY=1)."""
        if os.geteuid() != 0:
            raise FleetError('a fleet of containers needs root')
        self._keeper = subprocess.Popen(['/usr/bin/python3', f'{HERE}/keeper.py'], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, start_new_session=True)
        try:
            self._keeper.stdin.write(json.dumps(self.spec).encode() + b'\n')
            self._keeper.stdin.flush()
            line = self._keeper.stdout.readline()
            event = json.loads(line) if line else {'event': 'failed', 'reason': 'the keeper ended', 'console': ''}
            self._cgroups = f'/proc/{self._keeper.pid}/root/sys/fs/cgroup/{event.get("cgroup")}'
            if event['event'] != 'ready':
                raise FleetError(f'{event["reason"]}\n{event["console"]}{self._why_not_up()}')
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Nothing of the fleet is left when this returns. May be called twice."""
        keeper, self._keeper = self._keeper, None
        if not keeper:
            return
        with contextlib.suppress(BrokenPipeError):
            keeper.stdin.close()
        keeper.wait()
        keeper.stdout.close()

    def _ask_sanitizers(self):
        """Ends the daemons, which is when leaks are looked for. FleetError if there is any report, of then or earlier."""
        for machine in filter(self.is_running, self.names):
            if not self.is_frozen(machine):
                self.run(machine, ['systemctl', 'stop', 'givc-agent.service', 'givc-admin.service'])
        if self.under_valgrind:
            self._ask_valgrind()
        reports = ''.join(self.journal(machine, arguments=['-g', 'Sanitizer|runtime error: |^ +#[0-9]+ 0x'])
                          for machine in self.names)
        if reports:
            raise FleetError(f'the sanitizers have something to say:\n{reports}')

    def _ask_valgrind(self):
        found = {machine: memcheck.findings(self.root(machine) + contents.VALGRIND_LOGS) for machine in self.names}
        if all(texts is None for texts in found.values()):
            raise FleetError('nothing was run under valgrind')
        reports = [f'{machine}:\n{text}' for machine, texts in found.items() for text in texts or ()]
        if reports:
            raise FleetError('valgrind has something to say of ' + '\n'.join(reports))

    def _why_not_up(self):
        try:
            return self.run(HOST, ['systemctl', 'list-jobs', '--no-pager'], timeout=5).stdout
        except Exception:  # the host may be in any state: this only adds to an error on its way
            return ''

    # --- in the machines

    def _machine_cgroup(self, machine):
        if machine == HOST:
            return self._cgroups
        return f'{self._cgroups}/payload/system.slice/system-microvm.slice/microvm@{machine}.service'

    def leader(self, machine):
        """The machine's PID 1, as a PID here. FleetError if it is not running."""
        if machine not in self.names:
            raise FleetError(f'no machine {machine} in this fleet, there are: {", ".join(self.names)}')
        try:
            with open(f'{self._machine_cgroup(machine)}/payload/init.scope/cgroup.procs') as f:
                pids = f.read().split()
        except OSError:
            pids = []
        for pid in pids:
            with contextlib.suppress(OSError), open(f'/proc/{pid}/status') as f:
                if re.search(r'^NSpid:.*\t1$', f.read(), re.M):
                    return int(pid)
        raise FleetError(f'{machine} is not running')

    def is_running(self, machine):
        try:
            return bool(self.leader(machine))
        except FleetError:
            return False

    def environment(self, machine):
        """Of commands run in a machine: what a root shell has, and what givcctl needs to find the admin."""
        return {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8',
                'USER': 'root', 'LOGNAME': 'root', 'SHELL': '/bin/bash', 'PAGER': 'cat', 'SYSTEMD_PAGER': '',
                'TERM': os.environ.get('TERM', 'dumb'), **contents.ctl_environment(self.addresses)}

    def popen(self, machine, argv, env=None, user=None, **options):
        """subprocess.Popen of a process inside the machine. Its pid is the command's own, so signals reach it; it dies
        with its machine. A frozen machine does not freeze it, as it is in no cgroup of the machine's. user: contents.USER,
        where its manager runs (systemctl start user@1000.service)."""
        leader = self.leader(machine)
        if user:
            argv = ['runuser', '-u', user, '--', 'env', f'XDG_RUNTIME_DIR=/run/user/{contents.USER_ID}', *argv]
        options.setdefault('encoding', 'utf-8')
        if options['encoding'] is None:
            del options['encoding']
        enter = ['nsenter', f'--target={leader}', '--mount', '--uts', '--ipc', '--net', '--cgroup', '--root', '--wd', '--',
                 *argv]
        with pid_namespace(leader):
            return subprocess.Popen(enter, env={**self.environment(machine), **(env or {})}, **options)

    def run(self, machine, argv, check=False, timeout=30, input=None, **options):
        """Like subprocess.run(capture_output=True), inside the machine. argv: a list, or a string for its shell."""
        if isinstance(argv, str):
            argv = ['/bin/bash', '-c', argv]
        options.setdefault('stdout', subprocess.PIPE)
        options.setdefault('stderr', subprocess.PIPE)
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        # A session of its own: what the command started holds its pipes, and must go with it.
        with self.popen(machine, argv, stdin=options.pop('stdin', stdin), start_new_session=True, **options) as process:
            try:
                out, err = process.communicate(input, timeout=timeout)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise Timeout(f'{machine}: {" ".join(argv)}: still running after {timeout} s\n{out}{err}') from None
                raise
        result = subprocess.CompletedProcess(argv, process.returncode, out, err)
        if check and result.returncode != 0:
            raise FleetError(f'{machine}: {" ".join(argv)}: exit status {result.returncode}\n{out}{err}')
        return result

    def shell(self, machine=HOST, argv=('/bin/bash', '-l')):
        """A shell on our terminal. Returns its exit status."""
        # Handlers that do nothing, since what is ignored would stay ignored in the shell and all that it starts.
        before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
        try:
            with self.popen(machine, list(argv)) as process:
                return process.wait()
        finally:
            if os.isatty(0):  # the shell made its own process group the terminal's
                before[signal.SIGTTOU] = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
                os.tcsetpgrp(0, os.getpgrp())
            for number, handler in before.items():
                signal.signal(number, handler)

    def givcctl(self, *arguments, machine=HOST, **options):
        return self.run(machine, ['givcctl', *arguments], **options)

    def wait_registered(self, machines=None, timeout=30):
        """Until the registry has the agents of these machines (all that run) and their units, and all are online."""
        if machines is None:
            machines = [machine for machine in self.names if self.is_running(machine)]
        missing = {f'givc-{machine}.service' for machine in machines}
        missing |= {unit for machine in machines for unit in self.exposed[machine] if unit.endswith('.service')}
        if HOST in machines:
            missing |= {f'microvm@{guest}.service' for guest in self.names[1:]}
        timeout *= self.slowness
        deadline = time.monotonic() + timeout
        while missing:
            with self.popen(HOST, ['givcctl', 'watch', '--json', '--initial'], stdout=subprocess.PIPE) as watch:
                try:
                    while missing:
                        line = wait_line(watch, '', deadline - time.monotonic())
                        (change, item), = json.loads(line).items()
                        if change != 'UnitShutdown' and item.get('online', True):
                            missing.discard(item['name'])
                except Timeout:
                    raise Timeout(f'not registered and online within {timeout} s: {", ".join(sorted(missing))}\n'
                                  f'{self.journal("admin-vm", "givc-admin.service")}') from None
                except FleetError:
                    if not self.under_valgrind:  # where givcctl does not wait for a handshake as long as it may take
                        raise
                finally:
                    watch.kill()

    def write_file(self, machine, path, content, mode=0o644):
        """Atomically; the machine must be running. (Before the boot: Fleet(files=…).)"""
        if isinstance(content, str):
            content = content.encode()
        script = 'umask 077; mkdir -p "$(dirname "$1")"; cat >"$1.new" && chmod "$2" "$1.new" && mv -fT "$1.new" "$1"'
        self.run(machine, ['/bin/sh', '-c', script, 'sh', path, f'{mode:o}'], input=content, encoding=None, check=True)

    def read_file(self, machine, path):
        """Also of a machine that is down, as long as the file is not in its memory only (/run, /tmp)."""
        root = f'/proc/{self.leader(machine)}/root' if self.is_running(machine) else self.root(machine)
        with open(root + path, 'rb') as f:
            return f.read()

    def root(self, machine):
        """The machine's root directory, running or not, seen from here."""
        return f'/proc/{self._keeper.pid}/root/run/fleet/root/{machine}'

    def journal(self, machine, unit=None, arguments=()):
        """The machine's whole journal as text, also when it is down or frozen: it is read from outside."""
        if self.is_running(machine) and not self.is_frozen(machine):
            self.run(machine, ['journalctl', '--sync'])
        command = ['journalctl', '--no-pager', '-q', '-o', 'short-monotonic', '-D', f'{self.root(machine)}/var/log/journal']
        command += ['-u', unit] if unit else []
        return subprocess.run(command + list(arguments), encoding='utf-8', errors='replace', stdout=subprocess.PIPE).stdout

    def cursor(self, machine, unit=None):
        """Where the machine's journal, or the unit's, ends now: for --after-cursor, with the same unit. Of another one,
        journalctl passes over the first entry that it finds, as if it were the cursor's."""
        command = ['journalctl', '-q', '-n', '1', '--show-cursor'] + (['-u', unit] if unit else [])
        return self.run(machine, command, check=True).stdout.rsplit('-- cursor: ', 1)[1].strip()

    # --- VMs, as the host's units

    def is_frozen(self, machine):
        if machine == HOST:
            return False
        try:
            with open(f'{self._machine_cgroup(machine)}/cgroup.events') as f:
                return 'frozen 1' in f.read()
        except OSError:
            return False

    def start_vm(self, name):
        self.run(HOST, ['systemctl', 'start', f'microvm@{name}.service'], check=True, timeout=self._timeout)

    def stop_vm(self, name):
        self.run(HOST, ['systemctl', 'stop', f'microvm@{name}.service'], check=True, timeout=self._timeout)

    def kill_vm(self, name):
        """As if the VM's monitor had crashed: SIGKILL to its nspawn. Returns at once, see wait_unit."""
        with open(f'{self._machine_cgroup(name)}/supervisor/cgroup.procs') as f:
            pids = f.read().split()
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)

    # --- waiting

    def unit(self, machine, name):
        """The unit's properties that matter, as a dict."""
        shown = self.run(machine, ['systemctl', 'show', '-p',
                                   'LoadState,ActiveState,SubState,FreezerState,MainPID,Result,NRestarts', '--', name], check=True)
        return dict(line.split('=', 1) for line in shown.stdout.splitlines() if '=' in line)

    def wait_unit(self, machine, name, state, timeout=30):
        """Until a unit's ActiveState, SubState or FreezerState is `state`, or one of a list of states."""
        states = (state,) if isinstance(state, str) else tuple(state)

        def reached():
            have = self.unit(machine, name)
            return have if {have['ActiveState'], have['SubState'], have['FreezerState']} & set(states) else None
        return self.wait_for(reached, machine, timeout, f'{name} on {machine} {" or ".join(states)}')

    def wait_for(self, condition, machine=HOST, timeout=30, what=None):
        """Returns the first true value of condition(), which is asked again whenever systemd in that machine has something
        to tell: a unit changed, a job ended. Nothing is asked on a clock."""
        deadline = time.monotonic() + timeout
        with SystemdSignals(self.leader(machine)) as signals:
            while True:
                value = condition()
                if value:
                    return value
                if not signals.wait(deadline - time.monotonic()):
                    raise Timeout(f'not within {timeout} s: {what or condition}')

    def wait_log(self, machine, pattern, unit=None, timeout=30, since_boot=True):
        """The first journal line of the machine that matches, from its boot on or from now on."""
        command = ['journalctl', '-q', '-f', '-o', 'cat', '-n', 'all' if since_boot else '0']
        command += ['-u', unit] if unit else []
        with self.popen(machine, command, stdout=subprocess.PIPE) as process:
            try:
                return wait_line(process, pattern, timeout)
            finally:
                process.kill()


def is_sanitized(destdir):
    for directory, _, names in os.walk(destdir):
        if 'givc-agent' in names:
            with open(f'{directory}/givc-agent', 'rb') as f:
                return b'__asan_init' in f.read()
    return False


class SystemdSignals:
    """systemd tells every connection to its private socket about every change, unasked. We do not read what it says:
    that it said something is when conditions are looked at again."""

    def __init__(self, leader):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # It believes only peers whose PID it can see: one of its own PID namespace has to connect. Not by os.fork(), after
        # which the threads of a gRPC in this process would never end.
        connect = 'import socket, sys; socket.socket(fileno=int(sys.argv[1])).connect(sys.argv[2])'
        with pid_namespace(leader):
            child = subprocess.Popen(['/usr/bin/python3', '-ISc', connect, str(self._socket.fileno()),
                                      f'/proc/{leader}/root/run/systemd/private'],
                                     pass_fds=[self._socket.fileno()], stderr=subprocess.DEVNULL)
        if child.wait() != 0:
            raise FleetError("cannot connect to systemd's private socket")
        self._socket.settimeout(10)
        self._socket.sendall(b'\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n')
        if not self._socket.recv(4096).startswith(b'OK '):
            raise FleetError("systemd's private socket refused us")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def wait(self, timeout):
        """False when the time is over."""
        if timeout <= 0:
            return False
        self._socket.settimeout(timeout)
        try:
            if not self._socket.recv(1 << 16):
                raise FleetError('the machine went away while we waited for something in it')
        except TimeoutError:
            return False
        return True


def wait_line(process, pattern, timeout=30):
    """The first line on a Popen's stdout that matches; lines before it are consumed, what follows it stays in the pipe.
    Do not mix it with reads of process.stdout before it: it reads from the descriptor."""
    fd = process.stdout.fileno()
    deadline = time.monotonic() + timeout
    seen = ''
    while True:
        line = b''
        while not line.endswith(b'\n'):
            if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Timeout(f'no line matches {pattern!r} within {timeout} s: {seen[-2000:]}')
            byte = os.read(fd, 1)
            if not byte:
                raise FleetError(f'no line matches {pattern!r}, and the output has ended: {seen[-2000:]}')
            line += byte
        text = line.decode(errors='replace')
        if re.search(pattern, text):
            return text.rstrip('\n')
        seen += text


class Journal:
    """What is in a running machine's journal, or of a unit in it, from now on."""

    def __init__(self, fleet, machine, unit=None):
        self._fleet, self._machine = fleet, machine
        self._command = ['journalctl', '-q', f'--after-cursor={fleet.cursor(machine, unit)}'] + (['-u', unit] if unit else [])

    def wait(self, pattern, timeout=30):
        """The first message that matches."""
        return self._wait('cat', pattern, timeout)

    def wait_entry(self, pattern, timeout=30):
        """The first entry that has it anywhere, with all its fields."""
        return json.loads(self._wait('json', pattern, timeout))

    def entries(self):
        self._fleet.run(self._machine, ['journalctl', '--sync'], check=True)
        shown = self._fleet.run(self._machine, [*self._command, '-o', 'json'], check=True).stdout
        return [json.loads(line) for line in shown.splitlines()]

    def _wait(self, output, pattern, timeout):
        command = [*self._command, '-f', '-n', 'all', '-o', output]
        with self._fleet.popen(self._machine, command, stdout=subprocess.PIPE) as process:
            try:
                return wait_line(process, pattern, timeout)
            finally:
                process.kill()


class Authority:
    """A fleet's CA, by contrib/make-certs. Kept in memory, so that nothing has to be cleaned up."""

    def __init__(self):
        self._files = {}

    def certify(self, addresses, *options):
        """A certificate for each name in addresses: {name: {'ca-cert.pem': text, 'cert.pem': …, 'key.pem': …}}. The same name
        twice gets two. options: of make-certs, such as '--expired'."""
        with tempfile.TemporaryDirectory(prefix='givc-certs-') as directory:
            for base, text in self._files.items():
                with open(f'{directory}/{base}', 'w', opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
                    f.write(text)
            subprocess.run([f'{TOP}/contrib/make-certs', *options, directory, *(f'{n}={ip}' for n, ip in addresses.items())],
                           check=True, stdout=subprocess.DEVNULL)

            def read(path):
                with open(f'{directory}/{path}') as f:
                    return f.read()
            self._files = {base: read(base) for base in os.listdir(directory) if os.path.isfile(f'{directory}/{base}')}
            return {name: {base: read(f'{name}/{base}') for base in ('ca-cert.pem', 'cert.pem', 'key.pem')}
                    for name in addresses}
