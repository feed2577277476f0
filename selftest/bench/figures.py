# SPDX-License-Identifier: GPL-2.0-or-later
"""What measurements share: figures and how they are shown, processes, CPU time, certificates."""
import contextlib
import glob
import os
import resource
import socket
import statistics
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]


class Figure:
    """One line of the report. goal: (compare, number) of what is held against it: the ratio where there is a baseline,
    else the value. Nothing fails by a goal that is missed: the machine may be busy. It is said."""

    def __init__(self, what, value, unit, goal, baseline=None, note=''):
        self.what, self.value, self.unit, self.goal, self.baseline, self.note = what, value, unit, goal, baseline, note

    @property
    def ratio(self):
        return self.value / self.baseline if self.baseline else None

    def is_met(self):
        compare, bound = self.goal
        measured = self.value if self.ratio is None else self.ratio
        return {'<': measured < bound, '<=': measured <= bound, '>=': measured >= bound}[compare]

    def __str__(self):
        compare, bound = self.goal
        if self.ratio is None:
            against = f'{"":<29}goal {compare} {bound:g} {self.unit}'
        else:
            against = f'of {self.baseline:8.4g} {self.unit:<8} = {self.ratio:5.2f}x goal {compare} {bound:g}x'
        return (f'{self.what:<44} {self.value:8.4g} {self.unit:<8} {against:<48} {"met" if self.is_met() else "MISSED"}'
                f'{"  (" + self.note + ")" if self.note else ""}')


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def median(values):
    return statistics.median(values)


def cpu_seconds(pid):
    """CPU time of all threads that still live, to the nanosecond."""
    total = 0
    for path in glob.glob(f'/proc/{pid}/task/*/schedstat'):
        with open(path) as f:
            total += int(f.read().split()[0])
    return total / 1e9


def children_cpu_seconds():
    """CPU time of all processes of ours that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def running(argv, core=None, ready=None, **options):
    """A process that is there until the end of the block. ready: what one of its first lines contains."""
    argv = pinned(argv, core)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, **options) as process:
        try:
            while ready:
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f'{argv[0]} did not come up')
                if ready in line:
                    break
            process.first_line = line if ready else ''
            yield process
        finally:
            process.kill()


def wait_port(port, timeout=10):
    """Until somebody listens there: for programs that do not tell when they do."""
    deadline = time.monotonic() + timeout
    while True:
        with socket.socket() as s:
            if s.connect_ex(('127.0.0.1', port)) == 0:
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f'nobody listens on port {port}')
        time.sleep(0.02)


def pinned(argv, core):
    return argv if core is None else ['taskset', '-c', str(core), *argv]


def output(argv, core=None, timeout=120, **options):
    done = subprocess.run(pinned(argv, core), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout,
                          **options)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}')
    return done.stdout


def make_certificates(directory, *members):
    output([f'{TOP}/contrib/make-certs', directory, *members])
