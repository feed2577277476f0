# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl watch: what it prints of each change, and how long it lasts."""

import contextlib
import json
import re
import signal

import grpc

from ctl_fake import TIMEOUT, Ctl, Lines, item, running, serving


def test_watch(ctl, fake):
    with running(ctl.start("watch")) as process:
        lines = Lines(process.stdout)
        assert fake.entered.wait(TIMEOUT)
        fake.change(Added=item("new.service", status="PoweredOff"))
        assert re.fullmatch(r"\d+-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  added    new.service +net-vm +PoweredOff", lines.next())
        fake.change(Updated=item("new.service", Online=False))
        assert re.search(r"  changed  new.service +net-vm +Running +offline$", lines.next())
        fake.change(Updated=item("new.service", Online=False, Since=5))
        fake.change(Removed=item("new.service"))
        assert "removed" in lines.next()
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130
        assert lines.next() is None
        assert fake.cancelled.wait(TIMEOUT)


def test_watch_as_json(ctl, fake):
    with running(ctl.start("watch", "--as-json", "--initial", "--limit", "3", called="givc-cli")) as process:
        lines = Lines(process.stdout)
        first, second = json.loads(lines.next()), json.loads(lines.next())
        assert first["UnitRegistered"]["name"] == "demo.service"
        assert set(first["UnitRegistered"]) == {
            "name", "description", "status", "trust_level", "vm_type", "service_type", "vm_name", "agent_name",
        }  # fmt: skip
        assert second["UnitRegistered"]["name"] == "givc-net-vm.service"
        for event, name in (("Added", "UnitRegistered"), ("Updated", "UnitStatusChanged"), ("Removed", "UnitShutdown")):
            fake.change(**{event: item("new.service", status=event)})
            assert json.loads(lines.next())[name]["status"] == event
        assert process.wait(TIMEOUT) == 0


def test_watch_by_scripts_prints_as_they_know_it(ctl, fake):
    with running(ctl.start("watch", "--initial", "--limit", "1", called="givc-cli")) as process:
        lines = Lines(process.stdout)
        assert [lines.next() for _ in range(3)] == ["[", "    QueryResult {", '        name: "demo.service",']
        fake.change(Removed=item("demo.service"))
        assert process.wait(TIMEOUT) == 0
        rest = "\n".join(iter(lines.next, None))
        assert "]\nUnitShutdown(\n    QueryResult {\n" in rest and rest.endswith("    },\n)")


def test_watch_of_an_admin_that_comes_back(program, handlers, certs, fake):
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    with first, second:
        port = first.enter_context(serving(handlers, certs / "admin-vm"))
        with running(Ctl(program, port, certs / "me").start("watch", "--json")) as process:
            lines, errors = Lines(process.stdout), Lines(process.stderr)
            fake.change(Added=item("new.service"))
            assert "UnitRegistered" in lines.next()
            first.close()
            assert re.match("givcctl: cannot watch the registry: .*; trying again", errors.next())
            fake.items = [item("demo.service", status="Paused"), item("other.service")]
            second.enter_context(serving(handlers, certs / "admin-vm", f"127.0.0.1:{port}"))
            told = sorted(lines.next() for _ in range(4))
            assert [re.match(r'{"(\w+)":{"name":"([^"]*)"', line).groups() for line in told] == [
                ("UnitRegistered", "other.service"),
                ("UnitShutdown", "givc-net-vm.service"),
                ("UnitShutdown", "new.service"),
                ("UnitStatusChanged", "demo.service"),
            ]
            assert re.match("givcctl: admin-vm at .* answers again", errors.next())
            fake.change(Removed=item("other.service"))
            assert "UnitShutdown" in lines.next()
            assert lines.is_empty()


def test_watch_that_the_server_ends(ctl, fake):
    with running(ctl.start("watch")) as process:
        errors = Lines(process.stderr)
        fake.events.put(None)
        assert errors.next() == "givcctl: cannot watch the registry: the server has ended the call; trying again"
        assert "answers again" in errors.next()


def test_watch_by_scripts_ends_with_the_connection(ctl, fake):
    with running(ctl.start("watch", called="givc-cli")) as process:
        fake.events.put(None)
        assert process.wait(TIMEOUT) == 1


def test_watch_not_permitted(ctl, fake):
    fake.fail = (grpc.StatusCode.PERMISSION_DENIED, "no", None)
    assert "cannot watch the registry: PERMISSION_DENIED: no" in ctl("watch", code=4)[1]


def test_watch_that_nobody_reads(ctl, fake):
    with running(ctl.start("watch")) as process:
        assert fake.entered.wait(TIMEOUT)
        process.stdout.close()
        assert process.wait(TIMEOUT) == 1
