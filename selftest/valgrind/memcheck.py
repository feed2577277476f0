# SPDX-License-Identifier: GPL-2.0-or-later
"""valgrind's memcheck over programs of ours: how they are run under it, and what it has said of them."""
import glob
import os
import re
import shlex
import stat

SUPPRESSIONS = f'{os.path.dirname(os.path.abspath(__file__))}/suppressions'
OPTIONS = ['--quiet', '--tool=memcheck', '--num-callers=30', '--leak-check=full', '--show-leak-kinds=definite',
           '--errors-for-leak-kinds=definite', '--error-exitcode=99', '--vgdb=no']
# What is not ours is started as it is: what the machine brings, and scripts, of which it would look at the interpreter.
CHILDREN = ['--trace-children=yes',
            '--trace-children-skip=/bin/*,/sbin/*,/lib/*,/usr/bin/*,/usr/sbin/*,/usr/lib/*,*/contrib/*,*/natively']


def command(directory, suppressions=SUPPRESSIONS):
    """What stands before a program. Each process of it leaves a file in the directory."""
    return ['/usr/bin/valgrind', f'--log-file={directory}/%p.log', f'--suppressions={suppressions}', *OPTIONS]


def stand_in(path, program, directory, support, suppressions=SUPPRESSIONS):
    """Makes a script at path that runs the program under valgrind; wherever it is linked to, by that name. support: the
    directory where support.c and natively.c are, compiled."""
    name = os.path.basename(program)
    lines = [
        '#!/bin/sh',
        # A process may be replaced by another one, and its number is used again after a reboot.
        'read id </proc/sys/kernel/random/uuid',
        f'as={shlex.quote(program)}',
        # givcctl matters by what name it is called.
        f'if [ "${{0##*/}}" != {name} ]; then',
        f'        as={shlex.quote(directory)}/names/{name}/"${{0##*/}}"',
        f'        mkdir -p "${{as%/*}}" && ln -sfn {shlex.quote(program)} "$as"',
        'fi',
        # valgrind's own files; where the program is confined to what may not be /tmp.
        f'export TMPDIR={shlex.quote(directory)}',
        f'export {" ".join(shlex.quote(f"{k}={v}") for k, v in support_environment(support).items())}',
        f'exec {shlex.join(command(directory, suppressions)).replace("/%p.log", "/$id-%p.log")} "$as" "$@"',
    ]
    with open(path, 'w') as f:
        f.write('\n'.join(lines) + '\n')
    os.chmod(path, 0o755)


def support_environment(support):
    return {'LD_PRELOAD': f'{support}/libgivc-valgrind.so', 'GIVC_NATIVELY': f'{support}/natively'}


def is_program(path):
    if not os.path.isfile(path) or os.path.islink(path) or not os.stat(path).st_mode & stat.S_IXUSR or '.so' in path:
        return False
    with open(path, 'rb') as f:
        return f.read(4) == b'\x7fELF'


def findings(directory):
    """What has been found, as a list of texts; None, if nothing was run at all."""
    paths = sorted(glob.glob(f'{directory}/*.log'))
    texts = []
    for path in paths:
        with open(path, errors='replace') as f:
            text = f.read()
        # With --quiet, there is nothing else but warnings, of memory that is large and of system calls that it does not know.
        if re.search(r'^==\d+== (?!Warning:)', text, re.M):
            texts.append(text)
    return texts if paths else None
