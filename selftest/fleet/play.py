# SPDX-License-Identifier: GPL-2.0-or-later
"""A fleet by hand: python3 play.py [--destdir DIR] [--shell] [COMMAND...]"""
import argparse
import os
import signal
import subprocess
import sys
import time

from miniature import FleetError, HOST
from showcase import showcase

PLAY = r"""
status=0
for line; do
        case $line in
        '#'*) printf '\n\033[1m%s\033[0m\n' "$line" ;;
        *) printf '$ %s\n' "$line"; eval "$line" || { status=$?; printf '(exit status %s)\n' "$status"; } ;;
        esac
done
exit $status
"""


def main():
    parser = argparse.ArgumentParser(description='Boots a Ghaf in miniature, runs the commands on its host, one after the other '
                                     'in one shell, and takes it down again.')
    parser.add_argument('--destdir', help="the DESTDIR of givc's meson install")
    parser.add_argument('--shell', action='store_true', help='then offer a shell on the host, if there is a terminal')
    parser.add_argument('command', nargs='*', help='shell commands; what begins with # is shown as a heading')
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):  # the terminal may be closed at any moment
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        begin = time.monotonic()
        with showcase(arguments.destdir) as fleet:
            if arguments.destdir:
                fleet.wait_registered()
            print(f'{", ".join(fleet.names)}: up in {time.monotonic() - begin:.1f} s', flush=True)
            play = PLAY if os.isatty(1) else PLAY.replace('\\033[1m', '').replace('\\033[0m', '')
            with fleet.popen(HOST, ['/bin/bash', '-c', f'cd\n{play}', 'bash', *arguments.command], stdin=subprocess.DEVNULL) as process:
                status = process.wait()
            if arguments.shell and os.isatty(0):
                print(f"\nA shell on {HOST}, where README's commands can be typed. Everything is taken down when you leave it (Ctrl-D).",
                      flush=True)
                fleet.shell(argv=('/bin/bash', '-c', 'cd; exec bash -l'))
            return status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
