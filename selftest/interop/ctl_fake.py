# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl, run as users run it, and an admin, a fleet and an agent made of grpcio that it is run against."""

import contextlib
import os
import queue
import subprocess
import threading
from concurrent import futures

import grpc
import pytest

import givcpb
from patience import SLOWNESS

TIMEOUT = 20 * SLOWNESS

pb = givcpb.load(os.environ["GIVC_DESCRIPTORS"])
Item = pb.msg("admin.QueryListItem")
List = pb.msg("admin.QueryListResponse")
WatchItem = pb.msg("admin.WatchItem")
UnitStatus = pb.msg("systemd.UnitStatus")


def item(name, vm="net-vm", kind="Svc", status="Running", **more):
    return Item(
        Name=name,
        Description=f"The {name}",
        VmStatus=status,
        TrustLevel="Secure",
        VmType="SysVM",
        ServiceType=kind,
        VmName=vm,
        AgentName=f"givc-{vm}.service",
        **more,
    )


AGENT = item("givc-net-vm.service", kind="Mgr", Online=True, Since=1_700_000_000_000_000)
STATUS = UnitStatus(
    Name="demo.service",
    Description="A demo",
    LoadState="loaded",
    ActiveState="active",
    SubState="running",
    Path="/org/freedesktop/systemd1/unit/demo_2eservice",
    FreezerState="running",
)


class Fake:
    """Both services. Requests are kept; a test sets what happens by fail, hang, or by the queue of watch items."""

    def __init__(self):
        self.requests = []
        self.items = [item("demo.service", Online=True, Since=1_700_000_000_000_000), item("givc-net-vm.service", kind="Mgr")]
        self.fail = None
        self.hang = False
        self.remaining = None
        self.cancelled = threading.Event()
        self.entered = threading.Event()
        self.meeting = None
        self.events = queue.Queue()

    def _seen(self, method, request, context):
        self.requests.append((method, request))
        self.remaining = context.time_remaining()
        context.add_callback(self.cancelled.set)
        self.entered.set()
        if self.meeting:
            self.meeting.wait(TIMEOUT)
        if self.hang:
            self.cancelled.wait(TIMEOUT)
        if self.fail:
            code, message, metadata = self.fail
            if metadata:
                context.set_trailing_metadata(metadata)
            context.abort(code, message)

    def QueryList(self, request, context):
        self._seen("QueryList", request, context)
        return List(List=self.items)

    def StartVM(self, request, context):
        self._seen("StartVM", request, context)
        return pb.msg("admin.StartResponse")(registryId=f"givc-{request.VmName}.service")

    def StartService(self, request, context):
        self._seen("StartService", request, context)
        return pb.msg("admin.StartResponse")(registryId=f"givc-{request.VmName}.service")

    def StopService(self, request, context):
        self._seen("StopService", request, context)
        return pb.msg("admin.ApplicationResponse")(CmdStatus="Command successful.", AppStatus="Command successful.")

    def _empty(self, method):
        def handler(request, context):
            self._seen(method, request, context)
            return pb.msg("admin.Empty")()

        return handler

    def StartApplication(self, request, context):
        self._seen("StartApplication", request, context)
        return pb.msg("admin.StartResponse")(registryId=f"{request.AppName}@0.service")

    def _application(self, method):
        def handler(request, context):
            self._seen(method, request, context)
            return pb.msg("admin.ApplicationResponse")(CmdStatus="Command successful.", AppStatus="Command successful.")

        return handler

    PauseApplication = property(lambda self: self._application("PauseApplication"))
    ResumeApplication = property(lambda self: self._application("ResumeApplication"))
    StopApplication = property(lambda self: self._application("StopApplication"))
    Wakeup = property(lambda self: self._empty("Wakeup"))
    SetLocale = property(lambda self: self._empty("SetLocale"))
    SetTimezone = property(lambda self: self._empty("SetTimezone"))

    def Sysinfo(self, request, context):
        self._seen("Sysinfo", request, context)
        return pb.msg("stats.SysinfoResponse")(GhafVersion="25.1", SecureBoot=False)

    def GetStats(self, request, context):
        self._seen("GetStats", request, context)
        process = pb.msg("stats.ProcessStat")(Name="bu\033sy", User=1.5, Sys=0.5, ResSetSize=10)
        return pb.msg("stats.StatsResponse")(
            Memory=pb.msg("stats.MemoryStats")(Total=1 << 30, Available=1 << 29),
            Load=pb.msg("stats.LoadStats")(Load1Min=0.5),
            Process=pb.msg("stats.ProcessStats")(Total=9, Running=2, CpuProcesses=[process]),
        )

    def NotifyUser(self, request, context):
        self._seen("NotifyUser", request, context)
        return pb.msg("notify.Status")(Status="Notification sent")

    def Ctap(self, request, context):
        self._seen("Ctap", request, context)
        return pb.msg("ctap.CtapResponse")(Output=request.Payload[::-1])

    def ListGenerations(self, request, context):
        self._seen("ListGenerations", request, context)
        generation = pb.msg("admin.Generation")(
            Generation=7, NixosVersion="25.05", KernelVersion="6.12", StorePath="/nix/store/x", Current=True,
            Date="2026-01-02", Specialisations=["debug"],
        )
        return pb.msg("admin.ListGenerationsResponse")(List=[generation])

    def SetGeneration(self, request, context):
        self._seen("SetGeneration", request, context)
        response = pb.msg("admin.SetGenerationResponse")
        yield response(Output="fetching\033[31m\n")
        if request.Cachix.Pin == "bad":
            yield response(Error="no such pin", Finished=True)
        else:
            yield response(Output="done\n")
            if request.Cachix.Pin != "cut":
                yield response(Finished=True)

    Poweroff = property(lambda self: self._empty("Poweroff"))
    Reboot = property(lambda self: self._empty("Reboot"))
    Suspend = property(lambda self: self._empty("Suspend"))

    def Watch(self, request, context):
        self._seen("Watch", request, context)
        yield WatchItem(Initial=List(List=self.items))
        while context.is_active():
            try:
                event = self.events.get(timeout=0.1)
            except queue.Empty:
                continue
            if event is None:
                return
            yield event

    # The agent's differs from the admin's in its request.
    def GetUnitStatus(self, request, context):
        self._seen("GetUnitStatus", request, context)
        return STATUS

    def change(self, **what):
        self.events.put(WatchItem(**what))


