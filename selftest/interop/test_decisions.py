# SPDX-License-Identifier: GPL-2.0-or-later
"""AccessService.WatchDecisions of givc-admin: what its rules decide, as it happens."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time

import grpc
import pytest

from admin_fleet import APPVM, TIMEOUT, Admin, Agent, Empty, Watcher, pb
from patience import SLOWNESS
from test_access import ServiceRequest, StartVMRequest, admin, certificates, denial, rules  # noqa: F401 (fixtures)

Wish = pb.msg("access.WatchDecisionsRequest")
Item = pb.msg("access.WatchDecisionsItem")
Decision = pb.msg("access.Decision")
TOLD = pb.enum("access.Untold.Told")
MORE_RULES = """
permit (principal == Source::"gui-vm", action == Command::"WatchDecisions", resource == Module::"access");
permit (principal == Source::"app-vm", action == Command::"WatchDecisions", resource == Module::"access")
unless { context has "Permits" };
permit (principal == Source::"net-vm", action == Command::"RegisterService", resource == Module::"admin");
"""


@pytest.fixture(autouse=True)
def more_rules(rules):  # noqa: F811
    rules.write_text(rules.read_text() + MORE_RULES)


class Decisions:
    """A watch of decisions; sources come first."""

    def __init__(self, admin, who="gui-vm", **wish):  # noqa: F811
        self._items = queue.Queue()
        self._channel = admin.channel(who)
        self._call = pb.stub(self._channel, "access.AccessService").WatchDecisions(Wish(**wish))
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, kind):
        """The next item, which is of that kind."""
        found, item = self._items.get(timeout=TIMEOUT)
        assert found == kind, item
        return item

    def source(self):
        source = self.next("Source")
        return source.VmName, source.Daemon, source.Followed, source.Reason

    def decision(self):
        return self.next("Decision")

    def end(self):
        return self.next("end").code()

    def close(self):
        self._channel.close()

    def _read(self):
        try:
            for item in self._call:
                kind = item.WhichOneof("Item")
                self._items.put((kind, getattr(item, kind)))
        except grpc.RpcError as error:
            self._items.put(("end", error))


def look(admin, who="gui-vm"):  # noqa: F811
    admin.stub(who).QueryList(Empty(), timeout=TIMEOUT)


ADMIN = ("admin-vm", "givc-admin", True, "")


def test_denials_are_told_and_permits_when_asked_for(admin):  # noqa: F811
    denials, all_of_them = Decisions(admin), Decisions(admin, Permits=True)
    assert denials.source() == all_of_them.source() == ADMIN
    stub = admin.stub()
    stub.QueryList(Empty(), timeout=TIMEOUT)
    denial(stub.StopService, ServiceRequest(VmName="hidden-vm", ServiceName="clock.service"))
    denial(stub.Poweroff)

    first, second = denials.decision(), denials.decision()
    assert (first.Allowed, first.Peer, first.Method, first.Resource) == (False, "gui-vm", "admin.AdminService/StopService", "admin")
    assert not first.HasField("Rule") and first.Reason.startswith("no rule permits it; policy2 at rules.cedar:4 would, when ")
    assert (first.VmName, first.Daemon) == ("admin-vm", "givc-admin") and first.TimeUsec > 0
    assert b"hidden-vm" not in first.SerializeToString()
    assert (second.Rule.Id, second.Rule.Name, second.Rule.Line) == ("policy3", "never", 7)

    permitted = all_of_them.decision()
    while permitted.Method.endswith("/WatchDecisions"):  # the other watch may have come after this one
        permitted = all_of_them.decision()
    assert (permitted.Allowed, permitted.Method, permitted.Rule.Id) == (True, "admin.AdminService/QueryList", "policy1")
    assert not permitted.Reason
    assert [all_of_them.decision().Method for _ in range(2)] == [first.Method, second.Method]


def test_who_may_watch_what_is_for_the_rules_to_say(admin):  # noqa: F811
    assert Decisions(admin, "net-vm").end() == grpc.StatusCode.PERMISSION_DENIED
    assert Decisions(admin, "app-vm", Permits=True).end() == grpc.StatusCode.PERMISSION_DENIED
    watch = Decisions(admin, "app-vm")
    watch.source()
    denial(admin.stub().Poweroff)
    assert watch.decision().Peer == "gui-vm"


def test_who_may_not_watch_any_more_is_told_so(admin, rules):  # noqa: F811
    before = rules.read_text()
    watches = {who: Decisions(admin, who) for who in ("gui-vm", "app-vm")}
    for watch in watches.values():
        watch.source()
    rules.write_text(before.replace('Source::"app-vm", action == Command::"WatchDecisions"', 'Source::"x", action'))
    decision = watches["gui-vm"].decision()
    assert (decision.Peer, decision.Method) == ("app-vm", "access.AccessService/WatchDecisions")
    while (item := watches["app-vm"]._items.get(timeout=TIMEOUT))[0] != "end":
        pass
    assert item[1].code() == grpc.StatusCode.PERMISSION_DENIED
    denial(admin.stub().Poweroff)
    assert watches["gui-vm"].decision().Peer == "gui-vm"


@pytest.mark.skipif(SLOWNESS > 1, reason="so many calls take longer under valgrind than their limit counts")
def test_permits_that_are_watched_do_not_get_into_the_journal(admin):  # noqa: F811
    watch = Decisions(admin, Permits=True)
    watch.source()
    for _ in range(310):
        look(admin)
    for _ in range(300):
        assert watch.decision().Allowed
    denial(admin.stub().Poweroff)  # is within limits of its own
    assert watch.decision().Method == "admin.AdminService/Poweroff"
    assert "Permitted" not in admin.log


def test_a_flood_is_told_as_far_as_it_is_logged(admin):  # noqa: F811
    watch = Decisions(admin)
    watch.source()
    stub = admin.stub()
    for _ in range(310):
        denial(stub.Poweroff)
    denial(admin.stub("app-vm").Poweroff)
    peers = [watch.decision().Peer for _ in range(301)]
    assert peers == ["gui-vm"] * 300 + ["app-vm"]


def test_who_does_not_read_is_cut_off_and_others_are_not(certificates, tmp_path):  # noqa: F811
    deep = tmp_path
    for _ in range(10):
        deep = deep / ("d" * 200)
    deep.mkdir(parents=True)
    (deep / "rules.cedar").write_text('@id("%s") forbid (principal, action == Command::"Poweroff", resource);' % ("i" * 200) + MORE_RULES)
    with Admin(certificates, tmp_path, {"ACCESS_CONTROL": "true", "CEDAR_FILE": str(deep / "rules.cedar")}) as admin:  # noqa: F811
        slow = pb.stub(admin.channel("app-vm"), "access.AccessService").WatchDecisions(Wish(), timeout=TIMEOUT)
        next(slow)
        watch = Decisions(admin)
        watch.source()
        for who in ("gui-vm", "net-vm"):
            stub = admin.stub(who)
            for _ in range(300):
                denial(stub.Poweroff)
                assert watch.decision().Peer == who
        with pytest.raises(grpc.RpcError) as caught:
            for _ in slow:
                pass
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_watches_of_one_peer_are_bounded(admin):  # noqa: F811
    watches = [Decisions(admin) for _ in range(16)]
    for watch in watches:
        assert watch.source() == ADMIN
    assert Decisions(admin).end() == grpc.StatusCode.RESOURCE_EXHAUSTED
    other = Decisions(admin, "app-vm")
    assert other.source() == ADMIN
    watches[0].close()
    denial(admin.stub("app-vm").Poweroff)
    for watch in [*watches[1:], other]:
        assert watch.decision().Peer == "app-vm"


def test_stopping_ends_it(certificates, tmp_path, rules):  # noqa: F811
    with Admin(certificates, tmp_path, {"ACCESS_CONTROL": "true", "CEDAR_FILE": str(rules)}) as admin:  # noqa: F811
        watch = Decisions(admin)
        watch.source()
        assert admin.stop() == 0
        assert watch.end() == grpc.StatusCode.UNAVAILABLE


class Teller:
    """AccessService of an agent, which tells those who watch, or whoever will be first, what a test has it tell."""

    def __init__(self, refusal=None, off=""):
        self.asked = queue.Queue()  # "denials", "permits", and "end" when one has ended
        self.refusal = refusal
        self._off = off  # why it tells of refusals alone
        self._lock = threading.Lock()
        self._streams = {"denials": [], "permits": []}
        self._early = {"denials": [], "permits": []}

    def WatchDecisions(self, request, context):
        kind, items = "permits" if request.Permits else "denials", queue.Queue()
        self.asked.put(kind)
        context.add_callback(lambda: self._end(kind, items))
        if self.refusal:
            context.abort(*self.refusal)
        items.put(Item(Source=pb.msg("access.DecisionSource")(VmName="elsewhere", Followed=not self._off, Reason=self._off)))
        with self._lock:
            for item in self._early[kind]:
                items.put(item)
            self._early[kind] = []
            self._streams[kind].append(items)
        return iter(items.get, None)

    def deny(self, **fields):
        decision = Decision(VmName="elsewhere", Daemon="forged", Peer="net-vm", Method="systemd.UnitControlService/StartUnit", **fields)
        self._tell("denials", decision)
        self._tell("permits", decision)  # an agent tells both

    def permit(self):
        self._tell("permits", Decision(Allowed=True, Peer="net-vm", Method="systemd.UnitControlService/StopUnit"))

    def refuse(self, **fields):
        self._tell_item("denials", Item(Refusal=pb.msg("access.Refusal")(VmName="elsewhere", Daemon="forged", **fields)))

    def leave_untold(self, kind, **fields):
        item = Item(Untold=pb.msg("access.Untold")(VmName="elsewhere", Daemon="forged", Kind=TOLD[kind], **fields))
        for stream in ("denials", "permits"):  # an agent tells both
            self._tell_item(stream, item)

    def _tell(self, kind, decision):
        self._tell_item(kind, Item(Decision=decision))

    def _tell_item(self, kind, item):
        with self._lock:
            for items in self._streams[kind]:
                items.put(item)
            if not self._streams[kind]:
                self._early[kind].append(item)

    def _end(self, kind, items):
        with self._lock:
            self._streams[kind] = [other for other in self._streams[kind] if other is not items]
        items.put(None)
        self.asked.put("end")

    def expect(self, what):
        assert self.asked.get(timeout=TIMEOUT) == what


@contextlib.contextmanager
def registered(admin, certificates, vm, **services):  # noqa: F811
    """An agent that is online; its AccessService is given, or it has none."""
    watcher = Watcher(admin)
    with Agent(certificates, vm, services={f"access.{name}": service for name, service in services.items()}) as agent:
        agent.register(admin, APPVM)
        watcher.expect_entry(agent.name, Online=True)
        yield agent
    watcher.close()


def test_the_admin_tells_of_the_whole_fleet(admin, certificates):  # noqa: F811
    teller = Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller) as agent:
        watch = Decisions(admin)
        assert (watch.source(), watch.source()) == (ADMIN, ("app-vm", "givc-agent", True, ""))
        teller.expect("denials")
        teller.deny(Reason="no rule permits it", Rule=pb.msg("access.Policy")(Id="policy1"))
        told = watch.decision()
        assert (told.VmName, told.Daemon, told.Peer, told.Reason) == ("app-vm", "givc-agent", "net-vm", "no rule permits it")
        assert told.Rule.Id == "policy1"
        denial(admin.stub().Poweroff)
        assert watch.decision().VmName == "admin-vm"
        assert teller.asked.empty()  # nobody has asked for permits

        second = Decisions(admin, Permits=True)
        assert {second.source()[0], second.source()[0]} == {"admin-vm", "app-vm"}
        teller.expect("permits")
        teller.permit()
        permitted = second.decision()
        while permitted.VmName != "app-vm":
            permitted = second.decision()
        assert permitted.Allowed and permitted.Method.endswith("/StopUnit")
        teller.deny()
        assert not watch.decision().Allowed  # and no permit before it
        assert not second.decision().Allowed  # once, though the agent told it twice
        second.close()
        teller.expect("end")  # of the permits alone
        teller.deny()
        assert watch.decision().VmName == "app-vm"

        agent.vanish()
        teller.expect("end")
        vm, _, followed, reason = watch.source()
        assert (vm, followed) == ("app-vm", False) and reason
        agent.serve()
        assert watch.source() == ("app-vm", "givc-agent", True, "")
        teller.expect("denials")
        watch.close()
        teller.expect("end")  # as nobody watches


def test_one_vm_alone_can_be_watched(admin, certificates):  # noqa: F811
    teller, other = Teller(), Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller):
        with registered(admin, certificates, "net-vm", AccessService=other):
            watch = Decisions(admin, VmName="app-vm")
            assert watch.source() == ("app-vm", "givc-agent", True, "")
            denial(admin.stub().Poweroff)
            teller.deny()
            assert watch.decision().VmName == "app-vm"
            assert other.asked.empty()
            of_admin = Decisions(admin, VmName="admin-vm")
            assert of_admin.source() == ADMIN
    assert Decisions(admin, VmName="no-vm").end() == grpc.StatusCode.NOT_FOUND
    assert Decisions(admin, VmName="no vm").end() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "refusal, said",
    [
        (None, "it is older than this, and does not tell"),
        ((grpc.StatusCode.FAILED_PRECONDITION, "access control is off"), "access control is off"),
        ((grpc.StatusCode.PERMISSION_DENIED, "no rule permits it"), "no rule permits it"),
    ],
)
def test_an_agent_that_does_not_tell_is_told_of_and_skipped(admin, certificates, refusal, said):  # noqa: F811
    services = {"AccessService": Teller(refusal)} if refusal else {}
    with registered(admin, certificates, "app-vm", **services):
        watch = Decisions(admin)
        assert (watch.source(), watch.source()) == (ADMIN, ("app-vm", "givc-agent", False, said))
        denial(admin.stub().Poweroff)
        assert watch.decision().VmName == "admin-vm"
        later = Decisions(admin)
        assert (later.source(), later.source()) == (ADMIN, ("app-vm", "givc-agent", False, said))


def test_an_agent_that_refused_is_asked_again_with_the_next_watcher(admin, certificates):  # noqa: F811
    teller = Teller((grpc.StatusCode.PERMISSION_DENIED, "no rule permits it"))
    with registered(admin, certificates, "app-vm", AccessService=teller):
        watch = Decisions(admin)
        assert (watch.source(), watch.source()[2]) == (ADMIN, False)
        teller.refusal = None
        second = Decisions(admin)
        assert (second.source(), second.source()[2]) == (ADMIN, False)
        assert watch.source() == second.source() == ("app-vm", "givc-agent", True, "")


def test_an_agent_that_is_away_is_followed_when_it_comes(admin, certificates):  # noqa: F811
    watch = Decisions(admin)
    assert watch.source() == ADMIN
    teller = Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller) as agent:
        assert watch.source() == ("app-vm", "givc-agent", True, "")
        agent.vanish()
        assert watch.source()[:3] == ("app-vm", "givc-agent", False)
        later = Decisions(admin)
        assert (later.source(), later.source()[:3]) == (ADMIN, ("app-vm", "givc-agent", False))


def test_an_agent_that_tells_nonsense_is_not_followed(admin, certificates):  # noqa: F811
    teller = Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller):
        watch = Decisions(admin)
        assert (watch.source(), watch.source()) == (ADMIN, ("app-vm", "givc-agent", True, ""))
        teller.deny(Reason="x" * 20000)
        vm, _, followed, reason = watch.source()
        assert (vm, followed) == ("app-vm", False) and "larger" in reason
        denial(admin.stub().Poweroff)
        assert watch.decision().VmName == "admin-vm"


def test_an_agent_that_floods_is_slowed_down(admin, certificates):  # noqa: F811
    teller = Teller()
    for i in range(1000):
        teller.deny(TimeUsec=i)
    with registered(admin, certificates, "app-vm", AccessService=teller):
        watch = Decisions(admin)
        assert (watch.source(), watch.source()) == (ADMIN, ("app-vm", "givc-agent", True, ""))
        assert [watch.decision().TimeUsec for _ in range(49)] == list(range(49))
        begin = time.monotonic()
        denial(admin.stub().Poweroff)
        while watch.decision().VmName != "admin-vm":
            pass
        assert time.monotonic() - begin < 2 * SLOWNESS
        assert [watch.decision() for _ in range(60)]
        assert time.monotonic() - begin > 0.5


def test_a_fleet_is_watched_without_rules_of_the_admin(certificates, tmp_path):  # noqa: F811
    with Admin(certificates, tmp_path) as admin:  # noqa: F811
        with registered(admin, certificates, "app-vm", AccessService=Teller()):
            watch = Decisions(admin)
            off = "access control is off: whoever can connect may make every call"
            assert watch.source() == ("admin-vm", "givc-admin", False, off)
            assert watch.source() == ("app-vm", "givc-agent", True, "")


class Log:
    """givcctl auth log, as gui-vm."""

    def __init__(self, admin, certificates, *arguments):  # noqa: F811
        member = certificates / "gui-vm"
        options = ["--addr=127.0.0.1", f"--port={admin.port}"]
        options += [f"--cacert={member}/ca-cert.pem", f"--cert={member}/cert.pem", f"--key={member}/key.pem"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIVC_")}
        command = [os.environ["GIVCCTL"], *options, "auth", "log", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, text=True, env={**environment, "TZ": "UTC"}, **pipes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def line(self):
        return self._process.stdout.readline()

    def object(self):
        return json.loads(self.line())

    def error(self):
        return self._process.stderr.readline()

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(TIMEOUT)

    def end(self):
        return self._process.wait(TIMEOUT)


def test_givcctl_shows_them_a_line_each(admin, certificates):  # noqa: F811
    teller = Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller):
        with Log(admin, certificates) as log:
            assert log.error() == "admin-vm givc-admin is followed\n"
            assert log.error() == "app-vm givc-agent is followed\n"
            denial(admin.stub().Poweroff)
            assert re.fullmatch(
                r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d admin-vm givc-admin: denied admin.AdminService/Poweroff for gui-vm: "
                r"policy3 \(never\) at rules.cedar:7 forbids it\n",
                log.line(),
            )
            teller.deny(Reason="\033[1mbad")
            said = log.line()
            assert said.endswith("for net-vm: \\x1b[1mbad\n")
            assert log.interrupt() == 130
        with Log(admin, certificates, "--permits", "--limit=1", "--vm=app-vm") as log:
            assert log.error() == "app-vm givc-agent is followed\n"
            teller.permit()
            assert "permitted systemd.UnitControlService/StopUnit for net-vm" in log.line()
            assert log.end() == 0


def test_givcctl_outlasts_the_admin(admin, certificates):  # noqa: F811
    with Log(admin, certificates) as log:
        assert log.error() == "admin-vm givc-admin is followed\n"
        admin.kill()
        assert "trying again" in log.error()
        admin.start()
        assert "answers again" in log.error()
        assert log.error() == "admin-vm givc-admin is followed\n"
        denial(admin.stub().Poweroff)
        assert "admin.AdminService/Poweroff for gui-vm" in log.line()


def test_givcctl_prints_them_as_json(admin, certificates):  # noqa: F811
    with registered(admin, certificates, "app-vm"):
        with Log(admin, certificates, "--json") as log:
            assert log.object() == {"vm": "admin-vm", "daemon": "givc-admin", "followed": True, "reason": ""}
            source = log.object()
            assert (source["vm"], source["followed"]) == ("app-vm", False) and "older" in source["reason"]
            denial(admin.stub().StartVM, StartVMRequest(VmName="app-vm"))
            denial(admin.stub().Poweroff)
            first, second = log.object(), log.object()
            assert first["time"] > 0 and first["rule"] is None and first["reason"].startswith("no rule permits it")
            assert (first["decision"], first["peer"], first["method"]) == ("deny", "gui-vm", "admin.AdminService/StartVM")
            assert (second["rule"]["id"], second["rule"]["name"], second["rule"]["line"]) == ("policy3", "never", 7)
            assert (second["vm"], second["resource"]) == ("admin-vm", "admin")


def test_givcctl_says_what_it_may_not_follow(admin, certificates):  # noqa: F811
    with Log(admin, certificates, "--vm=no-vm") as log:
        assert "cannot follow what is decided" in log.error()
        assert log.end() == 3
