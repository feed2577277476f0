# SPDX-License-Identifier: GPL-2.0-or-later
"""What the installed daemons and givcctl cost in a fleet in miniature: memory, latency, wake-ups, time to start."""
import array
import collections
import contextlib
import json
import os
import re
import resource
import sys
import threading
import time

from figures import TOP, Figure, median, quantile

sys.path.insert(0, f'{TOP}/selftest/fleet')
import contents  # noqa: E402
from miniature import HOST, Fleet, wait_line  # noqa: E402

PAGE = resource.getpagesize()
ENTRIES = 1000
PER_AGENT = 247          # what makes that of four agents, with all that is registered anyway
SETTLE_SECONDS = 6       # what a handshake made wolfSSL keep is given back after 3 s
IDLE_SECONDS = 60
CHANGES = 200            # of a unit
CHANGING = 'demo-clock.service'
RUNS = 60                # of givcctl and of curl
STARTS = 20              # of each daemon

# Runs inside of a machine: both commands in turns, each from before its fork to its end. Prints two lists of milliseconds.
RACE = r'''
import json, os, sys, time
null = os.open('/dev/null', os.O_RDWR)
def run(argv):
    begin = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)])
    status = os.waitpid(pid, 0)[1]
    if status:
        sys.exit(f'{argv[0]}: status {status}')
    return (time.perf_counter() - begin) * 1000
runs, *commands = json.load(sys.stdin)
print(json.dumps(list(zip(*[[run(argv) for argv in commands] for _ in range(runs)]))))
'''

# Runs inside of a machine, in the place of its systemd: hands over a socket, waits for READY=1. Prints milliseconds.
START = r'''
import json, os, signal, socket, sys, tempfile, time
runs, port, argv, environment = json.load(sys.stdin)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind('\0givc-bench-notify')
notify.settimeout(10)
listener = socket.create_server(('', port))
results = []
for _ in range(runs):
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.dup2(listener.fileno(), 3)
        os.dup2(os.open('/dev/null', os.O_RDWR), 2)
        os.execve(argv[0], argv, {**os.environ, **environment, 'NOTIFY_SOCKET': '@givc-bench-notify', 'LISTEN_FDS': '1',
                                  'LISTEN_FDNAMES': 'grpc', 'LISTEN_PID': str(os.getpid())})
    while b'READY=1' not in notify.recv(4096).split(b'\n'):
        pass
    results.append((time.perf_counter() - begin) * 1000)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    notify.setblocking(False)
    try:
        while notify.recv(4096):
            pass
    except BlockingIOError:
        notify.settimeout(10)
print(json.dumps(results))
'''


def settle(seconds=SETTLE_SECONDS):
    time.sleep(seconds)


def processes(fleet, machine):
    """{pid as we see it: name} of what is in that machine."""
    inside = os.readlink(f'/proc/{fleet.leader(machine)}/ns/pid')
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError), open(f'/proc/{pid}/comm') as f:
            if os.readlink(f'/proc/{pid}/ns/pid') == inside:
                found[int(pid)] = f.read().strip()
    return found


def pid_of(fleet, machine, daemon):
    return next(pid for pid, comm in processes(fleet, machine).items() if comm == daemon)


# --- memory

