# SPDX-License-Identifier: GPL-2.0-or-later
"""AccessService.WatchDecisions of givc-admin: what its rules decide, as it happens."""

import queue
import threading

import grpc
import pytest

from admin_fleet import TIMEOUT, Admin, Empty, pb
from test_access import ServiceRequest, StartVMRequest, admin, certificates, denial, rules  # noqa: F401 (fixtures)

Wish = pb.msg("access.WatchDecisionsRequest")
MORE_RULES = """
permit (principal == Source::"gui-vm", action == Command::"WatchDecisions", resource == Module::"access");
permit (principal == Source::"app-vm", action == Command::"WatchDecisions", resource == Module::"access")
unless { context has "Permits" };
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
    assert (first.VmName, first.Daemon, first.Untold) == ("admin-vm", "givc-admin", 0) and first.TimeUsec > 0
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
