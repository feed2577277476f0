# SPDX-License-Identifier: GPL-2.0-or-later
"""What bash and zsh offer of a command line that is half typed: verbs, options, and the names that are registered."""

import os
import subprocess

import pytest

from ctl_fake import TIMEOUT, item
from patience import SLOWNESS

pytestmark = pytest.mark.skipif(SLOWNESS > 1, reason="completion does not wait for givcctl as long as it takes under valgrind")

COMPLETIONS = os.path.join(os.path.dirname(__file__), "../../contrib/completions")
ENTRIES = [
    item("microvm@app-vm.service", "app-vm", "VM"),
    item("givc-net-vm.service", kind="Mgr"),
    item("demo.service"),
    item("givc-app-vm.service", "app-vm", "Mgr"),
    item("viewer@0.service", "app-vm", "App"),
    item("viewer@1.service", "app-vm", "App"),
    item("$(touch bad).service"),
    item("good.service", "$(touch bad)"),
]

BASH = r"""
. /usr/share/bash-completion/bash_completion
. "$1/bash/givcctl"
PATH=$2:$PATH
read -ra COMP_WORDS <<<"$3"
[[ $3 == *' ' ]] && COMP_WORDS+=('')
COMP_LINE=$3 COMP_POINT=${#3} COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
complete -p givcctl givc-cli >/dev/null
_givcctl
printf '%s\n' "${COMPREPLY[@]}"
"""

ZSH = r"""
autoload -Uz compinit; compinit -D -u
zmodload zsh/zpty
zpty session zsh -f -i
settings="bindkey '^I' complete-word; zstyle ':completion:*' list-colors ''; LISTMAX=1000; setopt nolistbeep zle"
zpty -w session "PS1= ; autoload -Uz compinit; fpath=($1/zsh \$fpath); path=($2 \$path); compinit -D -u; $settings; echo ready"
zpty -r session line "*ready*"
zpty -r session line "*ready*"
zpty -w -n session "$3"$'\t\t'
zpty -r -m session line "*$4*" && print -r -- "$line"
zpty -d session
"""

VMS = ["app-vm", "net-vm"]
BOTH = [
    ("givcctl is-on", ["is-online"]),
    ("givcctl wifi disc", ["disconnect"]),
    ("givcctl du", ["dump"]),
    ("givcctl is-online ", VMS),
    ("givcctl logs --vm ", VMS),
    ("givcctl logs --vm net-vm -u de", ["demo.service"]),
    ("givcctl start vm ", ["app-vm"]),
    ("givcctl start app ", ["viewer"]),
    ("givcctl stop app vi", ["viewer@", "viewer@0.service", "viewer@1.service"]),
    ("givcctl restart de", ["demo.service"]),
    ("givcctl restart net-vm/de", ["net-vm/demo.service"]),
    ("givcctl start service net-vm/", ["net-vm/demo.service", "net-vm/givc-net-vm.service"]),
    ("givcctl wait ne", ["net-vm/"]),
    ("givcctl logs app-vm/v", ["app-vm/viewer@0.service", "app-vm/viewer@1.service"]),
    ("givcctl status app-vm/v", ["app-vm/viewer@0.service", "app-vm/viewer@1.service"]),
]


def complete(ctl, shell, text, typed, *more):
    """Its result; the connection's options are typed behind the command."""
    typed = typed.replace("givcctl", " ".join(["givcctl", *map(str, ctl.options)]))
    return subprocess.run(
        ["timeout", str(TIMEOUT), *shell, "-c", text, shell[0], COMPLETIONS, ctl.program, typed, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TERM": "dumb"},
    )


@pytest.mark.parametrize(
    "typed, offered",
    BOTH
    + [
        ("givcctl wait --vm net-vm ", ["demo.service", "givc-net-vm.service"]),
        ("givcctl pause vm ", ["app-vm"]),
        ("givcctl resume ", ["app", "viewer@", "viewer@0.service", "viewer@1.service", "vm"]),
        ("givcctl get-status net-vm ", ["demo.service", "givc-net-vm.service"]),
        ("givcctl logs -p e", ["emerg", "err"]),
        ("givcctl update cachix --ca", ["--cacert", "--cache", "--cachix-host"]),
    ],
)
def test_bash(ctl, fake, typed, offered):
    fake.items = ENTRIES
    run = complete(ctl, ["bash", "--norc"], BASH, typed)
    assert sorted(run.stdout.split()) == offered, run.stderr


@pytest.mark.parametrize("typed, offered", BOTH)
def test_zsh(ctl, fake, typed, offered):
    fake.items = ENTRIES
    run = complete(ctl, ["zsh", "-f"], ZSH, typed, offered[-1])
    assert offered[-1] in run.stdout, (run.stdout, run.stderr)
