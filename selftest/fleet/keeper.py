# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that holds a fleet together: python3 keeper.py <spec.json-on-stdin

It stands between the test and the host container, in a mount, network and IPC namespace of its own, and everything a fleet
consists of hangs from it: mounts live in its mount namespace, the bridge in its network namespace, all files on a
tmpfs that only it has mounted, all processes in one cgroup and one PID namespace, whose PID 1 dies with it (PDEATHSIG).
Whatever kills the test, the other end of standard input closes; whatever kills the keeper, the kernel takes
the rest down. Only an empty cgroup may stay behind a killed keeper, and the next one sweeps it.

Standard input: one line of JSON (contents.py describes it), then kept open as long as the fleet is wanted.
Standard output: one line of JSON per event: {"event": "ready" | "exit" | "failed", ...}.
"""
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

RUN = '/run/fleet'
CGROUPS = '/sys/fs/cgroup'
CGROUP_PREFIX = 'givc-fleet-'
REBOOT = 133  # what nspawn --keep-unit exits with when the machine inside rebooted

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x08000000, 0x20000000, 0x40000000
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f'{what}: {os.strerror(error)}')


def mount(source, target, kind, flags=0, options=''):
    check(libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()),
          f'mount {kind or source} on {target} ({options})')


def own_namespaces():
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC), 'unshare')
    mount('none', '/', '', MS_REC | MS_PRIVATE)
    # All that nspawn and we leave lying about goes here and vanishes with us.
    mount('fleet', '/run', 'tmpfs', 0, 'mode=0755')
    # One cgroup layout on every ground: machines with the hybrid one have version 2 elsewhere, or nowhere.
    try:
        mount('cgroup', CGROUPS, 'cgroup2')
    except OSError as error:
        if error.errno != errno.EBUSY:  # which says that it is there
            raise
        mount('none', CGROUPS, '', MS_REMOUNT | MS_BIND)


# --- cgroup

def cgroup_populated(path):
    try:
        with open(f'{path}/cgroup.events') as f:
            return 'populated 1' in f.read()
    except OSError:
        return False


def cgroup_remove(path):
    for below, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(below)
        except OSError:
            pass


def cgroup_lock(path):
    """The lock says that a keeper lives; the kernel drops it with the keeper."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return -1
    return fd


def cgroup_sweep():
    for name in os.listdir(CGROUPS):
        path = f'{CGROUPS}/{name}'
        if not name.startswith(CGROUP_PREFIX):
            continue
        try:
            fd = cgroup_lock(path)
        except OSError:
            continue
        if fd >= 0:
            if not cgroup_populated(path):
                cgroup_remove(path)
            os.close(fd)


def cgroup_make(name):
    path = f'{CGROUPS}/{name}'
    while True:
        os.makedirs(path, exist_ok=True)
        try:
            fd = cgroup_lock(path)
        except FileNotFoundError:  # swept between the two
            continue
        if fd >= 0 and os.path.isdir(path):
            return path, fd
        if fd >= 0:
            os.close(fd)


def cgroup_end(path):
    """Kill all in it and wait, on the kernel's event, until nothing is left."""
    poll = select.poll()
    with open(f'{path}/cgroup.events') as events:
        poll.register(events, select.POLLPRI | select.POLLERR)
        while True:
            events.seek(0)
            if 'populated 0' in events.read():
                break
            with open(f'{path}/cgroup.kill', 'w') as f:
                f.write('1')
            poll.poll(1000)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    cgroup_remove(path)


# --- files

def put(root, entry):
    path = root + entry['path']
    os.makedirs(os.path.dirname(path), exist_ok=True)
    kind = entry['kind']
    if kind == 'file':
        with open(path, 'wb') as f:
            f.write(entry['content'].encode('utf-8', 'surrogateescape'))
        os.chmod(path, entry['mode'])
    elif kind == 'link':
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(entry['content'], path)
    elif kind == 'directory':
        os.makedirs(path, exist_ok=True)
        os.chmod(path, entry['mode'])
    elif kind == 'empty':  # a directory through which what the machine has there does not show
        os.makedirs(path, exist_ok=True)
        os.chmod(path, entry['mode'])
        os.setxattr(path, 'trusted.overlay.opaque', b'y')
    elif kind == 'absent':
        if not os.path.lexists(path):
            os.mknod(path, 0o600 | 0o020000, os.makedev(0, 0))


def copy_install(destdir, layer):
    """Like cp -a DESTDIR/. LAYER/, but what goes to /lib goes where the machine's /lib points to: a directory in an
    upper layer would hide that link and everything behind it."""
    for name in os.listdir(destdir):
        source = f'{destdir}/{name}'
        target = f'{layer}/{name}'
        if os.path.islink(f'/{name}'):
            target = f'{layer}/{os.readlink(f"/{name}").lstrip("/")}'
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def build_roots(spec):
    common = f'{RUN}/common'
    os.makedirs(common)
    if spec['destdir']:
        copy_install(spec['destdir'], common)
    for entry in spec['common']:
        put(common, entry)
    for machine in spec['machines']:
        name = machine['name']
        for directory in ('upper', 'work', 'root'):
            os.makedirs(f'{RUN}/{directory}/{name}')
        for entry in machine['files']:
            put(f'{RUN}/upper/{name}', entry)
        mount('overlay', f'{RUN}/root/{name}', 'overlay', 0,
              f'lowerdir={common}:/,upperdir={RUN}/upper/{name},workdir={RUN}/work/{name}')


