# SPDX-License-Identifier: GPL-2.0-or-later
"""What faults.c, preloaded into a program, is told and tells, in a file that both map."""

import mmap
import os
import struct

KINDS = ("memory", "socket")
# struct control of faults.c
COUNTDOWN, SEEN, IN_USE, SIZE = 0, 8 * len(KINDS), 16 * len(KINDS), 16 * len(KINDS) + 8


class Faults:
    def __init__(self, path):
        self.path = path
        self.library = os.environ["GIVC_FAULTS_LIBRARY"]
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), SIZE)
        self.environment = {"LD_PRELOAD": self.library, "GIVC_FAULTS": str(path)}

    def fail(self, kind, nth):
        """The nth call of that kind from now on is to fail; 0: none."""
        self._write(COUNTDOWN, kind, nth)

    def rest(self):
        """No more failures. Whether the one that was asked for has come."""
        came = all(self._read(COUNTDOWN, kind) <= 0 for kind in KINDS)
        for kind in KINDS:
            self.fail(kind, 0)
        return came

    def seen(self, kind):
        return self._read(SEEN, kind)

    @property
    def in_use(self):
        """Blocks of memory."""
        return struct.unpack_from("q", self._map, IN_USE)[0]

    def _read(self, offset, kind):
        return struct.unpack_from("q", self._map, offset + 8 * KINDS.index(kind))[0]

    def _write(self, offset, kind, value):
        struct.pack_into("q", self._map, offset + 8 * KINDS.index(kind), value)
