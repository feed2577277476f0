# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machines of a fleet contain, as lists of files laid over this machine's own root.

A list has entries {"path", "kind", "content", "mode"}; kinds: file, link, directory, empty (a directory in which
nothing of this machine shows), absent. `common` lies under all machines, the rest is each machine's own. What
starts inside is what stands here and nothing else: this machine's enabled units, generators and /etc/systemd are
hidden, so that chance on it (databases, time daemons, …) does not start in every guest.
"""
import glob
import hashlib
import json
import os
import re

HOST = 'ghaf-host'
NETWORK = '192.168.100'
SYSTEM = '/etc/systemd/system'
USER, USER_ID = 'ghaf', 1000  # the one person in each machine; its manager is user@1000.service, started when asked for

# Registry types (RegistryRequest.Type): of the agent, of the units that it exposes.
TYPES = {'Host': (0, 1), 'AdmVM': (4, 5), 'SysVM': (8, 9), 'AppVM': (12, 13)}
KNOWN = {HOST: 'Host', 'admin-vm': 'AdmVM'}
ADDRESSES = {HOST: 1, 'admin-vm': 2, 'net-vm': 3, 'app-vm': 4}  # further guests: .5 and up, in the order asked for

# Services that every guest has, to be controlled. None wakes up by itself. Which of them its agent exposes: exposed_units().
DEMO = {
    'demo-clock.service': 'does nothing, for ever',
    'demo-echo.service': 'does nothing, for ever',
    'demo-fail.service': 'exits with status 3 right after its start',
    'demo-missing.service': 'its program does not exist',
    'demo-gate.service': 'is activating until somebody writes a line to /run/demo-gate',
    'demo-slow-start.service': 'is activating for 2 s',
    'demo-slow-stop.service': 'is deactivating for 2 s',
    'demo-oneshot.service': 'is active (exited) after its start',
    'demo-hidden.service': 'does nothing, for ever, and no agent exposes it',
}


def file(path, content, mode=0o644):
    return {'path': path, 'kind': 'file', 'content': content, 'mode': mode}


def link(path, target):
    return {'path': path, 'kind': 'link', 'content': target, 'mode': 0}


def directory(path, mode=0o755):
    return {'path': path, 'kind': 'directory', 'content': '', 'mode': mode}


def empty(path, mode=0o755):
    return {'path': path, 'kind': 'empty', 'content': '', 'mode': mode}


def absent(path):
    return {'path': path, 'kind': 'absent', 'content': '', 'mode': 0}


def unit(name, text):
    return file(f'{SYSTEM}/{name}', text)


def wants(target, name, path=None):
    return link(f'{SYSTEM}/{target}.wants/{name}', path or f'/usr/lib/systemd/system/{name}')


def service(description, **settings):
    lines = ''.join(f'{key}={value}\n' for key, value in settings.items())
    return f'[Unit]\nDescription={description}\n\n[Service]\n{lines}'


def kind_of(name):
    """Which kind of VM a guest is, from its name alone: app-vm, chrome-vm, … are application VMs."""
    return KNOWN.get(name) or ('SysVM' if re.match(r'(net|gui|audio|sys|ids)[0-9]*-vm$', name) else 'AppVM')


def addresses(names):
    taken = {name: number for name, number in ADDRESSES.items() if name in names}
    free = (n for n in range(5, 255))
    return {name: f'{NETWORK}.{taken[name] if name in taken else next(free)}' for name in names}


def without_this_machine():
    """Hides what is chance on this machine."""
    usual = {'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'usr', 'etc', 'var', 'nix',
             'dev', 'proc', 'sys', 'run', 'tmp', 'home', 'root', 'srv', 'opt', 'mnt', 'media', 'boot'}
    entries = [absent(f'/{name}') for name in os.listdir('/') if name not in usual]
    entries += [empty(path) for path in ('/home', '/srv', '/opt', '/mnt', '/media', '/boot', '/etc/systemd', '/etc/init.d',
                                         '/etc/givc', '/var/log', '/var/lib/systemd', '/var/lib/machines',
                                         '/usr/lib/systemd/system-generators', '/usr/lib/systemd/user-generators')]
    entries += [empty('/root', 0o700), empty('/var/tmp', 0o1777)]
    entries += [empty(path) for path in sorted(glob.glob('/etc/rc?.d') + glob.glob('/usr/lib/systemd/system/*.wants'))]
    entries += [absent('/etc/fstab'), absent('/etc/crypttab')]
    entries += [directory('/var/log/journal', 0o2755), link('/var/lib/dbus/machine-id', '/etc/machine-id')]
    return entries


def basic_system():
    """The smallest system that is still one: journal, D-Bus, temporary files. logind starts when it is asked for."""
    return [
        file('/etc/resolv.conf', ''),
        file('/etc/nsswitch.conf', 'passwd: files systemd\ngroup: files systemd\nshadow: files\nhosts: files\n'),
        file('/etc/systemd/system.conf.d/fleet.conf',
             '[Manager]\nShowStatus=no\nDefaultTimeoutStopSec=10s\nDefaultTimeoutStartSec=30s\n'),
        file('/etc/systemd/journald.conf.d/fleet.conf',
             '[Journal]\nStorage=persistent\nSystemMaxUse=64M\nRateLimitBurst=0\nForwardToWall=no\nReadKMsg=no\n'),
        link(f'{SYSTEM}/default.target', '/usr/lib/systemd/system/multi-user.target'),
        wants('sysinit.target', 'systemd-journald.service'),
        wants('sysinit.target', 'systemd-journal-flush.service'),
        wants('sysinit.target', 'systemd-tmpfiles-setup.service'),
        # As the installation of a package would; systemd-sysusers.service itself runs after an update of /usr alone.
        unit('fleet-users.service', '[Unit]\nDescription=Users of what is installed\nDefaultDependencies=no\n'
                                    'Before=sysinit.target dbus.socket\n'
                                    'ConditionPathExists=|/etc/sysusers.d/givc.conf\nConditionPathExists=|/run/sysusers.d/givc.conf\n'
                                    'ConditionPathExists=|/usr/local/lib/sysusers.d/givc.conf\n'
                                    'ConditionPathExists=|/usr/lib/sysusers.d/givc.conf\n\n'
                                    '[Service]\nType=oneshot\nExecStart=systemd-sysusers givc.conf\n'),
        wants('sysinit.target', 'fleet-users.service', f'{SYSTEM}/fleet-users.service'),
        wants('sockets.target', 'systemd-journald.socket'),
        wants('sockets.target', 'systemd-journald-dev-log.socket'),
        wants('sockets.target', 'dbus.socket'),
        wants('multi-user.target', 'dbus.service'),
        wants('multi-user.target', 'systemd-user-sessions.service'),
        # Sleeping must not reach for the kernel we share with everything else: it only leaves a trace.
        *(unit(f'systemd-{sleep}.service', service(f'{sleep}, as a note in the journal', Type='oneshot',
                                                   ExecStart=f'/bin/echo asked to {sleep}'))
          for sleep in ('suspend', 'hibernate', 'hybrid-sleep', 'suspend-then-hibernate')),
        # Answers with the machine's name: what shows that names resolve and packets arrive.
        unit('fleet-hello.socket', '[Unit]\nDescription=Says the name of this machine\n\n'
                                   '[Socket]\nListenStream=7\nAccept=yes\n'),
        unit('fleet-hello@.service', service('Says the name of this machine', ExecStart='/bin/cat /etc/hostname',
                                             StandardInput='socket', StandardOutput='socket')),
        wants('sockets.target', 'fleet-hello.socket', f'{SYSTEM}/fleet-hello.socket'),
    ]


def users():
    """This machine's system users, and one person of ours in place of its people."""
    def system(path):
        with open(path) as f:
            return ''.join(line for line in f if not 1000 <= int(line.split(':')[2]) < 60000)
    return [
        file('/etc/passwd', f'{system("/etc/passwd")}{USER}:x:{USER_ID}:{USER_ID}::/home/{USER}:/bin/bash\n'),
        file('/etc/group', f'{system("/etc/group")}{USER}:x:{USER_ID}:\n'),
        file('/etc/shadow', f'{USER}:*:19000::::::\n', 0o600),
        file('/etc/gshadow', '', 0o600),
        file('/etc/tmpfiles.d/fleet.conf', f'd /home/{USER} 0700 {USER} {USER}\n'),
    ]


