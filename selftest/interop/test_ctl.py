# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl, run as users run it, against an admin and an agent made of grpcio: what it asks for on the wire, and what it
prints of the answers."""

import json
import signal
import socket
import subprocess
import threading

import pytest

from ctl_fake import TIMEOUT, VERBS, Ctl, FakeAgent, Item, Lines, item, pb, running, serving
from patience import SLOWNESS

WIRE = [
    (["query"], "QueryList", {}),
    (["query-list"], "QueryList", {}),
    (["start", "vm", "app-vm"], "StartVM", {"VmName": "app-vm"}),
    (["start", "service", "demo.service", "--vm", "net-vm"], "StartService", {"ServiceName": "demo.service", "VmName": "net-vm"}),
    (["start", "service", "net-vm/demo"], "StartService", {"ServiceName": "demo.service", "VmName": "net-vm"}),
    (["stop", "service", "demo.service", "--vm=net-vm"], "StopService", {"ServiceName": "demo.service", "VmName": "net-vm"}),
    (["get-status", "net-vm", "demo.timer"], "GetUnitStatus", {"VmName": "net-vm", "UnitName": "demo.timer"}),
    (["reboot"], "Reboot", {}),
    (["poweroff"], "Poweroff", {}),
    (["suspend"], "Suspend", {}),
    (["list"], "QueryList", {}),
    (["start", "app", "firefox"], "StartApplication", {"AppName": "firefox"}),
    (
        ["start", "app", "--vm", "app-vm", "firefox", "--", "--new", "https://x"],
        "StartApplication",
        {"AppName": "firefox", "VmName": "app-vm", "Args": ["--new", "https://x"]},
    ),
    (["stop", "app", "firefox@0.service"], "StopApplication", {"AppName": "firefox@0.service"}),
    (["pause", "firefox@"], "PauseApplication", {"AppName": "firefox@"}),
    (["resume", "firefox@"], "ResumeApplication", {"AppName": "firefox@"}),
    (["wakeup"], "Wakeup", {}),
    (["sysinfo"], "Sysinfo", {}),
    (["set-timezone", "Europe/Helsinki"], "SetTimezone", {"Timezone": "Europe/Helsinki"}),
    (["update", "query"], "ListGenerations", {}),
    (["update", "list"], "ListGenerations", {}),
]


@pytest.mark.parametrize("called", ["givcctl", "givc-cli"])
@pytest.mark.parametrize("arguments,method,fields", WIRE, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_request(ctl, fake, called, arguments, method, fields):
    _, err = ctl(*arguments, called=called)
    assert err == ""
    [(seen, request)] = fake.requests
    assert seen == method
    assert {field.name: value for field, value in request.ListFields()} == fields
    assert 50 < fake.remaining <= 60


def test_words_for_applications(ctl, fake):
    assert ctl("pause", "app", "a@", "b@", "--vm", "app-vm")[0] in (
        "Paused a@ on app-vm.\nPaused b@ on app-vm.\n",
        "Paused b@ on app-vm.\nPaused a@ on app-vm.\n",
    )
    assert ctl("start", "app", "a")[0] == "Started a.\n"
    assert ctl("start", "app", "a", called="givc-cli")[0] == 'StartResponse { registry_id: "a@0.service" }\n'
    assert ctl("pause", "a@", called="givc-cli")[0] == ""
    assert "does not want 'x'" in ctl("stop", "app", "a", "--", "x", code=2)[1]
    assert "wants APP" in ctl("start", "app", "--", "x", code=2)[1]


def test_locale(ctl, fake):
    ctl("set-locale", "de_DE.UTF-8", "LC_TIME=C")
    [(_, request)] = fake.requests
    assert [(a.key, a.value) for a in request.assignments] == [(0, "de_DE.UTF-8"), (12, "C")]
    assert "LC_ names" in ctl("set-locale", "LC_WHAT=C", code=2)[1]
    assert "no name of a locale" in ctl("set-locale", "LANG=../x", code=2)[1]
    assert "no name of a time zone" in ctl("set-timezone", "../x", code=2)[1]
    assert len(fake.requests) == 1


def test_sysinfo(ctl):
    assert ctl("sysinfo")[0] == "Ghaf Version: 25.1\nSecure Boot: disabled\nDisk Encryption: unknown\n"
    assert json.loads(ctl("sysinfo", "--json")[0]) == {"ghaf_version": "25.1", "secure_boot": False, "disk_encrypted": None}


def test_notify(ctl, fake):
    out, _ = ctl("notify-user", "gui-vm", "--event", "E", "--title=T", "--urgency=Critical", "--icon=I", "--message=M")
    assert out == "gui-vm: Notification sent\n"
    [(_, request)] = fake.requests
    sent = request.Notification
    assert request.VmName == "gui-vm"
    assert (sent.Event, sent.Title, sent.Urgency, sent.Icon, sent.Message) == (f"[{socket.gethostname()}] E", "T", 2, "I", "M")
    assert ctl("notify-user", "gui-vm", "--urgency=what", called="givc-cli")[0] == 'Status { status: "Notification sent" }\n'
    sent = fake.requests[-1][1].Notification
    assert (sent.Urgency, sent.Title, sent.Icon, sent.Message) == (1, "Default Title", "dialog-information", "(no message)")
    assert "--urgency" in ctl("notify-user", "gui-vm", "--urgency=what", code=2)[1]


def test_update(ctl, fake):
    out, _ = ctl("update", "list")
    assert out.splitlines()[1].split() == ["7", "yes", "2026-01-02", "25.05", "6.12", "-", "/nix/store/x"]
    [generation] = json.loads(ctl("update", "query", "--json")[0])
    assert (generation["generation"], generation["date"], generation["specialisations"]) == (7, "2026-01-02", ["debug"])
    assert ctl("update", "cachix", "pin", env={"CACHIX_TOKEN": "secret"})[0] == "fetching\\x1b[31m\ndone\n"
    cachix = fake.requests[-1][1].Cachix
    assert (cachix.Pin, cachix.Cache, cachix.Token, cachix.HasField("CachixHost")) == ("pin", "ghaf-dev", "secret", False)
    ctl("update", "cachix", "--cache=c", "--token", "t", "--cachix-host", "h", "pin", env={"CACHIX_TOKEN": "secret"})
    cachix = fake.requests[-1][1].Cachix
    assert (cachix.Cache, cachix.Token, cachix.CachixHost) == ("c", "t", "h")
    assert "no such pin" in ctl("update", "cachix", "bad", code=1)[1]
    assert "without saying" in ctl("update", "cachix", "cut", code=1)[1]


def test_ctap(ctl, fake, tmp_path):
    payload = bytes(range(256)) * 30
    (tmp_path / "payload").write_bytes(payload)
    with open(tmp_path / "payload", "rb") as file:
        process = ctl.start("ctap", "u2f.Register+gui+vm", stdin=file, text=False)
        out, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0 and out == payload[::-1]
    [(_, request)] = fake.requests
    assert (request.Req, list(request.Args), request.Payload) == ("u2f.Register", ["gui+vm"], payload)


@pytest.mark.parametrize("verb", ["restart", "try-restart", "reload", "reset-failed", "kill", "freeze", "thaw"])
def test_manage(ctl, fleet, verb):
    out, _ = ctl(verb, "a", "app-vm/b.socket", "--vm", "net-vm")
    assert len(out.splitlines()) == 2
    sent = {(r.VmName, r.Request.UnitName, r.Request.Verb, r.Request.NoBlock) for r in fleet.requests}
    number = VERBS[verb.upper().replace("-", "_")]
    assert sent == {("net-vm", "a.service", number, False), ("app-vm", "b.socket", number, False)}
    detail = json.loads(ctl(verb, "a", "--vm=net-vm", "--json")[0])
    assert (detail["result"], detail["exit_code"], detail["exit_status"], detail["main_pid"]) == ("exit-code", 1, 3, 7)


def test_kill(ctl, fleet):
    ctl("kill", "net-vm/a", "-sUSR1", "--kill-whom=main")
    assert (fleet.requests[0].Request.Signal, fleet.requests[0].Request.Whom) == (signal.SIGUSR1, "main")
    assert "no signal 'NO'" in ctl("kill", "net-vm/a", "-s", "NO", code=2)[1]
    assert "--kill-whom" in ctl("kill", "net-vm/a", "--kill-whom=some", code=2)[1]
    assert len(fleet.requests) == 1


@pytest.mark.parametrize(
    "arguments,vm,unit,verb,no_block",
    [
        (["start", "service", "net-vm/a", "--no-block"], "net-vm", "a.service", "START", True),
        (["stop", "service", "net-vm/a", "--no-block"], "net-vm", "a.service", "STOP", True),
        (["restart", "net-vm/a", "--no-block"], "net-vm", "a.service", "RESTART", True),
        (["start", "vm", "app-vm", "--no-block"], "", "microvm@app-vm.service", "START", True),
        (["stop", "vm", "app-vm"], "", "microvm@app-vm.service", "STOP", False),
        (["pause", "vm", "app-vm"], "", "microvm@app-vm.service", "FREEZE", False),
        (["resume", "vm", "app-vm"], "", "microvm@app-vm.service", "THAW", False),
        (["reboot", "--no-block"], "", "reboot.target", "START", True),
        (["poweroff", "--no-block"], "", "poweroff.target", "START", True),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_through_the_fleet(ctl, fake, fleet, arguments, vm, unit, verb, no_block):
    ctl(*arguments)
    [request] = fleet.requests
    sent = request.Request
    assert (request.VmName, sent.UnitName, sent.Verb, sent.NoBlock) == (vm, unit, VERBS[verb], no_block)
    assert fake.requests == []


def test_list_units(ctl):
    out, _ = ctl("list-units", "net-vm")
    row = out.splitlines()[1]
    assert row.split()[:5] == ["demo.service", "net-vm", "loaded", "active", "running"] and "exit-code (exited, 3)" in row
    one, other = ctl("list-units", "net-vm", "app-vm")[0].split("\n\n")
    assert {table.splitlines()[1].split()[1] for table in (one, other)} == {"net-vm", "app-vm"}
    assert json.loads(ctl("list-units", "net-vm", "--json")[0])["units"][0]["since"] == 1_700_000_000_000_000


def test_wait(ctl, fleet):
    with running(ctl.start("wait", "a", "--vm=net-vm", "--for=failed,inactive")) as process:
        for state in ("activating", "active", "running"):
            fleet.states.put(state)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        fleet.states.put("failed")
        assert process.wait(TIMEOUT) == 0
    assert (fleet.requests[0].VmName, fleet.requests[0].UnitName) == ("net-vm", "a.service")


def test_wait_in_vain(ctl, fleet):
    fleet.states.put("failed")
    assert "DEADLINE_EXCEEDED: it is still failed (sub), and not active\n" in ctl("wait", "net-vm/a", f"--timeout={SLOWNESS}", code=6)[1]
    fleet.states.put(None)
    fleet.states.put(None)  # the call above may take one before it knows that it has ended
    assert "cannot wait for a.service on net-vm" in ctl("wait", "net-vm/a", code=5)[1]


def test_query_and_stats_by_scripts(ctl, fake):
    assert ctl("query", called="givc-cli")[0].startswith('[\n    QueryResult {\n        name: "demo.service",\n')
    assert ctl("get-stats", "net-vm", called="givc-cli")[0].startswith("StatsResponse { memory: Some(MemoryStats { total: 1073741824, ")
    fake.items = []
    assert ctl("query-list", called="givc-cli") == ("[]\n", "")


def test_stats(ctl, fake):
    out, _ = ctl("get-stats", "net-vm")
    assert "     Memory: 1024 MiB, 512 available" in out.splitlines()
    assert "    Busiest: bu\\x1bsy (user 1.5, system 0.5)" in out.splitlines()
    assert fake.requests[0][1].VmName == "net-vm"
    stats = json.loads(ctl("get-stats", "net-vm", "--json")[0])
    assert stats["memory"]["total"] == 1 << 30 and stats["process"]["running"] == 2 and stats["load"][0] == 0.5


def test_is_online(ctl, fake):
    assert ctl("is-online", "net-vm")[0] == "online\n"
    assert ctl("is-online", "app-vm", code=1)[0] == "not registered\n"
    fake.items = [item("givc-net-vm.service", kind="Mgr", Online=False)]
    assert ctl("is-online", "net-vm", code=1)[0] == "offline\n"
    assert json.loads(ctl("is-online", "net-vm", "--json", code=1)[0]) == {"vm": "net-vm", "online": False}
    assert "cannot wait for net-vm: DEADLINE_EXCEEDED: it is still offline, and not online\n" in ctl("is-online", "net-vm", "--wait", f"--timeout={SLOWNESS}", code=6)[1]


def test_is_online_waits(ctl, fake):
    fake.items = []
    with running(ctl.start("is-online", "net-vm", "--wait")) as process:
        assert fake.entered.wait(TIMEOUT)
        fake.change(Added=item("givc-net-vm.service", kind="Mgr", Online=False))
        for name in ("givc-net-vm.service", "demo.service", "other.service"):  # at once: it is said once all the same
            fake.change(Updated=item(name, kind="Mgr", Online=True))
        assert process.wait(TIMEOUT) == 0
        assert process.stdout.read() == "online\n"


def test_is_online_monitors(ctl, fake):
    with running(ctl.start("is-online", "net-vm", "--monitor")) as process:
        lines = Lines(process.stdout)
        assert lines.next() == "online"
        fake.change(Added=item("other.service"))
        fake.change(Updated=item("givc-net-vm.service", kind="Mgr", Online=False))
        assert lines.next() == "offline"
        fake.change(Removed=item("givc-net-vm.service", kind="Mgr", Online=False))
        assert lines.next() == "not registered"
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130


def test_logs(ctl, fleet):
    out, _ = ctl("logs", "--vm=net-vm", "-u", "demo", "-n20", "-p", "err", "--since=@5", "--until", "2026-01-02 03:04:05", env={"TZ": "UTC"})
    assert out.endswith(" demo[7]: bad\\x1b[1m\n")
    sent = fleet.requests[0].Request
    assert fleet.requests[0].VmName == "net-vm"
    assert (sent.UnitName, sent.Lines, sent.PriorityMax, sent.Follow) == ("demo.service", 20, 4, False)
    assert (sent.SinceUsec, sent.UntilUsec) == (5_000_000, 1_767_323_045_000_000)
    with running(ctl.start("logs", "--vm=net-vm", "--json", "-f")) as process:
        assert json.loads(Lines(process.stdout).next())["message"] == "bad\033[1m"
    assert (fleet.requests[1].Request.Follow, fleet.requests[1].Request.Lines) == (True, 10)
    ctl("logs", "--vm=net-vm", "--after-cursor", "s=1;i=2")
    ctl("logs", "--vm=net-vm", "--after-cursor=")
    assert [asked.Request.Cursor for asked in fleet.requests[2:]] == ["s=1;i=2", ""]
    for wrong in (["-p", "8"], ["--since", "soon"], ["-u", "a b"], ["-n", "some"], ["net-vm"], ["-u", "a", "net-vm/b"]):
        ctl("logs", "--vm=net-vm", *wrong, code=2)
    assert "--vm" in ctl("logs", code=2)[1]


def test_logs_that_there_are_not(ctl, fleet):
    fleet.journal = []
    assert ctl("logs", "net-vm/demo") == ("", "givcctl: the journal of net-vm has no such entry\n")
    assert ctl("logs", "net-vm/demo", "--json") == ctl("logs", "net-vm/demo", "-n0") == ("", "")


@pytest.mark.parametrize("arguments, unit", [(["net-vm"], ""), (["net-vm/demo"], "demo.service"), (["net-vm", "-udemo"], "demo.service"), (["-u", "net-vm/demo"], "demo.service")])
def test_logs_of(ctl, fleet, arguments, unit):
    ctl("logs", *arguments)
    assert (fleet.requests[0].VmName, fleet.requests[0].Request.UnitName) == ("net-vm", unit)


@pytest.mark.parametrize("lines, asked", [("0", (0, True)), ("all", (0, False)), ("3", (3, False))])
def test_logs_lines(ctl, fleet, lines, asked):
    ctl("logs", "net-vm", "-n", lines)
    assert (fleet.requests[0].Request.Lines, fleet.requests[0].Request.OnlyNews) == asked


def test_fleet_that_is_not_offered(program, fake, certs):
    with serving((pb.handler("admin.AdminService", fake),), certs / "admin-vm") as port:
        _, err = Ctl(program, port, certs / "me")("restart", "net-vm/a", code=1)
    assert "cannot restart a.service on net-vm: UNIMPLEMENTED" in err and "does not offer this" in err


def test_list(ctl, fake):
    fake.items.append(item("b.service", vm="app-vm", status="Paused", Online=False))
    names = lambda *arguments: [line.split()[0] for line in ctl("list", *arguments)[0].splitlines()[1:]]  # noqa: E731
    assert names() == ["b.service", "givc-net-vm.service", "demo.service"]
    assert names("--sort=name") == ["b.service", "demo.service", "givc-net-vm.service"]
    assert names("--vm", "app-vm") == ["b.service"]
    assert names("--state=paused") == ["b.service"]
    assert names("--state=online") == ["demo.service"]
    assert "--sort" in ctl("list", "--sort=size", code=2)[1]
    assert "--state" in ctl("list", "--state=good", code=2)[1]


def test_list_as_json(ctl):
    deployed = {
        "name": "demo.service",
        "description": "The demo.service",
        "status": "Running",
        "trust_level": "Secure",
        "vm_type": "SysVM",
        "service_type": "Svc",
        "vm_name": "net-vm",
        "agent_name": "givc-net-vm.service",
    }
    first, second = json.loads(ctl("query-list", "--as-json", called="givc-cli")[0])
    assert first == deployed
    assert second["name"] == "givc-net-vm.service"
    first, second = json.loads(ctl("query-list", "--json")[0])
    assert first == {**deployed, "online": True, "since": 1_700_000_000_000_000}
    assert second["online"] is None and second["since"] is None


def test_list_of_a_deployed_admin(ctl, fake):
    """An exposed unit of it has an empty VM, and nothing has liveness."""
    fake.items = [Item(Name="x.service", VmName="", AgentName="x.service"), Item(Name="y.service")]
    out, _ = ctl("query")
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "x.service", "y.service"]
    x, y = json.loads(ctl("query", "--json")[0])
    assert (x["vm_name"], y["vm_name"]) == ("", None)


def test_table(ctl):
    out, _ = ctl("query")
    head, *lines = [line.split() for line in out.splitlines()]
    assert head[:8] == ["NAME", "VM", "TYPE", "KIND", "STATUS", "TRUST", "ONLINE", "SINCE"]
    assert [line[:7] for line in lines] == [
        ["givc-net-vm.service", "net-vm", "SysVM", "Mgr", "Running", "Secure", "-"],
        ["demo.service", "net-vm", "SysVM", "Svc", "Running", "Secure", "yes"],
    ]
    assert "\033" not in out


@pytest.mark.parametrize(
    "filters,names",
    [
        (["--by-type", "8"], ["givc-net-vm.service"]),
        (["--by-type=svc"], ["demo.service"]),
        (["--by-type=SysVM"], ["demo.service", "givc-net-vm.service"]),
        (["--by-type=AppVM"], []),
        (["--by-name", "demo"], ["demo.service"]),
        (["--by-name", "*-vm.service"], ["givc-net-vm.service"]),
        (["--by-name", "demo*", "--by-type", "Mgr"], []),
        (["--by-name", "demo*", "--by-name", "nothing", "--by-name", "givc-net"], ["demo.service", "givc-net-vm.service"]),
    ],
)
def test_filters(ctl, filters, names):
    assert [entry["name"] for entry in json.loads(ctl("query", "--json", *filters)[0])] == names


def test_nothing_to_show(ctl, fake):
    assert ctl("query", "--by-type=AppVM") == ("", "givcctl: nothing registered is of this kind\n")
    fake.items = []
    assert ctl("query") == ("", "givcctl: nothing is registered\n")
    assert ctl("query", "--json") == ("[]\n", "")


def test_status(ctl):
    out, _ = ctl("get-status", "net-vm", "demo.service")
    assert out.splitlines()[0] == "demo.service - A demo"
    assert "     Active: active (running)" in out.splitlines()
    assert json.loads(ctl("get-status", "net-vm", "demo", "--json")[0]) == {
        "name": "demo.service",
        "description": "A demo",
        "load_state": "loaded",
        "active_state": "active",
        "sub_state": "running",
        "path": "/org/freedesktop/systemd1/unit/demo_2eservice",
        "freezer_state": "running",
    }
    out, _ = ctl("get-status", "net-vm", "demo", called="givc-cli")
    assert out.startswith('UnitStatus { name: "demo.service", ') and out.endswith('freezer_state: "running" }\n')


def test_start_and_stop_say_so(ctl):
    service = ["service", "demo", "--vm", "net-vm"]
    assert ctl("start", *service)[0] == "Started demo.service on net-vm.\n"
    assert ctl("stop", *service)[0] == "Stopped demo.service on net-vm.\n"
    assert ctl("start", *service, called="givc-cli")[0] == 'StartResponse { registry_id: "givc-net-vm.service" }\n'
    assert ctl("stop", *service, called="givc-cli")[0] == ""
    assert json.loads(ctl("start", "vm", "net-vm", "--json")[0]) == {"registry_id": "givc-net-vm.service"}


def test_several_at_once(ctl, fake):
    """No answer comes before the third request is there."""
    fake.meeting = threading.Barrier(3)
    out, _ = ctl("start", "service", "a", "b.socket", "app-vm/c", "--vm", "net-vm")
    assert sorted(out.splitlines()) == ["Started a.service on net-vm.", "Started b.socket on net-vm.", "Started c.service on app-vm."]


def test_none_of_several_where_one_is_no_name(ctl, fake):
    _, err = ctl("start", "service", "a", "b b", "--vm", "net-vm", code=2)
    assert "'b b' is no name of a unit" in err
    ctl("start", "service", "a", "net-vm/b", code=2)
    ctl("start", "vm", "a", "b/b", code=2)
    assert fake.requests == []


def test_agent(program, certs):
    agent = FakeAgent()
    with serving((pb.handler("systemd.UnitControlService", agent),), certs / "net-vm") as port:
        ctl = Ctl(program, port, certs / "me", "net-vm")
        for verb in ("start", "stop", "kill", "freeze", "thaw"):
            assert ctl("unit", verb, "demo") == ("", "")
        assert "Active: active (running)" in ctl("unit", "status", "demo")[0]
        assert json.loads(ctl("unit", "freeze", "demo", "--json")[0])["name"] == "demo.service"
        methods = ["StartUnit", "StopUnit", "KillUnit", "FreezeUnit", "UnfreezeUnit", "GetUnitStatus", "FreezeUnit"]
        assert [method for method, _ in agent.requests] == methods
        assert {request.UnitName for _, request in agent.requests} == {"demo.service"}
        assert ctl("unit", "monitor", "demo")[0].splitlines()[0].split() == ["cpu", "12.50", "%", "memory", "6.25", "%"]
        first, second = map(json.loads, ctl("unit", "monitor", "demo", "--json")[0].splitlines())
        assert first == {"cpu_usage": 12.5, "memory_usage": 6.25} and second["cpu_usage"] == 50