Detail = pb.msg("systemd.UnitDetail")
VERBS = pb.enum("systemd.UnitVerb")


class FakeFleet:
    """FleetService. A test puts the states of a watched unit into a queue."""

    def __init__(self):
        self.requests = []
        self.states = queue.Queue()
        entry = {"Cursor": "c", "RealtimeUsec": 1_700_000_000_000_000, "Identifier": "demo", "Pid": 7, "Message": "bad\033[1m"}
        self.journal = [pb.msg("logs.LogEntry")(Priority=3, **entry)]
        self.detail = Detail(Status=STATUS, Result="exit-code", ExitCode=1, ExitStatus=3, SinceUsec=1_700_000_000_000_000, MainPid=7)

    def ManageUnit(self, request, context):
        self.requests.append(request)
        return self.detail

    def ListUnits(self, request, context):
        self.requests.append(request)
        return pb.msg("systemd.ListUnitsResponse")(Units=[self.detail])

    def ReadLogs(self, request, context):
        self.requests.append(request)
        yield from self.journal

    def WatchUnit(self, request, context):
        self.requests.append(request)
        while context.is_active():
            try:
                state = self.states.get(timeout=0.1)
            except queue.Empty:
                continue
            if state is None:
                return
            yield UnitStatus(Name=request.UnitName, ActiveState=state, SubState="sub", FreezerState="running")


class FakeAgent:
    def __init__(self):
        self.requests = []

    def __getattr__(self, method):
        if method not in ("StartUnit", "StopUnit", "KillUnit", "FreezeUnit", "UnfreezeUnit", "GetUnitStatus"):
            raise AttributeError(method)

        def handler(request, context):
            self.requests.append((method, request))
            return pb.msg("systemd.UnitResponse")(UnitStatus=STATUS)

        return handler

    def MonitorUnit(self, request, context):
        self.requests.append(("MonitorUnit", request))
        for share in (12.5, 50):
            yield pb.msg("systemd.UnitResourceResponse")(cpu_usage=share, memory_usage=share / 2)


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    """Of admin-vm, net-vm and me; expired; and another CA's, in elsewhere."""
    directory = tmp_path_factory.mktemp("ctl-certificates")

    def make(*arguments):
        subprocess.run([os.environ["MAKE_CERTS"], *arguments], check=True, stdin=subprocess.DEVNULL)

    make(directory, "admin-vm=127.0.0.1", "net-vm=127.0.0.1", "me=127.0.0.1")
    make("--expired", directory, "expired=127.0.0.1")
    make(directory / "elsewhere", "admin-vm=127.0.0.1", "me=127.0.0.1")
    return directory


@contextlib.contextmanager
def serving(handlers, certificate=None, address="127.0.0.1:0", threads=8):
    """A server; yields its port. certificate: the directory of its certificate; None: in clear. threads: calls at once."""
    server = grpc.server(futures.ThreadPoolExecutor(threads), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(handlers)
    if certificate:
        credentials = grpc.ssl_server_credentials(
            [(read(certificate / "key.pem"), read(certificate / "cert.pem"))],
            read(certificate / "ca-cert.pem"),
            require_client_auth=True,
        )
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait(TIMEOUT)


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def fleet():
    return FakeFleet()


@pytest.fixture
def handlers(fake, fleet):
    return (pb.handler("admin.AdminService", fake), pb.handler("admin.FleetService", fleet))


@pytest.fixture
def program(tmp_path):
    """givc-cli is a link to it."""
    (tmp_path / "givc-cli").symlink_to(os.environ["GIVCCTL"])
    (tmp_path / "givcctl").symlink_to(os.environ["GIVCCTL"])
    return tmp_path


class Ctl:
    """Runs the program with the options for a server."""

    def __init__(self, program, port, identity=None, name="admin-vm"):
        self.program = program
        self.options = ["--addr", "127.0.0.1", "--port", str(port), "--name", name]
        if identity:
            self.options += ["--cacert", identity / "ca-cert.pem", "--cert", identity / "cert.pem", "--key", identity / "key.pem"]
        else:
            self.options += ["--notls"]

    def start(self, *arguments, called="givcctl", env=None, **more):
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIVC_")}
        return subprocess.Popen(
            [self.program / called, *map(str, self.options), *arguments], env={**clean, **(env or {})}, **more
        )

    def __call__(self, *arguments, code=0, **more):
        """Runs to the end, which must have this exit code. Returns standard output and error."""
        process = self.start(*arguments, **more)
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
        assert process.returncode == code, (out, err)
        return out, err


@pytest.fixture
def ctl(program, handlers, certs):
    """Over mutual TLS."""
    with serving(handlers, certs / "admin-vm") as port:
        yield Ctl(program, port, certs / "me")


class Lines:
    """What a process prints, line by line as it comes."""

    def __init__(self, stream):
        self._lines = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def next(self):
        return self._lines.get(timeout=TIMEOUT)

    def is_empty(self):
        return self._lines.empty()


@contextlib.contextmanager
def running(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()
