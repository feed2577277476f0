# SPDX-License-Identifier: GPL-2.0-or-later
"""The fleet of contrib/try: what README.md shows can be typed there, so there is what it speaks of. Where a Ghaf has hardware or a
program of its own, a script stands in: for the browser, the security key, and the update of the host."""
import json
import os

import contents
from contents import file
from miniature import Fleet, GUESTS as USUAL, HOST, TOP

GUESTS = (*USUAL, 'gui-vm', 'audio-vm')
EXPOSED = {'audio-vm': ['demo-play.service']}
NOTIFIER = '/var/lib/notifier'

OTA_UPDATE = """#!/bin/sh
case $1 in
get) cat <<END
[{"name": "system-1-link", "generation": 1, "nixosVersion": "24.11", "kernelVersion": "6.6.1", "storePath": "/nix/store/one",
  "current": false, "booted": false, "bootable": true, "default": false},
 {"name": "system-2-link", "generation": 2, "nixosVersion": "24.11", "kernelVersion": "6.6.2", "storePath": "/nix/store/two",
  "current": true, "booted": true, "bootable": true, "default": true}]
END
        ;;
*) echo "would update to $2" ;;
esac
"""
EXPECTED = '{"name": "the host may", "principal": "ghaf-host", "action": "StartVM", "resource": "admin", "expect": "allow"}\n'


def script(name, text):
    return file(f'/usr/local/bin/{name}', text, 0o755)


def configuration(name, where, **capabilities):
    config = contents.agent_config(name, contents.kind_of(name), where, EXPOSED.get(name, contents.exposed_units(name)))
    config['capabilities'].update(capabilities)
    return file('/etc/givc/agent.json', json.dumps(config, indent=2) + '\n')


def catalog():
    """What journalctl -x explains. Nothing waits for it."""
    unit = '[Unit]\nDescription=Catalog of the journal\n\n[Service]\nType=oneshot\nExecStart=journalctl --update-catalog\n'
    return [contents.unit('fleet-catalog.service', unit),
            contents.wants('multi-user.target', 'fleet-catalog.service', f'{contents.SYSTEM}/fleet-catalog.service')]


def files():
    where = contents.addresses([HOST, *GUESTS])
    forever = "#!/bin/sh\nexec sleep infinity\n"
    applications = [{'name': 'firefox', 'command': '/usr/local/bin/firefox', 'args': ['flag', 'url'], 'directories': []},
                    {'name': 'sleeper', 'command': '/bin/sleep infinity', 'args': [], 'directories': []}]
    with open(f'{TOP}/contrib/examples/rules.cedar', encoding='utf-8') as f:
        rules = f.read()
    own = {
        HOST: [configuration(HOST, where, exec={'enable': True}), script('ota-update', OTA_UPDATE),
               script('ghaf-version', '#!/bin/sh\necho 25.11\n'), file('/root/rules.cedar', rules),
               file('/root/expected.json', EXPECTED), file('/root/request', 'challenge\n')],
        'admin-vm': [file('/etc/givc/admin.env', 'TLS=true\nACCESS_CONTROL=true\nCEDAR_FILE=/etc/givc/rules.cedar\n'),
                     file('/etc/givc/rules.cedar', rules)],
        'app-vm': [configuration('app-vm', where, applications=applications), script('firefox', forever)],
        'gui-vm': [configuration('gui-vm', where, ctap={'enable': True}, notifier={'enable': True, 'socket': NOTIFIER}),
                   contents.directory(NOTIFIER), script('qctap-make-credential', '#!/bin/sh\nexec cat\n')],
        'audio-vm': [contents.unit('demo-play.service', contents.service('Demo: plays nothing, for ever',
                                                                         ExecStart='/bin/sleep infinity'))],
    }
    return {name: own.get(name, []) + catalog() for name in where}


def showcase(destdir):
    """A Fleet, not started yet. Without destdir: without givc, and what is shown of it."""
    return Fleet(destdir, guests=GUESTS, files=files(), exposed=EXPOSED) if destdir else Fleet()


def readme_commands():
    """What README.md says that can be typed, without its comments."""
    with open(os.path.join(TOP, 'README.md'), encoding='utf-8') as f:
        shown = f.read().split('## What it does\n')[1].split('\n## ')[0]
    return [line.split('  #')[0].split(' # ')[0].strip() for line in shown.splitlines() if line.startswith('    ')]