def demo_units(name):
    forever = {'ExecStart': '/bin/sleep infinity'}
    settings = {
        'demo-fail.service': {'ExecStart': "/bin/sh -c 'exit 3'"},
        'demo-missing.service': {'ExecStart': '/usr/bin/demo-is-not-there'},
        'demo-gate.service': {
            'ExecStartPre': "/bin/sh -c 'test -p /run/demo-gate || mkfifo /run/demo-gate; read line </run/demo-gate'",
            **forever},
        'demo-slow-start.service': {'ExecStartPre': '/bin/sleep 2', **forever},
        'demo-slow-stop.service': {**forever, 'ExecStop': '/bin/sleep 2'},
        'demo-oneshot.service': {'Type': 'oneshot', 'RemainAfterExit': 'yes', 'ExecStart': '/bin/true'},
    }
    demos = {**DEMO, f'demo-{name}.service': f'does nothing, for ever, in {name}'}
    return [unit(demo, service(f'Demo: {text}', **settings.get(demo, forever))) for demo, text in demos.items()]


def microvm():
    return [
        unit('microvm@.service', '''\
[Unit]
Description=MicroVM '%i'

[Service]
Type=notify
NotifyAccess=all
Delegate=yes
KillMode=mixed
SuccessExitStatus=133
RestartForceExitStatus=133
TimeoutStartSec=60
TimeoutStopSec=20
Environment=SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=1
ExecStart=systemd-nspawn --quiet --register=no --keep-unit --capability=all --drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE \\
        --link-journal=no --resolv-conf=off --timezone=off --console=pipe --boot --notify-ready=yes --network-bridge=br0 \\
        "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self" \\
        -D /var/lib/machines/%i -M %i
'''),
    ]


