# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl on a terminal: colours, widths, what is drawn over itself, and what of a VM does not get there."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios

import pytest

from ctl_fake import AGENT, TIMEOUT, item, running


def on_terminal(ctl, *arguments, columns=80, env=None):
    """What it prints on a terminal that is so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    process = ctl.start(*arguments, stdout=theirs, env={"TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})})
    os.close(theirs)
    out = b""
    with running(process):
        with contextlib.suppress(OSError):  # EIO: all have closed it
            while data := os.read(ours, 65536):
                out += data
        assert process.wait(TIMEOUT) == 0
    os.close(ours)
    return out.decode().replace("\r\n", "\n")


def test_colours(ctl):
    assert "\033[32m" in on_terminal(ctl, "query")
    assert "\033" not in on_terminal(ctl, "query", env={"NO_COLOR": "1"})
    assert "\033" not in on_terminal(ctl, "query", env={"TERM": "dumb"})


@pytest.mark.parametrize("columns", [80, 100])
def test_a_table_fits_the_columns_that_are_said(ctl, fake, columns):
    fake.items = [item(f"{'long' * 9}-{i}.service") for i in range(3)]
    out = on_terminal(ctl, "query", env={"NO_COLOR": "1", "COLUMNS": str(columns)})
    lines = out.splitlines()
    assert len(lines) == 4 and max(map(len, lines)) <= columns, out


def test_nothing_of_a_vm_reaches_the_terminal(ctl, fake):
    fake.items = [item("evil\033]0;gotcha\a\x9b31m.service")]
    for arguments in (["query"], ["query", "--json"], ["watch", "--initial", "--limit=1"]):
        if arguments[0] == "watch":
            fake.change(Removed=fake.items[0])
        out = on_terminal(ctl, *arguments, env={"NO_COLOR": "1"})
        assert "evil" in out
        assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f]", out)


@pytest.mark.parametrize("locale", ["de_DE.ISO-8859-1", "C.UTF-8", "C"])
def test_a_terminal_of_another_character_set_gets_no_part_of_a_character(ctl, fake, fleet, locale):
    """To it the second byte of U+00DB is a control, CSI. Who has set no locale has none such."""
    shown = locale != "de_DE.ISO-8859-1"
    fake.items = [AGENT]
    fleet.detail.Status.Description = fleet.journal[0].Message = "\u00db31m"
    for arguments in (["status", "net-vm/demo"], ["logs", "net-vm"]):
        out = on_terminal(ctl, *arguments, env={"LC_ALL": locale})
        assert ("\u00db31m" if shown else "\\xc3\\x9b31m") in out and out.isascii() != shown


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("arguments", [["list-units", "net-vm"], ["top", "--limit=1"], ["query"]], ids=" ".join)
def test_a_table_keeps_its_lines_on_a_narrow_terminal(ctl, fake, fleet, columns, arguments):
    fake.items = [AGENT, item("a-name-as-long-as-those-that-there-are.service")]
    fleet.detail.Status.Name = "a-name-as-long-as-those-that-there-are.service"
    fleet.detail.Status.Description = "What it is, with more words than it takes to say so"
    lines = on_terminal(ctl, *arguments, columns=columns).splitlines()
    assert len(lines) == (3 if arguments == ["query"] else 2)
    assert max(len(re.sub("\033\\[[0-9;]*[A-Za-z]", "", line)) for line in lines) <= columns


def test_top_is_drawn_over_itself_on_a_terminal(ctl, fake):
    fake.items = [AGENT]
    master, slave = pty.openpty()
    try:
        with running(ctl.start("top", "--interval=200ms", stdout=slave)) as process:
            os.close(slave)
            seen = b""
            while seen.count(b"\033[H\033[J") < 2:
                assert select.select([master], [], [], TIMEOUT)[0]
                seen += os.read(master, 4096)
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
    finally:
        os.close(master)
