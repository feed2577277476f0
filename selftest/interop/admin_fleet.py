# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-admin as its service manager runs it, and agents made of grpcio that register with it."""

import os
import queue
import re
import signal
import socket
import subprocess
import threading
from concurrent import futures

import grpc
import pytest

import givcpb
from patience import SLOWNESS

TIMEOUT = 30 * SLOWNESS

pb = givcpb.load(os.environ["GIVC_DESCRIPTORS"])
Empty = pb.msg("admin.Empty")
RegistryRequest = pb.msg("admin.RegistryRequest")
TransportConfig = pb.msg("admin.TransportConfig")
UnitStatus = pb.msg("systemd.UnitStatus")
UnitResponse = pb.msg("systemd.UnitResponse")

HOST, SYSVM, APPVM = 0, 8, 12  # types of agents; of a VM's unit and of the agent's units it is one less, or 1 or 2 more
RUNNING = ("active", "running")
DEAD = ("inactive", "dead")
FAILED = ("failed", "failed")
STARTING = ("activating", "start")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def credentials(certificates, who):
    return [(certificates / who / name).read_bytes() for name in ("ca-cert.pem", "key.pem", "cert.pem")]


class Admin:
    """The daemon; certificates is a directory of members. It is started anew, with what it has stored, by restart()."""

    def __init__(self, certificates, directory, environment=None):
        self._certificates = certificates
        self.port = free_port()
        self._stored = None
        self._news = threading.Condition()
        self._log = ""
        self._process = None
        path = str(directory / "notify")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(path)
        self._notify.settimeout(TIMEOUT)
        self._environment = {**os.environ, **(environment or {}), "NOTIFY_SOCKET": path}
        self.start()

    def start(self):
        member = self._certificates / "admin-vm"
        command = [
            os.environ["GIVC_ADMIN"],
            "--debug",
            f"--listen=127.0.0.1:{self.port}",
            f"--ca-cert={member}/ca-cert.pem",
            f"--host-cert={member}/cert.pem",
            f"--host-key={member}/key.pem",
        ]
        environment = dict(self._environment)
        passed = ()
        if self._stored is not None:
            # As systemd does: from descriptor 3 on, and told to this process alone.
            command = ["/bin/sh", "-c", f'LISTEN_PID=$$ exec "$@" 3<>/dev/fd/{self._stored}', "sh", *command]
            environment |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "registry"}
            passed = (self._stored,)
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, pass_fds=passed)
        threading.Thread(target=self._read_log, args=(self._process.stderr,), daemon=True).start()
        self.expect_notice("READY=1")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        code = self.stop()
        self._notify.close()
        if kind is None:
            assert code == 0, self.log

    def stop(self):
        """The exit code, after SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(TIMEOUT)
        finally:
            self._process.kill()

    @property
    def pid(self):
        return self._process.pid

    def kill(self):
        self._process.kill()
        self._process.wait(TIMEOUT)

    def reload(self):
        self._process.send_signal(signal.SIGHUP)
        self.expect_notice("RELOADING=1")
        self.expect_notice("READY=1")

    @property
    def log(self):
        with self._news:
            return self._log

    def expect_log(self, pattern):
        with self._news:
            assert self._news.wait_for(lambda: re.search(pattern, self._log), TIMEOUT), f"no {pattern} in {self._log}"

    def expect_notice(self, wanted):
        """Awaits what the service manager is told, and keeps what it is given."""
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._notify, 4096, 1)
            if descriptors:
                assert b"FDSTORE=1" in data and b"FDNAME=registry" in data
                if self._stored is not None:
                    os.close(self._stored)
                self._stored = descriptors[0]
            if wanted.encode() in data:
                return

    def stub(self, who="gui-vm"):
        """Calls in the name of a member, over a connection of their own."""
        return pb.stub(self.channel(who), "admin.AdminService")

    def channel(self, who="gui-vm"):
        ca, key, certificate = credentials(self._certificates, who)
        return grpc.secure_channel(
            f"ipv4:127.0.0.1:{self.port}",
            grpc.ssl_channel_credentials(ca, key, certificate),
            (
                ("grpc.ssl_target_name_override", "admin-vm"),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.enable_http_proxy", 0),
                ("grpc.http2.bdp_probe", 0),  # no larger window than HTTP/2's own
            ),
        )

    def entries(self):
        return {item.Name: item for item in self.stub().QueryList(Empty(), timeout=TIMEOUT).List}

    def _read_log(self, stream):
        for line in stream:
            with self._news:
                self._log += line.decode(errors="replace")
                self._news.notify_all()


class Watcher:
    """A watch whose items can be awaited."""

    def __init__(self, admin, who="gui-vm"):
        self._items = queue.Queue()
        self._channel = admin.channel(who)
        self._call = pb.stub(self._channel, "admin.AdminService").Watch(Empty())
        threading.Thread(target=self._read, daemon=True).start()
        kind, initial = self._items.get(timeout=TIMEOUT)
        assert kind == "Initial", initial
        self.initial = {item.Name: item for item in initial.List}

    def expect(self, kind, name, **fields):
        """Awaits that change; returns those that came before it, as "Kind name"."""
        return self._expect((kind,), name, fields)

    def expect_entry(self, name, **fields):
        """Awaits that an entry is, or becomes, like that."""
        if name not in self.initial or any(getattr(self.initial[name], key) != fields[key] for key in fields):
            self._expect(("Added", "Updated"), name, fields)

    def _expect(self, kinds, name, fields):
        before = []
        while True:
            try:
                kind, item = self._items.get(timeout=TIMEOUT)
            except queue.Empty:
                raise AssertionError(f"awaited {kinds} {name} {fields}, there was {before}") from None
            assert kind != "end", item
            if kind in kinds and item.Name == name and all(getattr(item, key) == fields[key] for key in fields):
                return before
            before.append(f"{kind} {item.Name}")

    def expect_end(self):
        """Awaits the end of the watch: its status code."""
        while True:
            kind, item = self._items.get(timeout=TIMEOUT)
            if kind == "end":
                return item.code()

    def close(self):
        self._channel.close()

    def _read(self):
        try:
            for item in self._call:
                kind = item.WhichOneof("Status")
                self._items.put((kind, getattr(item, kind)))
        except grpc.RpcError as error:
            self._items.put(("end", error))


class Agent:
    """An agent of a VM, with units that set() moves. Without watch it is a deployed one, which can only be asked. services
    are more of it, by name: implementations, or handlers of grpcio's."""

    def __init__(self, certificates, vm, watch=True, services=None):
        self.vm = vm
        self.name = f"givc-{vm}.service"
        self.moves = []  # (method, unit) of every call that moves a unit
        self.calls = queue.Queue()  # and of every call
        self.hanging = ()  # methods that do not answer
        self._certificates = certificates
        self._watch = watch
        self._services = services or {}
        self._lock = threading.Lock()
        self._units = {}
        self._watchers = []
        self._port = free_port()
        self.set(self.name, RUNNING)
        self.serve()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.vanish()

    def serve(self):
        ca, key, certificate = credentials(self._certificates, self.vm)
        self._server = grpc.server(futures.ThreadPoolExecutor(160))  # as many calls as may be under way
        self._server.add_generic_rpc_handlers((pb.handler("systemd.UnitControlService", self),))
        if self._watch:
            self._server.add_generic_rpc_handlers((pb.handler("systemd.UnitWatchService", self),))
        for name, service in self._services.items():
            handler = service if isinstance(service, grpc.GenericRpcHandler) else pb.handler(name, service)
            self._server.add_generic_rpc_handlers((handler,))
        port = self._server.add_secure_port(
            f"127.0.0.1:{self._port}", grpc.ssl_server_credentials([(key, certificate)], ca, True)
        )
        assert port == self._port
        self._server.start()

    def vanish(self):
        """As a VM that is switched off: every connection breaks."""
        self._server.stop(None)
        with self._lock:
            for watcher in self._watchers:
                watcher.put(None)
            self._watchers = []

    def set(self, unit, state, **fields):
        status = UnitStatus(
            **{"Name": unit, "Description": f"The {unit}", "LoadState": "loaded", "FreezerState": "running", **fields}
        )
        status.ActiveState, status.SubState = state
        with self._lock:
            self._units[unit] = status
            for watcher in self._watchers:
                watcher.put(status)

    def forget(self, unit):
        with self._lock:
            del self._units[unit]

    def request(self, kind, **fields):
        transport = TransportConfig(Protocol="tcp", Address="127.0.0.1", Port=str(self._port), Name=self.vm)
        return RegistryRequest(
            **{
                "Name": self.name,
                "Parent": "" if kind == HOST else f"microvm@{self.vm}.service",
                "Type": kind,
                "Transport": transport,
                "State": self._units[self.name],
                **fields,
            }
        )

    def register(self, admin, kind, units=None):
        """Registers with its units: their names and types. Returns the stub over which it did."""
        stub = admin.stub(self.vm)
        stub.RegisterService(self.request(kind), timeout=TIMEOUT)
        for name, unit_kind in (units or {}).items():
            request = RegistryRequest(Name=name, Parent=self.name, Type=unit_kind, State=self._units[name])
            stub.RegisterService(request, timeout=TIMEOUT)
        return stub

    def forget_calls(self):
        with self.calls.mutex:
            self.calls.queue.clear()

    def expect_call(self, method, unit):
        """Awaits that call, whatever came before."""
        while self.calls.get(timeout=TIMEOUT) != (method, unit):
            pass

    def WatchUnits(self, request, context):
        changes = queue.Queue()
        with self._lock:
            for status in self._units.values():
                changes.put(status)
            self._watchers.append(changes)
        context.add_callback(lambda: changes.put(None))
        return iter(changes.get, None)

    def GetUnitStatus(self, request, context):
        return self._answer("GetUnitStatus", request.UnitName, context, None)

    def StartUnit(self, request, context):
        return self._answer("StartUnit", request.UnitName, context, RUNNING)

    def StopUnit(self, request, context):
        return self._answer("StopUnit", request.UnitName, context, DEAD)

    def _answer(self, method, unit, context, state):
        if state:
            self.moves.append((method, unit))
        self.calls.put((method, unit))
        if method in self.hanging:
            gone = threading.Event()
            if context.add_callback(gone.set):
                gone.wait(TIMEOUT)
        if unit not in self._units:
            context.abort(grpc.StatusCode.NOT_FOUND, f"error fetching unit status: {unit}")
        if state:
            self.set(unit, state)
        return UnitResponse(UnitStatus=self._units[unit])


@pytest.fixture
def certificates(tmp_path):
    members = ("admin-vm", "app-vm", "gui-vm", "net-vm")
    subprocess.run(
        [os.environ["MAKE_CERTS"], tmp_path, *(f"{member}=127.0.0.1" for member in members)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return tmp_path


@pytest.fixture
def app(certificates, admin):
    """A machine with a unit that runs, both in the registry of the fixture admin."""
    with Agent(certificates, "app-vm") as agent:
        agent.set("clock.service", RUNNING)
        watcher = Watcher(admin)
        agent.register(admin, APPVM, {"clock.service": 13})
        watcher.expect_entry("clock.service", Online=True)
        yield agent
