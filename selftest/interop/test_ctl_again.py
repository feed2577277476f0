#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl's calls that go on until something happens: they outlast the connection."""

import contextlib
import queue
import re

import grpc
import pytest

from ctl_fake import TIMEOUT, Ctl, FakeFleet, Lines, item, pb, running, serving

LogEntry = pb.msg("logs.LogEntry")


@pytest.fixture
def interrupted(program, handlers, certs):
    """A function that starts givcctl, and gives it and what it says on standard error; one that takes its server away, and
    one that brings another one."""
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    with first, second:
        port = first.enter_context(serving(handlers, certs / "admin-vm"))

        def come_back():
            second.enter_context(serving(handlers, certs / "admin-vm", f"127.0.0.1:{port}"))

        yield Ctl(program, port, certs / "me"), first.close, come_back


def test_wait(interrupted, fleet):
    ctl, go, come_back = interrupted
    with running(ctl.start("wait", "net-vm/a")) as process:
        errors = Lines(process.stderr)
        fleet.states.put("inactive")
        fleet.states.put("activating")
        while not fleet.states.empty():
            assert process.poll() is None
        go()
        assert re.match("givcctl: cannot wait for a.service on net-vm: .*; trying again", errors.next())
        come_back()
        fleet.states.put("active")
        fleet.states.put("active")  # the call of before may take one
        assert process.wait(TIMEOUT) == 0
        assert re.match("givcctl: admin-vm at .* answers again", errors.next())
    assert len(fleet.requests) == 2


def test_wait_has_one_deadline(interrupted, fleet):
    ctl, go, _ = interrupted
    with running(ctl.start("wait", "net-vm/a", "--timeout=2s")) as process:
        errors = Lines(process.stderr)
        fleet.states.put("inactive")
        while not fleet.states.empty():
            assert process.poll() is None
        go()
        assert "trying again" in errors.next()
        assert process.wait(TIMEOUT) == 6


def test_is_online(interrupted, fake):
    ctl, go, come_back = interrupted
    with running(ctl.start("is-online", "net-vm", "--monitor")) as process:
        lines, errors = Lines(process.stdout), Lines(process.stderr)
        assert lines.next() == "online"
        go()
        assert "trying again" in errors.next()
        fake.items = [item("givc-net-vm.service", kind="Mgr", Online=False)]
        come_back()
        assert lines.next() == "offline"


class Journal(FakeFleet):
    """Whose streams give out what a test puts into a queue: entries, and codes to end with."""

    def ReadLogs(self, request, context):
        self.requests.append(request)
        context.send_initial_metadata(())
        while context.is_active():
            try:
                said = self.states.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(said, grpc.StatusCode):
                context.abort(said, "as asked for")
            yield said


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def following(program, fake, journal, certs):
    handlers = pb.handler("admin.AdminService", fake), pb.handler("admin.FleetService", journal)
    with serving(handlers, certs / "admin-vm") as port:
        with running(Ctl(program, port, certs / "me").start("logs", "-f", "-n5", "--vm=net-vm")) as process:
            yield Lines(process.stdout), Lines(process.stderr)


def entry(text, cursor):
    return LogEntry(Cursor=cursor, RealtimeUsec=1_700_000_000_000_000, Priority=6, Identifier="demo", Message=text)


def test_logs_go_on_where_they_were(following, journal):
    lines, errors = following
    journal.states.put(grpc.StatusCode.UNAVAILABLE)
    assert "cannot read the journal of net-vm: as asked for; trying again" in errors.next()
    journal.states.put(entry("first", "c1"))
    journal.states.put(entry("second", "c2"))
    assert lines.next().endswith("first")
    assert lines.next().endswith("second")
    journal.states.put(grpc.StatusCode.UNAVAILABLE)
    assert "answers again" in errors.next()
    assert "trying again" in errors.next()
    journal.states.put(entry("third", "c3"))
    assert lines.next().endswith("third")
    sent = [(message.Request.Cursor, message.Request.Lines) for message in journal.requests]
    assert sent == [("", 5), ("", 5), ("c2", 0)]


def test_logs_of_a_journal_that_is_gone(following, journal):
    lines, errors = following
    journal.states.put(entry("first", "c1"))
    assert lines.next().endswith("first")
    journal.states.put(grpc.StatusCode.OUT_OF_RANGE)
    assert "the journal of net-vm is another one now" in errors.next()
    journal.states.put(entry("second", "d1"))
    assert lines.next().endswith("second")
    sent = journal.requests[1].Request
    assert (sent.Cursor, sent.SinceUsec) == ("", 1_700_000_000_000_001)


def test_logs_not_permitted(following, journal):
    _, errors = following
    journal.states.put(grpc.StatusCode.PERMISSION_DENIED)
    assert "cannot read the journal of net-vm: PERMISSION_DENIED" in errors.next()