def guest_network(address):
    return [
        file('/etc/fleet-network', f'address add {address}/24 dev host0\nlink set host0 up\n'),
        unit('fleet-network.service', '''\
[Unit]
Description=Address of this machine
DefaultDependencies=no
Conflicts=shutdown.target
Before=network.target network-online.target shutdown.target
Wants=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip -batch /etc/fleet-network
'''),
        wants('sysinit.target', 'fleet-network.service', f'{SYSTEM}/fleet-network.service'),
    ]


# --- givc

def agent_config(name, kind, where, exposed):
    kind_number, unit_number = TYPES[kind]
    config = {
        'identity': {'type': kind_number, 'subType': unit_number, 'name': name,
                     'parent': '' if kind == 'Host' else f'microvm@{name}.service'},
        'network': {
            'agent': {'transport': {'name': name, 'addr': where[name], 'port': '9000', 'protocol': 'tcp'}},
            'admin': {'transport': {'name': 'admin-vm', 'addr': where.get('admin-vm', ''), 'port': '9001',
                                    'protocol': 'tcp'}},
            'tls': {'enable': True},
        },
        'capabilities': {'services': exposed, 'applications': None},
    }
    if kind == 'Host':
        vms = {vm: kind_of(vm) for vm in where if vm != name}
        config['capabilities']['vmServices'] = {
            'adminVm': 'microvm@admin-vm.service',
            'systemVms': [f'microvm@{vm}.service' for vm, of in vms.items() if of == 'SysVM'],
            'appVms': [f'microvm@{vm}.service' for vm, of in vms.items() if of == 'AppVM'],
        }
    if kind == 'AppVM':
        config['capabilities']['applications'] = [
            {'name': 'sleeper', 'command': '/bin/sleep infinity', 'args': [], 'directories': []},
        ]
    return config


