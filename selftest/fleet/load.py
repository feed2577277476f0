# SPDX-License-Identifier: GPL-2.0-or-later
"""A fleet under load, whose clients remember what was acknowledged to them: for tests in which daemons die meanwhile.

    with Load(fleet, wire) as load:
        ...                 # kill whom you like
        load.check()        # pauses, asks everybody, goes on; AssertionError says what was lost
"""
import collections
import random
import subprocess
import threading
import time

import grpc

from miniature import HOST, Timeout, wait_line

APP_VM, SERVICE_VM, SERVICE = 'app-vm', 'net-vm', 'demo-clock.service'
APPLICATIONS = ('load0', 'load1', 'load2')  # each is one client's
INSTANCES_MAX = 3                           # of each
CALL_SECONDS = 30
# Does not wait longer and longer before it connects again, as there is much to be done.
OPTIONS = (('grpc.initial_reconnect_backoff_ms', 50), ('grpc.min_reconnect_backoff_ms', 50),
           ('grpc.max_reconnect_backoff_ms', 200))


class Load:
    def __init__(self, fleet, wire):
        self.fleet, self.pb, self._wire = fleet, wire.pb, wire
        self._lock = threading.Lock()
        self.running = set()          # instances whose start was acknowledged, and whose stop has not begun
        self.stopped = set()          # whose stop was acknowledged, and that were not started since
        self._stops = collections.Counter()  # begun, by name
        self._pids = {}
        self.service = None           # the last acknowledged state of SERVICE; None: a call has failed since
        self.calls = collections.Counter()   # (method, how it ended)
        self.faults = []              # what is wrong by what a client saw
        self._going, self._ending = threading.Event(), False
        self._idle = threading.Semaphore(0)
        self._streams = []
        self._asker = self._stub()
        self._threads = [threading.Thread(target=target, args=args, daemon=True) for target, *args in (
            *((self._repeat, self._applications(self._stub(), name)) for name in APPLICATIONS),
            (self._repeat, self._services(self._stub())), (self._repeat, self._queries(self._stub())),
            (self._watch, self._stub()), (self._watch, self._stub()))]
        self._repeating = len(self._threads) - 2

    def __enter__(self):
        answer = self._asker.QueryList(self._empty(), timeout=CALL_SECONDS)
        self._lasting = {item.Name for item in answer.List}  # no client of ours takes these away
        for thread in self._threads:
            thread.start()
        self._going.set()
        return self

    def __exit__(self, *_):
        self._ending = True
        self._going.set()
        for stream in list(self._streams):
            stream.cancel()
        for thread in self._threads:
            thread.join()

    # --- the clients

    def _stub(self):
        return self._wire.stub('admin-vm', 9001, 'admin.AdminService', source=HOST, options=OPTIONS)

    def _empty(self):
        return self.pb.msg('admin.Empty')()

    def _call(self, function, name, **fields):
        """The answer, or None where the call has failed: then nobody knows whether it was done."""
        try:
            answer = function(self.pb.msg(f'admin.{name}')(**fields), timeout=CALL_SECONDS, wait_for_ready=True)
            self.calls[name, 'OK'] += 1
            return answer
        except grpc.RpcError as error:
            self.calls[name, error.code().name] += 1
            time.sleep(0.01)
            return None

    def _fault(self, text):
        with self._lock:
            self.faults.append(text)

    def _repeat(self, step):
        """One call after the other, until told to pause."""
        while not self._ending:
            if not self._going.is_set():
                self._idle.release()
                self._going.wait()
                continue
            next(step)

    def _applications(self, stub, name):
        while True:
            with self._lock:
                own = sorted(unit for unit in self.running if unit.startswith(f'{name}@'))
            if len(own) < INSTANCES_MAX and (not own or random.random() < 0.6):
                answer = self._call(stub.StartApplication, 'ApplicationRequest', AppName=name, VmName=APP_VM)
                if answer:
                    with self._lock:
                        if answer.registryId in self.running:
                            self.faults.append(f'{answer.registryId} was given to two')
                        self.running.add(answer.registryId)
                        self.stopped.discard(answer.registryId)
                else:  # it may have been started as any of them
                    with self._lock:
                        self.stopped = {unit for unit in self.stopped if not unit.startswith(f'{name}@')}
            else:
                unit = random.choice(own)
                with self._lock:
                    self.running.discard(unit)
                    self._stops[unit] += 1
                if self._call(stub.StopApplication, 'ApplicationRequest', AppName=unit, VmName=APP_VM):
                    with self._lock:
                        self.stopped.add(unit)
            yield

    def _services(self, stub):
        while True:
            for function, state in ((stub.StartService, 'active'), (stub.StopService, 'inactive')):
                self.service = None
                if self._call(function, 'ServiceRequest', ServiceName=SERVICE, VmName=SERVICE_VM):
                    self.service = state
                yield

    def _queries(self, stub):
        """What was acknowledged before is listed, whenever it is asked for."""
        while True:
            with self._lock:
                before = set(self.running)
            answer = self._call(stub.QueryList, 'Empty')
            if answer:
                with self._lock:
                    missing = (before & self.running | self._lasting) - {item.Name for item in answer.List}
                if missing:
                    self._fault(f'a list is without {", ".join(sorted(missing))}')
            yield

    def _watch(self, stub):
        removed = collections.Counter()
        while not self._ending:
            stream = stub.Watch(self._empty(), wait_for_ready=True)
            self._streams.append(stream)
            known = set()
            try:
                for item in stream:
                    change = item.WhichOneof('Status')
                    if change == 'Initial':
                        known = {entry.Name for entry in item.Initial.List}
                        if self._lasting - known:
                            self._fault(f'Initial is without {", ".join(sorted(self._lasting - known))}')
                        continue
                    name = getattr(item, change).Name
                    if (change == 'Added') == (name in known):
                        self._fault(f'{change} {name}, which was {"" if name in known else "not "}there')
                    (known.discard if change == 'Removed' else known.add)(name)
                    removed[name] += change == 'Removed'
                    with self._lock:
                        if name in self._lasting and change != 'Updated' or removed[name] > self._stops[name]:
                            self.faults.append(f'{change} {name}, which nobody has asked for')
            except grpc.RpcError as error:
                self.calls['Watch', error.code().name] += 1
            self._streams.remove(stream)

    def wait(self, seconds):
        """So long, but not on when something is wrong."""
        time.sleep(seconds)
        assert not self.faults, self.faults[:20]

    # --- the question

    def _pause(self):
        self._going.clear()
        for _ in range(self._repeating):
            assert self._idle.acquire(timeout=2 * CALL_SECONDS), 'a call does not end'

    def _resume(self):
        while self._idle.acquire(blocking=False):  # who was faster than us
            pass
        self._going.set()

    def units(self):
        """{name: main process} of the applications that really run."""
        shown = self.fleet.run(APP_VM, ['systemctl', 'show', '-p', 'Id,MainPID,ActiveState', 'load*@*.service'], check=True).stdout
        found = [dict(line.split('=', 1) for line in block.splitlines()) for block in shown.split('\n\n') if block.strip()]
        return {unit['Id']: unit['MainPID'] for unit in found if unit['ActiveState'] == 'active'}

    def _listed(self):
        answer = self._call(self._asker.QueryList, 'Empty')
        return {item.Name for item in answer.List if item.Name.startswith('load')} if answer else set()

    def _wait_listed(self):
        """Until the registry has what runs and nothing else, which is returned. Both may yet change: an agent may still be
        busy with a start whose caller has gone, and the registry hears of it afterwards."""
        with self.fleet.popen(HOST, ['givcctl', 'watch', '--json', '--initial'], stdout=subprocess.PIPE) as watch:
            try:
                while (listed := self._listed()) != set(units := self.units()):
                    wait_line(watch, 'load')
                return units
            except Timeout:
                raise AssertionError(f'the registry has {sorted(listed)}, and there are {sorted(units)}') from None
            finally:
                watch.kill()

    def check(self):
        """With nothing under way: what was acknowledged is so, the registry has what runs and nothing else."""
        self._pause()
        self.fleet.wait_registered()
        units = self._wait_listed()
        assert not self.faults, self.faults[:20]
        assert self.running <= set(units), f'lost: {self.running - set(units)}'
        assert not self.stopped & set(units), f'risen: {self.stopped & set(units)}'
        again = {name for name in self.running & set(self._pids) if self._pids[name] != units[name] and not self._stops[name]}
        assert not again, f'started anew: {again}'
        if self.service:
            assert self.fleet.unit(SERVICE_VM, SERVICE)['ActiveState'] == self.service
        self._pids = {name: pid for name, pid in units.items() if not self._stops[name]}
        # Those whose start was not acknowledged are taken as started: their client may stop them.
        with self._lock:
            self.running = set(units)
        self._resume()
