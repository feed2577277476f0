# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs to start an application: from the call to the running process, beside systemd-run in the same guest."""
import json

from figures import Figure, quantile

VM = 'app-vm'
STARTS = 100  # of each, in turns

# Runs on the host: for each line on standard input one StartApplication; prints when it was called, and what was started.
CALL = r'''
import json, os, sys, time
import grpc
def read(variable):
    with open(os.environ[variable], 'rb') as f:
        return f.read()
credentials = grpc.ssl_channel_credentials(read('GIVC_CA_CERT'), read('GIVC_HOST_KEY'), read('GIVC_HOST_CERT'))
channel = grpc.secure_channel(f'{os.environ["GIVC_ADDR"]}:{os.environ["GIVC_PORT"]}', credentials,
                              (('grpc.ssl_target_name_override', os.environ['GIVC_NAME']),))
start = channel.unary_unary('/admin.AdminService/StartApplication')
grpc.channel_ready_future(channel).result(timeout=10)
# admin.ApplicationRequest: AppName=1, VmName=2; admin.StartResponse: registryId=1.
request = b''.join(bytes([number << 3 | 2, len(text)]) + text.encode() for number, text in ((1, sys.argv[1]), (2, sys.argv[2])))
for _ in sys.stdin:
    begin = time.monotonic_ns()
    answer = start(request, timeout=10)
    print(json.dumps([begin, answer[2:].decode()]), flush=True)
'''

# Runs in the guest: the same with systemd-run.
RUN = r'''
import json, subprocess, sys, time
for line in sys.stdin:
    unit = line.strip()
    begin = time.monotonic_ns()
    subprocess.run(['systemd-run', '--quiet', '--collect', '--property=Type=exec', f'--unit={unit}', '/bin/sleep', 'infinity'],
                   check=True)
    print(json.dumps([begin, unit]), flush=True)
'''


def one(fleet, process, line):
    """Milliseconds from the call until systemd saw that the program was executed (Type=exec): one clock, one machine."""
    process.stdin.write(f'{line}\n')
    process.stdin.flush()
    begin, unit = json.loads(process.stdout.readline())
    shown = fleet.run(VM, ['systemctl', 'show', '-p', 'ActiveEnterTimestampMonotonic', '--value', unit], check=True).stdout
    fleet.run(VM, ['systemctl', 'stop', unit], check=True)
    return (int(shown) - begin / 1000) / 1000


def application_figures(fleet):
    python = ['/usr/bin/python3', '-u', '-c']
    with fleet.popen('ghaf-host', [*python, CALL, 'sleeper', VM], stdin=-1, stdout=-1) as call, \
            fleet.popen(VM, [*python, RUN], stdin=-1, stdout=-1) as run:
        try:
            results = [(one(fleet, call, ''), one(fleet, run, f'bench-{n}.service')) for n in range(STARTS)]
        finally:
            call.kill()
            run.kill()
    ours, theirs = zip(*results)
    for name, q in (('p50', 0.5), ('p99', 0.99)):
        a, b = quantile(ours, q), quantile(theirs, q)
        yield Figure(f'StartApplication to running process, {name}', a, 'ms', ('<', 2), b, 'to systemd-run in the same guest')
        yield Figure(f'  and what it takes more, {name}', a - b, 'ms', ('<', 5), note=f'of {STARTS} starts')
