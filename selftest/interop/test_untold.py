# SPDX-License-Identifier: GPL-2.0-or-later
"""What was too much to be told of a flood: how much that was is told when its minute is over, in the journal, by
AccessService.WatchDecisions and by givcctl auth log."""

import pytest

from admin_fleet import TIMEOUT
from patience import SLOWNESS
from test_access import admin, certificates, denial, rules  # noqa: F401 (fixtures)
from test_decisions import ADMIN, TOLD, Decisions, Log, Teller, look, more_rules, registered  # noqa: F401 (a fixture among them)
from test_refusals import greet, knock, make

MINUTE = 60


def untold(watch, n):
    """The next so many that the watch tells of, whatever else it does."""
    found = []
    while len(found) < n:
        kind, item = watch._items.get(timeout=MINUTE + TIMEOUT)
        if kind == "Untold":
            assert (item.VmName, item.Daemon) == ("admin-vm", "givc-admin") and item.TimeUsec > 0
            found.append((item.Kind, item.Peer, item.Count))
    return set(found)


@pytest.mark.skipif(SLOWNESS > 1, reason="so many calls take longer under valgrind than their limit counts")
def test_a_flood_that_stops_is_told_of_when_its_minute_is_over(admin, certificates, tmp_path):  # noqa: F811
    make("--ca-dir", certificates, tmp_path / "moved", "app-vm=10.9.8.7")
    watch, denials = Decisions(admin, Refusals=True, Permits=True), Decisions(admin)
    assert watch.source() == denials.source() == ADMIN
    stub = admin.stub()
    for _ in range(302):
        denial(stub.Poweroff)
    for _ in range(303):
        look(admin)
    for _ in range(5):
        knock(admin, "127.0.0.10")
        greet(admin, "127.0.0.11", tmp_path / "moved/app-vm")
    # The second watch was permitted, too.
    decisions = (TOLD["DECISIONS"], "gui-vm", 2)
    others = {(TOLD["PERMITS"], "gui-vm", 4), (TOLD["REFUSALS"], "127.0.0.10", 2), (TOLD["REFUSALS"], "app-vm", 2)}
    assert untold(watch, 4) == {decisions, *others}
    assert untold(denials, 1) == {decisions}
    admin.expect_log("2 more decisions on calls of gui-vm were not logged.")
    admin.expect_log("2 more refused connections of 127.0.0.10 were not logged.")
    admin.expect_log("2 more refusals of certificate of app-vm were not logged.")


def test_that_of_agents_is_passed_on_under_their_names(admin, certificates):  # noqa: F811
    teller = Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller):
        watch = Decisions(admin, Refusals=True, Permits=True)
        assert {watch.source()[0], watch.source()[0]} == {"admin-vm", "app-vm"}
        denials = Decisions(admin)  # which is permitted, and so an item of watch's
        assert {denials.source()[0], denials.source()[0]} == {"admin-vm", "app-vm"}
        for kind in ("PERMITS", "REFUSALS", "DECISIONS"):
            teller.leave_untold(kind, Peer="net-vm", Count=7)
        teller.leave_untold("DECISIONS", Count=8)
        said = []
        while len(said) < 4:
            kind, item = watch._items.get(timeout=TIMEOUT)
            if kind == "Untold":
                assert (item.VmName, item.Daemon) == ("app-vm", "givc-agent")
                said.append((item.Kind, item.Peer, item.Count))
        assert sorted(said) == [(0, "", 8), (0, "net-vm", 7), (1, "net-vm", 7), (2, "net-vm", 7)]
        assert [denials.next("Untold").Count for _ in range(2)] == [7, 8]


def test_givcctl_says_so(admin, certificates):  # noqa: F811
    teller = Teller()
    with registered(admin, certificates, "app-vm", AccessService=teller):
        with Log(admin, certificates, "--vm=app-vm", "--limit=1") as log:
            log.error()
            teller.leave_untold("DECISIONS", Peer="\033[1m", Count=4294967295)
            assert log.line().endswith(" app-vm givc-agent: 4294967295 more decisions of \\x1b[1m were too many to be told\n")
            teller.leave_untold("REFUSALS", Count=7)
            assert log.line().endswith(" app-vm givc-agent: 7 more refusals of others were too many to be told\n")
            teller.deny()  # of which there is to be one
            assert "denied" in log.line()
            assert log.end() == 0
        with Log(admin, certificates, "--vm=app-vm", "--json") as log:
            assert log.object()["followed"]
            teller.leave_untold("REFUSALS", TimeUsec=5, Peer="10.0.0.7", Count=7)
            teller.leave_untold("DECISIONS", TimeUsec=6, Count=8)
            said = {"time": 5, "vm": "app-vm", "daemon": "givc-agent", "untold": 7, "of": "refusals", "peer": "10.0.0.7"}
            assert log.object() == said
            assert log.object() == {**said, "time": 6, "untold": 8, "of": "decisions", "peer": None}
