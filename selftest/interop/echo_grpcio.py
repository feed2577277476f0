# SPDX-License-Identifier: GPL-2.0-or-later
"""echo.Echo by grpcio: the same knobs and events as echo-server has."""

import threading

import grpc

from harness import TIMEOUT, Reply, pb


class Echo:
    """To be given to grpcio's server as pb.handler("echo.Echo", Echo())."""

    def __init__(self):
        self._news = threading.Condition()
        self._events = []
        self._stopped = threading.Event()

    def handler(self):
        return pb.handler("echo.Echo", self)

    def expect(self, event, tag):
        """Awaits an event, and takes it out."""
        with self._news:
            assert self._news.wait_for(lambda: (event, tag) in self._events, TIMEOUT), self._events
            self._events.remove((event, tag))

    def resume(self):
        self._stopped.set()

    # the service

    def Unary(self, request, context):
        if request.hang:
            self._hang(request.tag, context)
        self._end(request, context)
        return self._reply(request, context)

    def ClientStream(self, requests, context):
        messages = total = 0
        for request in requests:
            messages += 1
            total += len(request.payload)
            if request.stop_reading:
                self._stop_reading(request.tag)
            self._end(request, context)
        return Reply(messages=messages, bytes=total)

    def ServerStream(self, request, context):
        for i in reversed(range(request.replies)):
            yield Reply(messages=i, payload=bytes(request.reply_bytes))
        if request.hang:
            self._hang(request.tag, context)
        self._end(request, context)

    def Bidi(self, requests, context):
        for request in requests:
            if request.stop_reading:
                self._stop_reading(request.tag)
            if request.hang:
                self._hang(request.tag, context)
            yield self._reply(request, context)
            self._end(request, context)

    # its parts

    def _tell(self, event, tag):
        with self._news:
            self._events.append((event, tag))
            self._news.notify_all()

    def _stop_reading(self, tag):
        self._tell("stopped", tag)
        self._stopped.wait(TIMEOUT)

    def _hang(self, tag, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        self._tell("open", tag)
        gone.wait(TIMEOUT)
        self._tell("gone", tag)

    def _end(self, request, context):
        if not request.HasField("outcome"):
            return
        outcome = request.outcome
        if outcome.detail:
            context.set_trailing_metadata((("grpc-status-details-bin", outcome.detail.encode()),))
        codes = {code.value[0]: code for code in grpc.StatusCode}
        context.abort(codes[outcome.code], outcome.message)

    def _reply(self, request, context):
        received = dict(context.invocation_metadata())
        wanted = tuple((key, received[key]) for key in request.metadata if key in received)
        if wanted:
            context.send_initial_metadata(wanted)
            context.set_trailing_metadata(wanted)
        left = context.time_remaining()
        return Reply(
            tag=request.tag,
            payload=bytes(request.reply_bytes) or request.payload,
            messages=1,
            bytes=len(request.payload),
            # grpcio says a very long time where there is no deadline.
            has_deadline=left is not None and left < 1e6,
            remaining_usec=int(left * 1e6) if left is not None and left < 1e6 else 0,
        )