def exposed_units(name):
    """A unit's name is its key in the registry, so no two agents may expose the same: the demo services are net-vm's, and each
    other guest has one of its own, demo-GUEST.service."""
    if name == HOST:
        return ['poweroff.target', 'reboot.target', 'suspend.target']
    if name == 'admin-vm':
        return ['givc-admin.service']
    if name == 'net-vm':
        return [unit for unit in DEMO if unit != 'demo-hidden.service']
    return [f'demo-{name}.service']


def givc(name, kind, where, exposed):
    """Both daemons' units are wanted at boot beside their sockets: an agent has to register itself unasked."""
    config = agent_config(name, kind, where, exposed)
    started = ['givc-agent.socket', 'givc-agent.service']
    entries = [directory('/etc/givc', 0o755), file('/etc/givc/agent.json', json.dumps(config, indent=2) + '\n')]
    if kind == 'AdmVM':
        started += ['givc-admin.socket', 'givc-admin.service']
        entries += [file('/etc/givc/admin.env', 'TLS=true\n')]
    entries += [wants('sockets.target' if unit_name.endswith('.socket') else 'multi-user.target', unit_name)
                for unit_name in started]
    # What givcctl takes from its environment; a login shell (contrib/try) has it too.
    entries += [file('/etc/profile.d/givc.sh', ''.join(f'export {k}={v}\n' for k, v in ctl_environment(where).items()))]
    return entries


def policies_at(path):
    """A directory in which an agent may put policies: its unit lets it write nowhere but where they go by custom."""
    return [directory(path), file(f'{SYSTEM}/givc-agent.service.d/policies.conf', f'[Service]\nReadWritePaths={path}\n')]


VALGRIND_LOGS = '/var/log/valgrind'  # selftest/valgrind/install


def sanitized():
    """For daemons with sanitizers or under valgrind, which need more than a daemon does. Sanitizers report to the journal."""
    text = ('[Service]\nSystemCallFilter=\nMemoryDenyWriteExecute=no\nProtectProc=default\nProcSubset=all\n'
            'Environment=UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1\n'
            f'ReadWritePaths=-{VALGRIND_LOGS}\n')
    return [file(f'{where}/givc-{daemon}.service.d/sanitized.conf', text)
            for where in (SYSTEM, '/etc/systemd/user') for daemon in ('admin', 'agent', 'online')]


def ctl_environment(where):
    return {'GIVC_ADDR': where.get('admin-vm', ''), 'GIVC_PORT': '9001', 'GIVC_NAME': 'admin-vm',
            'GIVC_CA_CERT': '/etc/givc/ca-cert.pem', 'GIVC_HOST_CERT': '/etc/givc/cert.pem',
            'GIVC_HOST_KEY': '/etc/givc/key.pem'}


# --- all of it

def machine(fleet_id, name, where, exposed, certificates, autostart):
    """exposed: the units that its agent exposes; None: no givc in it."""
    kind = kind_of(name)
    hosts = '127.0.0.1 localhost\n' + ''.join(f'{ip} {other}\n' for other, ip in where.items())
    entries = [
        file('/etc/hostname', f'{name}\n'),
        file('/etc/machine-id', hashlib.md5(f'{fleet_id} {name}'.encode()).hexdigest() + '\n', 0o444),
        file('/etc/hosts', hosts),
    ]
    if kind == 'Host':
        entries += microvm()
        entries += [wants('multi-user.target', f'microvm@{vm}.service', f'{SYSTEM}/microvm@.service') for vm in autostart]
    else:
        entries += guest_network(where[name]) + demo_units(name)
    if exposed is not None:
        entries += givc(name, kind, where, exposed)
    for base, text in certificates.items():
        entries.append(file(f'/etc/givc/{base}', text, 0o600 if base == 'key.pem' else 0o644))
    return {'name': name, 'address': where[name], 'files': entries}


def common():
    return without_this_machine() + basic_system() + users()
