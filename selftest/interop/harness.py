# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs under test, run and talked to: lines of JSON on stdin and stdout (lines.h)."""

import base64
import json
import os
import re
import subprocess
import threading
import time

import givcpb
from patience import SLOWNESS

TIMEOUT = 20 * SLOWNESS  # seconds; what does not come within that does not come

pb = givcpb.load(os.environ["ECHO_DESCRIPTORS"])
Request = pb.msg("echo.EchoRequest")
Reply = pb.msg("echo.EchoReply")
Outcome = pb.msg("echo.Outcome")

MESSAGE_LIMIT = 4 * 1024 * 1024


def request_of(size):
    """A request of exactly that many bytes on the wire, for a reply of a few."""
    request = Request(reply_bytes=1)
    while request.ByteSize() < size:
        request.payload += b"x" * max(size - request.ByteSize() - 6, 1)
    return request


def peak_kib(pid):
    """The most memory that a process has held; 0 where a sanitizer or valgrind keeps freed memory, which says nothing of us."""
    with open(f"/proc/{pid}/maps") as file:
        maps = file.read()
    if "libasan" in maps or "memcheck" in maps:
        return 0
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))


class Program:
    """A process whose events can be awaited. Leaving it as a context ends it, and it has to end well."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._news = threading.Condition()
        self._events = []
        self._log = ""
        self._ended = False
        self._threads = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        code = self.stop()
        if kind is None:
            assert code == 0, self.log

    @property
    def pid(self):
        return self._process.pid

    @property
    def log(self):
        with self._news:
            return self._log

    def stop(self):
        """Closes its stdin, at which it ends. Returns the exit code."""
        if not self._process.stdin.closed:
            self._process.stdin.close()
        return self._wait()

    def kill(self):
        self._process.kill()
        return self._wait()

    def _wait(self):
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(TIMEOUT)
        self._process.stdin.close()
        return self._process.returncode

    def command(self, do, **members):
        self._process.stdin.write(json.dumps({"do": do, **members}).encode() + b"\n")
        self._process.stdin.flush()

    def expect(self, event, timeout=TIMEOUT, **members):
        """Awaits an event with these members, and takes it out; others stay."""
        wanted = {"event": event, **members}
        return self._await(lambda: self._take(wanted), wanted, timeout)

    def expect_log(self, pattern, timeout=TIMEOUT):
        """Awaits a line of the log."""
        return self._await(lambda: re.search(pattern, self._log), pattern, timeout)

    def events(self, event, **members):
        """Takes out all such events that have come so far."""
        taken = []
        with self._news:
            while True:
                found = self._take({"event": event, **members})
                if not found:
                    return taken
                taken.append(found)

    def _await(self, look, what, timeout):
        end = time.monotonic() + timeout
        with self._news:
            while True:
                found = look()
                if found:
                    return found
                left = end - time.monotonic()
                if left <= 0 or self._ended:
                    raise AssertionError(f"awaited {what}, there was: {self._events} and the log: {self._log}")
                self._news.wait(left)

    def _take(self, wanted):
        for event in self._events:
            if wanted.items() <= event.items():
                self._events.remove(event)
                return event
        return None

    def _read_events(self):
        for line in self._process.stdout:
            with self._news:
                self._events.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _read_log(self):
        for line in self._process.stderr:
            with self._news:
                self._log += line.decode(errors="replace")
                self._news.notify_all()

    def forget_peak(self):
        """From here on peak_kib() counts anew."""
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")

    def peak_kib(self):
        return peak_kib(self.pid)


class Server(Program):
    """echo-server. address is where it listens, as our own programs write it."""

    def __init__(self, *arguments, listen="127.0.0.1:0", certificates=None):
        options = ["--descriptors", os.environ["ECHO_DESCRIPTORS"]]
        if certificates:
            options += ["--certificates", str(certificates)]
        super().__init__(os.environ["ECHO_SERVER"], *options, *arguments, listen)
        try:
            self.address = self.expect("listening")["address"]
            self.expect("ready")
        except AssertionError:
            self.kill()
            raise

    def command(self, do, **members):
        """Returns when it is done."""
        super().command(do, **members)
        self.expect("done", tag=do)

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])


class Client(Program):
    """echo-client. Calls have numbers, which this hands out."""

    def __init__(self, address, *arguments, certificates=None, server_name="server"):
        options = ["--server-name", server_name]
        if certificates:
            options += ["--certificates", str(certificates)]
        super().__init__(os.environ["ECHO_CLIENT"], *options, *arguments, address)
        self._last = 0

    def call(self, method, **options):
        """Opens a call: timeout_msec, wait_for_ready, metadata [key, value, ...], want [key, ...], brief."""
        self._last += 1
        self.command("call", id=self._last, method=method, **options)
        return self._last

    def unary(self, request, **options):
        self._last += 1
        self.command("unary", id=self._last, message=_encode(request), **options)
        return self._last

    def send(self, call, request, **options):
        """times, half_close."""
        self.command("send", id=call, message=_encode(request), **options)

    def reply(self, call):
        """The next answer."""
        return Reply.FromString(base64.b64decode(_pad(self.expect("message", id=call)["message"])))

    def finished(self, call, timeout=TIMEOUT):
        """How the call ended: code, message, details, metadata."""
        event = self.expect("finished", timeout, id=call)
        event["details"] = base64.b64decode(_pad(event["details"]))
        return event


def _encode(message):
    return base64.b64encode(message.SerializeToString()).decode()


def _pad(text):
    return text + "=" * (-len(text) % 4)