def frames(pid):
    """The page frames that a process has mapped (proc(5), pagemap)."""
    found = set()
    with open(f'/proc/{pid}/maps') as maps, open(f'/proc/{pid}/pagemap', 'rb', buffering=0) as pagemap:
        for line in maps:
            begin, end = (int(address, 16) for address in line.split()[0].split('-'))
            if end > 1 << 47 or line.rstrip().endswith(('[vvar]', '[vdso]')):
                continue
            pagemap.seek(begin // PAGE * 8)
            entries = array.array('Q', pagemap.read((end - begin) // PAGE * 8))
            found |= {entry & (1 << 55) - 1 for entry in entries if entry >> 63}
    return found


def memory(fleet, machine, daemon):
    """MB: PSS, and private dirty. The PSS is what it would be if that machine had its memory for itself, as a VM has, and this
    were its only daemon of ours: a page counts for its share among the machine's processes but these. (What the kernel
    says here is less: all machines of the fleet map the same libraries.)"""
    pids = processes(fleet, machine)
    pid = next(pid for pid, comm in pids.items() if comm == daemon)
    own = frames(pid)
    others = collections.Counter(frame for other, comm in pids.items() if not comm.startswith('givc') for frame in frames(other))
    with open(f'/proc/{pid}/smaps_rollup') as f:
        dirty = int(re.search(r'^Private_Dirty: +(\d+) kB', f.read(), re.M)[1])
    return sum(1 / (1 + others[frame]) for frame in own) * PAGE / (1 << 20), dirty / 1024


def memory_figures(destdir):
    """Every entry is an agent's that registers it at its start, as ever. Most are units that do not exist: to the registry
    they are units like others, that do not run."""
    guests = ('admin-vm', 'app-vm', 'net-vm', 'gui-vm', 'audio-vm', 'sys-vm')
    units = [f'bench-{i:04}.service' for i in range(ENTRIES)]
    extra = {guest: units[i * PER_AGENT:(i + 1) * PER_AGENT] for i, guest in enumerate(guests[2:])}
    with Fleet(destdir, guests=guests, exposed=extra) as fleet:
        fleet.wait_registered()
        entries = len(json.loads(fleet.givcctl('query-list', '--json', check=True).stdout))
        settle()
        for machine, daemon, what, bounds in (
                ('app-vm', 'givc-agent', 'idle agent', (5.5, 1.5)),
                ('admin-vm', 'givc-admin', f'admin with {entries} entries', (7, 3))):
            alone, dirty = memory(fleet, machine, daemon)
            yield Figure(f'{what}, PSS alone on the machine', alone, 'MB', ('<', bounds[0]))
            yield Figure(f'{what}, private dirty', dirty, 'MB', ('<', bounds[1]))


# --- givcctl

def race_figures(fleet):
    address = f'{fleet.addresses["admin-vm"]}:9001'
    curl = ['curl', '-s', '-o', '/dev/null', '--http2', '--cacert', '/etc/givc/ca-cert.pem', '--cert', '/etc/givc/cert.pem',
            '--key', '/etc/givc/key.pem', '--connect-to', f'::{address}', 'https://admin-vm/']
    version = fleet.run(HOST, [*curl, '-w', '%{http_version}'], check=True).stdout
    if version != '2':
        raise RuntimeError(f'curl spoke HTTP {version}')
    shown = fleet.run(HOST, ['/usr/bin/python3', '-c', RACE], check=True, timeout=300,
                      input=json.dumps([RUNS, ['givcctl', 'query-list'], curl])).stdout
    ours, theirs = json.loads(shown)
    yield Figure('givcctl query-list, exec to exit, to curl', median(ours), 'ms', ('<=', 0.6), median(theirs),
                 f'medians of {RUNS}')


# --- a unit's change

class Arrivals:
    """Lines of givcctl watch about one unit, with the time at which each came."""

    def __init__(self, fleet, unit):
        self._process = fleet.popen(HOST, ['givcctl', 'watch', '--json', '--initial'], stdout=-1, encoding=None)
        self._unit = unit
        wait_line(self._process, unit)
        self._lines = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        rest = b''
        while True:
            data = os.read(self._process.stdout.fileno(), 65536)
            now = time.monotonic_ns()
            if not data:
                return
            *lines, rest = (rest + data).split(b'\n')
            with self._changed:
                self._lines += [(now, line) for line in map(bytes.decode, lines) if self._unit in line]
                self._changed.notify()

    def wait(self, text, timeout=10):
        """When the first line came that has this in it; it and what came before it is forgotten. Nanoseconds."""
        with self._changed:
            while True:
                while self._lines:
                    when, line = self._lines.pop(0)
                    if text in line:
                        return when
                if not self._changed.wait(timeout):
                    raise RuntimeError(f'no line about {self._unit} has {text}')

    def close(self):
        self._process.kill()
        self._process.wait()
        self._thread.join()


def latencies(fleet, unit=CHANGING):
    """From the time that systemd in net-vm gives to the unit's change of state to the line, in ms: one clock, one machine."""
    arrivals, results = Arrivals(fleet, unit), []
    for i in range(CHANGES):
        verb, state = (('stop', '"PoweredOff"'), ('start', '"Running"'))[i % 2]
        fleet.run('net-vm', ['systemctl', verb, unit], check=True)
        arrived = arrivals.wait(state)
        shown = fleet.run('net-vm', ['systemctl', 'show', '-p', 'StateChangeTimestampMonotonic', '--value', unit], check=True)
        results.append((arrived / 1000 - int(shown.stdout)) / 1000)
    arrivals.close()
    return results


def latency_figures(fleet):
    results = latencies(fleet)
    note = f'p50 {quantile(results, 0.5):.3g} ms, worst {max(results):.3g} ms, of {len(results)}'
    yield Figure('unit change in a VM to line of watch, p99', quantile(results, 0.99), 'ms', ('<', 10), note=note)


# --- wake-ups

def switches(pid):
    """How often it has gone to sleep by itself, which is how often it had woken up."""
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/status') as f:
            total += int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', f.read(), re.M)[1])
    return total


def connections(pid):
    """Its TCP connections."""
    sockets = set()
    for fd in os.listdir(f'/proc/{pid}/fd'):
        match = re.match(r'socket:\[(\d+)\]', os.readlink(f'/proc/{pid}/fd/{fd}'))
        sockets |= {match[1]} if match else set()
    count = 0
    for name in ('tcp', 'tcp6'):
        with open(f'/proc/{pid}/net/{name}') as f:
            count += sum(line.split()[3] == '01' and line.split()[9] in sockets for line in f.readlines()[1:])
    return count


def wake_up_figures(fleet):
    """A watchdog of 60 s is fed each 20 to 30 s. A connection on which nothing else happens carries a PING each 20 s, which
    is a timer and an answer for the end that asks, and less for the other."""
    daemons = [(machine, 'givc-agent') for machine in fleet.names] + [('admin-vm', 'givc-admin')]
    pids = [pid_of(fleet, *daemon) for daemon in daemons]
    before = [switches(pid) for pid in pids]
    time.sleep(IDLE_SECONDS)
    for (machine, daemon), pid, woken in zip(daemons, pids, before):
        woken = switches(pid) - woken
        n = connections(pid)
        yield Figure(f'wake-ups in {IDLE_SECONDS} s: {daemon} of {machine}', woken, '', ('<=', 3 + 2 * n * IDLE_SECONDS // 20),
                     note=f'watchdog 3, keepalive up to {2 * IDLE_SECONDS // 20} for each of {n} connections')


# --- start

def starts(fleet, daemon, port, argv, environment):
    fleet.run('admin-vm', ['systemctl', 'stop', f'{daemon}.socket', f'{daemon}.service'], check=True)
    shown = fleet.run('admin-vm', ['/usr/bin/python3', '-c', START], check=True, timeout=300,
                      input=json.dumps([STARTS, port, argv, environment])).stdout
    fleet.run('admin-vm', ['systemctl', 'start', f'{daemon}.socket', f'{daemon}.service'], check=True)
    return json.loads(shown)


def start_figures(fleet):
    admin = {'TLS': 'true', 'CA_CERT': '/etc/givc/ca-cert.pem', 'HOST_CERT': '/etc/givc/cert.pem',
             'HOST_KEY': '/etc/givc/key.pem'}
    for daemon, port, arguments, environment in (('givc-admin', 9001, [], admin),
                                                 ('givc-agent', 9000, ['-config', '/etc/givc/agent.json'], {})):
        path = fleet.run('admin-vm', ['which', daemon], check=True).stdout.strip()
        results = starts(fleet, daemon, port, [path, *arguments], environment)
        yield Figure(f'{daemon}: fork to READY', median(results), 'ms', ('<', 20), note=f'worst of {STARTS}: {max(results):.3g} ms')


def in_fleet(destdir, measure):
    # A unit that nothing refers to is forgotten by systemd when it stops, and with it, when it stopped.
    changing = [contents.wants('multi-user.target', CHANGING, f'{contents.SYSTEM}/{CHANGING}'),
                contents.file(f'{contents.SYSTEM}/{CHANGING}.d/often.conf', '[Unit]\nStartLimitIntervalSec=0\n')]
    with Fleet(destdir, files={'net-vm': changing}) as fleet:
        fleet.wait_registered()
        settle()
        yield from measure(fleet)
