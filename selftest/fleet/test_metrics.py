# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemons' figures, as a scraper reads them."""
import grpc
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import contents
from wire import Wire

ADMIN, AGENT = '/run/givc-admin/metrics', '/run/givc-agent/metrics'
URL = 'http://localhost/metrics'


def scrape(fleet, machine, socket):
    """{(sample's name, {(label, value)}): value}, by a parser that is strict."""
    text = fleet.run(machine, ['curl', '-sS', '--fail', '--unix-socket', socket, URL], check=True).stdout
    return {(sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


def value(figures, name, **labels):
    return figures[name, frozenset(labels.items())]


QUERY = {'service': 'admin.AdminService', 'method': 'QueryList'}


def test_calls_are_counted_by_method_and_status(givc):
    givc.givcctl('query-list', check=True)
    before = scrape(givc, 'admin-vm', ADMIN)
    for _ in range(3):
        givc.givcctl('query-list', check=True)
    assert givc.givcctl('start', 'service', 'nowhere.service', '--vm', 'no-vm').returncode != 0
    after = scrape(givc, 'admin-vm', ADMIN)
    assert value(after, 'givc_calls_total', **QUERY, code='OK') == value(before, 'givc_calls_total', **QUERY, code='OK') + 3
    assert value(after, 'givc_call_errors_total', **QUERY) == 0
    assert value(after, 'givc_call_errors_total', service='admin.AdminService', method='StartService') > 0
    count = value(after, 'givc_call_duration_seconds_count', **QUERY)
    assert value(after, 'givc_call_duration_seconds_bucket', **QUERY, le='+Inf') == count
    assert value(after, 'givc_call_duration_seconds_bucket', **QUERY, le='60.0') == count
    assert value(after, 'givc_call_duration_seconds_sum', **QUERY) > 0


def test_methods_that_do_not_exist_take_no_room(givc):
    def call(path):
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)(b'', timeout=20)

    before = len(scrape(givc, 'admin-vm', ADMIN))
    with Wire(givc) as wire:
        channel = wire.channel('admin-vm', 9001, source='net-vm')
        for i in range(50):
            call(f'/admin.AdminService/Made{i}')
            call(f'/made.Up{i}/Method')
    after = scrape(givc, 'admin-vm', ADMIN)
    assert value(after, 'givc_calls_total', service='', method='unknown', code='UNIMPLEMENTED') >= 100
    assert len(after) < before + 30


def test_the_registry_in_figures(givc):
    figures = scrape(givc, 'admin-vm', ADMIN)
    machines = len(givc.names)
    assert value(figures, 'givc_registry_entries', type='Mgr') == machines
    assert value(figures, 'givc_registry_entries', type='VM') == machines - 1
    assert value(figures, 'givc_agents', state='online') == machines
    assert value(figures, 'givc_agents', state='offline') == 0
    assert value(figures, 'givc_recoveries_total') == 0
    assert value(figures, 'givc_build_info', program='givc-admin', version='0.1.0') == 1


def test_refused_connections_by_reason(givc):
    before = scrape(givc, 'admin-vm', ADMIN)
    givc.run('net-vm', 'openssl s_client -connect admin-vm:9001 -CAfile /etc/givc/ca-cert.pem -alpn h2 </dev/null')
    givc.run('net-vm', 'echo hello | timeout 5 bash -c "cat >/dev/tcp/admin-vm/9001"')

    def refused(reason):
        after = scrape(givc, 'admin-vm', ADMIN)
        return value(after, 'givc_connections_refused_total', reason=reason) - \
            value(before, 'givc_connections_refused_total', reason=reason)
    assert refused('certificate') >= 1
    assert refused('protocol') >= 1


def test_the_agents_figures(givc):
    givc.givcctl('start', 'service', 'demo-clock.service', '--vm', 'net-vm', check=True)
    figures = scrape(givc, 'net-vm', AGENT)
    assert value(figures, 'givc_calls_total', service='systemd.UnitControlService', method='StartUnit', code='OK') >= 1
    assert value(figures, 'givc_admin_connected') == 1
    assert value(figures, 'givc_watchers') >= 1
    assert value(figures, 'givc_units') >= len(givc.exposed['net-vm'])


def test_the_text_alone(givc):
    """As socat reads it: connects, and waits."""
    script = ('import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n'
              'while data := s.recv(65536): sys.stdout.buffer.write(data)')
    text = givc.run('admin-vm', ['/usr/bin/python3', '-c', script, ADMIN], check=True).stdout
    assert text.startswith('# TYPE givc_build info\n') and text.endswith('# EOF\n')
    assert list(text_string_to_metric_families(text))


@pytest.mark.parametrize('machine, socket', [('admin-vm', ADMIN), ('net-vm', AGENT)])
def test_only_who_may(givc, machine, socket):
    refused = givc.run(machine, ['runuser', '-u', contents.USER, '--', 'curl', '-sS', '--unix-socket', socket, URL])
    assert refused.returncode == 7 and refused.stdout == ''


def test_what_is_not_there(givc):
    def status(*arguments):
        return givc.run('admin-vm', ['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', '--unix-socket', ADMIN, *arguments],
                        check=True).stdout
    assert status('http://localhost/other') == '404'
    assert status('-X', 'POST', URL) == '405'
    assert status('-H', f'X: {"x" * 8000}', URL) == '431'
    assert status('-I', URL) == '200'