def bridge(address):
    # With an address of its own: else it takes the lowest of its ports', and changes it when that machine ends; for some 20 seconds
    # the others then send to one that there is not.
    subprocess.run(['ip', '-batch', '-'], check=True, encoding='utf-8', input=f'''
        link set lo up
        link add br0 address 02:00:00:00:00:01 type bridge
        address add {address}/24 dev br0
        link set br0 up
    ''')


# --- the host container

# As any kernel lets it be called, and nspawn 252 does not.
LANDLOCK = '--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self'


def spawn(spec, cgroup, notify):
    host, *guests = spec['machines']
    # The kernel is the machine's: its modules, and its clock, which a first time zone told to it would move (settimeofday(2)).
    command = ['systemd-nspawn', '--quiet', '--register=no', '--keep-unit', '--capability=all',
               '--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE', '--link-journal=no', '--resolv-conf=off', '--timezone=off',
               LANDLOCK, '--console=pipe', '--boot', '--notify-ready=yes', '-D', f'{RUN}/root/{host["name"]}', '-M', spec['id']]
    command += [f'--bind={RUN}/root/{guest["name"]}:/var/lib/machines/{guest["name"]}' for guest in guests]
    keeper = os.getpid()

    # nspawn becomes PID 1 of a namespace: its own death alone would leave the machine inside it running.
    with open('/proc/self/ns/pid') as own:
        check(libc.setns(own.fileno(), CLONE_NEWPID), 'setns')
    check(libc.unshare(CLONE_NEWPID), 'unshare')

    def before_exec():
        with open(f'{cgroup}/cgroup.procs', 'w') as f:
            f.write('0')
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with open('/proc/self/status') as f:  # the keeper may be gone already; getppid() is 0 across the namespaces
            if f'PPid:\t{keeper}\n' not in f.read():
                os._exit(1)
        check(libc.unshare(CLONE_NEWNS), 'unshare')
        mount('proc', '/proc', 'proc')

    with open(f'{RUN}/console', 'ab') as console:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=before_exec,
            env={'PATH': os.environ['PATH'], 'NOTIFY_SOCKET': notify, 'SYSTEMD_NSPAWN_UNIFIED_HIERARCHY': '1',
                 'SYSTEMD_NSPAWN_API_VFS_WRITABLE': '1'})


def console_tail():
    try:
        with open(f'{RUN}/console', encoding='utf-8', errors='replace') as f:
            return f.read()[-8000:]
    except OSError:
        return ''


def say(event, **fields):
    print(json.dumps({'event': event, **fields}), flush=True)


def watch(spec, cgroup):
    """Until the lifeline is cut."""
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    notify.bind(f'{RUN}/notify')
    deadline = time.monotonic() + spec['timeout']
    ready = False
    child = spawn(spec, cgroup, f'{RUN}/notify')
    child_fd = os.pidfd_open(child.pid)
    while True:
        wait_on = [0, notify] + ([child_fd] if child_fd >= 0 else [])
        readable, _, _ = select.select(wait_on, [], [], None if ready else max(0, deadline - time.monotonic()))
        if 0 in readable and not os.read(0, 1):
            return
        if notify in readable and b'READY=1' in notify.recv(4096).split(b'\n'):
            say('ready', cgroup=os.path.basename(cgroup))
            ready = True
        if child_fd in readable:
            os.close(child_fd)
            child_fd = -1
            status = child.wait()
            if status == REBOOT:
                child = spawn(spec, cgroup, f'{RUN}/notify')
                child_fd = os.pidfd_open(child.pid)
                continue
            if not ready:
                say('failed', reason=f'nspawn of the host ended with status {status}', console=console_tail())
                return
            say('exit', status=status)
        if not ready and not readable:
            # The machine stays up to be looked at until the test lets go of it.
            say('failed', reason=f'no READY=1 from the host within {spec["timeout"]} s', console=console_tail(),
                cgroup=os.path.basename(cgroup))
            ready = True


def main():
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    line = b''
    while not line.endswith(b'\n'):
        part = os.read(0, 1 << 20)
        if not part:
            return
        line += part
    spec = json.loads(line)
    cgroup = None
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # so that it can say when the last one is gone
    try:
        own_namespaces()
        cgroup_sweep()
        cgroup, lock = cgroup_make(CGROUP_PREFIX + spec['id'])
        bridge(spec['machines'][0]['address'])
        build_roots(spec)
        watch(spec, cgroup)
    except Exception as error:
        say('failed', reason=f'{type(error).__name__}: {error}', console=console_tail())
        raise
    finally:
        if cgroup:
            cgroup_end(cgroup)


if __name__ == '__main__':
    main()
