# SPDX-License-Identifier: GPL-2.0-or-later
"""Wi-Fi, by an agent beside python3-dbusmock's NetworkManager on a real system bus."""
import json
import os
import queue

import grpc
import pytest
from grpc import StatusCode

from contents import file, unit
from miniature import Fleet
from wire import assert_forgotten

MACHINE = 'net-vm'
SEEN = '/run/networkmanager-mock'
STEADY = 20
HERE = os.path.dirname(os.path.abspath(__file__))
MOCK = open(f'{HERE}/networkmanager_mock.py').read()
BUS_POLICY = '''<busconfig><policy user="root"><allow own="org.freedesktop.NetworkManager"/></policy>
<policy context="default"><allow send_destination="org.freedesktop.NetworkManager"/></policy></busconfig>
'''
SERVICE = '''[Unit]
StartLimitIntervalSec=0

[Service]
Type=dbus
BusName=org.freedesktop.NetworkManager
ExecStart=/usr/bin/python3 -m dbusmock --system --template /usr/local/lib/networkmanager_mock.py
'''


def with_wifi(spec):
    for machine in spec['machines']:
        for entry in machine['files']:
            if entry.get('path') == '/etc/givc/agent.json' and machine['name'] == MACHINE:
                config = json.loads(entry['content'])
                config['capabilities']['wifi'] = {'enable': True}
                entry['content'] = json.dumps(config)


class Wifi:
    def __init__(self, fleet, wire, source='ghaf-host'):
        self.fleet, self.pb = fleet, wire.pb
        self.stub = wire.stub(MACHINE, 9000, 'wifimanager.WifiService', source=source)
        self.empty = self.pb.msg('wifimanager.EmptyRequest')()

    def restart(self, adapter=True):
        """NetworkManager, as new."""
        self.fleet.run(MACHINE, ['systemctl', 'set-environment', f'MOCK_ADAPTER={"wlan0" if adapter else ""}'], check=True)
        self.fleet.run(MACHINE, ['/bin/sh', '-c', f'rm -f {SEEN}; systemctl restart mock-nm.service'], check=True)

    def list(self, name=''):
        request = self.pb.msg('wifimanager.WifiNetworkRequest')(NetworkName=name)
        return self.stub.ListNetwork(request, timeout=STEADY, wait_for_ready=True).networks

    def active(self):
        return self.stub.GetActiveConnection(self.empty, timeout=STEADY, wait_for_ready=True)

    def connect(self, ssid, password='', settings='', timeout=STEADY):
        settings = settings if isinstance(settings, str) else json.dumps(settings)
        request = self.pb.msg('wifimanager.WifiConnectionRequest')(SSID=ssid, Password=password, Settings=settings)
        return self.stub.ConnectNetwork(request, timeout=timeout, wait_for_ready=True).Response

    def error(self, call, *arguments, **options):
        with pytest.raises(grpc.RpcError) as raised:
            call(*arguments, **options)
        return raised.value.code(), raised.value.details()

    def seen(self):
        """The profiles that NetworkManager was given, and what for."""
        return [json.loads(line) for line in self.fleet.read_file(MACHINE, SEEN).decode().splitlines()]


@pytest.fixture(scope='module')
def fleet(destdir):
    files = {MACHINE: [file('/usr/local/lib/networkmanager_mock.py', MOCK), file('/etc/dbus-1/system.d/mock-nm.conf', BUS_POLICY),
                       unit('mock-nm.service', SERVICE)]}
    with Fleet(destdir, files=files, configure=with_wifi) as fleet:
        fleet.wait_registered()
        yield fleet


@pytest.fixture
def wifi(fleet, wire):
    wifi = Wifi(fleet, wire)
    wifi.restart()
    return wifi


def test_networks_are_listed_once_each_the_strongest_first(wifi):
    assert [(point.SSID, point.Signal, point.Security) for point in wifi.list()] == [
        ('Home', 80, 'WPA2'), ('Neues Café', 70, 'WPA3'), ('Work', 50, 'WPA2 802.1X'), ('Lab', 45, 'WPA2 802.1X'), ('Open', 40, ''),
        ('Both', 30, 'WPA WPA2 WPA3'), ('Old', 20, 'WEP'), ('odd\\xff\\x0a', 10, ''), ('Far', 5, '')]
    assert [point.SSID for point in wifi.list('Work')] == ['Work']
    assert not wifi.list('Nowhere')


def test_a_saved_network_is_joined_by_its_profile(wifi):
    assert not wifi.active().Connection
    assert wifi.connect('Home') == 'Connected to Home successfully'
    assert wifi.seen() == [{'activate': {'connection': {'path': '/org/freedesktop/NetworkManager/Settings/saved'}}}]
    active = wifi.active()
    assert (active.Connection, active.SSID, active.Signal, active.Security) == (True, 'Home', 80, 'WPA2')
    assert [point.SSID for point in wifi.list() if point.Connection] == ['Home']


def test_a_new_password_is_put_into_the_saved_profile(wifi):
    """Which keeps all the rest."""
    wifi.connect('Home', 'a better password', {'connection': {'autoconnect': False}})
    update, activate = wifi.seen()
    assert update['update']['802-11-wireless-security'] == {'key-mgmt': 'sae', 'pmf': 3, 'psk': 'a better password'}
    assert update['update']['802-11-wireless']['hidden'] is True
    assert update['update']['ipv4'] == {'method': 'auto'}
    assert (update['update']['connection']['id'], update['update']['connection']['autoconnect']) == ('Home', False)
    assert 'activate' in activate


def test_the_agent_forgets_a_password(wifi):
    if wifi.fleet.sanitized:
        pytest.skip('terabytes to look through')
    wifi.connect('Neues Café', 'unforgettable')
    assert not wifi.list('Nowhere')  # by then the call before has been cleared away
    assert_forgotten(wifi.fleet, MACHINE, 'givc-agent.service', 'unforgettable')


def test_a_new_password_of_8021x_leaves_who_one_is(wifi):
    wifi.connect('Work', 'new', {'802-1x': {'identity': 'kim2'}})
    assert wifi.seen()[0]['update']['802-1x'] == {'eap': ['ttls'], 'identity': 'kim2', 'password': 'new'}


@pytest.mark.parametrize('ssid, security', [
    ('Neues Café', {'key-mgmt': 'sae', 'psk': 'long enough'}),
    ('Both', {'key-mgmt': 'wpa-psk', 'psk': 'long enough'}),
    ('Old', {'key-mgmt': 'none', 'wep-key0': 'long enough'}),
    ('Open', None),
])
def test_a_new_network_is_joined_as_it_asks(wifi, ssid, security):
    assert wifi.connect(ssid, 'long enough' if security else '') == f'Connected to {ssid} successfully'
    profile = wifi.seen()[0]['add']
    assert profile.get('802-11-wireless-security') == security
    assert profile['connection'] == {'id': ssid, 'type': '802-11-wireless'}
    assert profile['802-11-wireless']['ssid'].encode('latin-1').decode() == ssid


def test_8021x_takes_its_settings(wifi):
    settings = {'802-1x': {'eap': ['peap'], 'identity': 'kim', 'phase2-auth': 'mschapv2', 'ca-cert': 'file:///etc/ca.pem',
                           'password-flags': 0, 'auth-timeout': 30, 'system-ca-certs': True}}
    wifi.connect('Lab', 'secret', settings)
    profile = wifi.seen()[0]['add']
    assert profile['802-11-wireless-security'] == {'key-mgmt': 'wpa-eap'}
    assert profile['802-1x'] == {**settings['802-1x'], 'password': 'secret', 'ca-cert': 'file:///etc/ca.pem\0'}
    assert wifi.connect('Lab') == 'Connected to Lab successfully'  # it is saved by now


def test_what_does_not_work_is_said_as_networkmanager_names_it(wifi):
    code, text = wifi.error(wifi.connect, 'Neues Café', 'wrong-password')
    assert (code, text) == (StatusCode.INVALID_ARGUMENT, 'cannot connect: NetworkManager gave up: no-secrets')
    assert wifi.error(wifi.connect, 'Neues Café', 'short') == (
        StatusCode.INVALID_ARGUMENT, 'cannot connect: org.freedesktop.NetworkManager.Settings.Connection.InvalidProperty: '
        '802-11-wireless-security.psk: property is invalid')
    # The profile that did not work is gone: a password is asked for again.
    assert wifi.error(wifi.connect, 'Neues Café') == (StatusCode.INVALID_ARGUMENT, 'cannot connect: a Password is needed')
    assert wifi.error(wifi.connect, 'Lab', 'secret')[1].endswith('Settings must have a section 802-1x, with eap and what that needs')
    assert wifi.error(wifi.connect, 'Nowhere') == (StatusCode.NOT_FOUND, 'cannot connect: no network of that name is in sight')
    assert wifi.error(wifi.connect, 'x' * 33)[0] == StatusCode.INVALID_ARGUMENT
    assert wifi.error(wifi.connect, '')[0] == StatusCode.INVALID_ARGUMENT
    assert 'wrong-password' not in wifi.fleet.journal(MACHINE, 'givc-agent.service')


@pytest.mark.parametrize('settings', ['[]', '{', '{"vpn": {}}', '{"802-1x": []}', '{"802-1x": {"a": {}}}', '{"802-1x": {"a": [1]}}',
                                      '{"connection": {"uuid": "x"}}', '{"802-1x": {"a": 1.5}}', '{"802-1x": {"a": 4294967296}}',
                                      ' ' * 20000])
def test_settings_that_are_none_are_refused(wifi, settings):
    code, text = wifi.error(wifi.connect, 'Work', 'x', settings)
    assert code == StatusCode.INVALID_ARGUMENT and text.startswith('cannot connect: Settings: ')


def test_who_waits_no_longer_leaves_nothing_behind(wifi):
    assert wifi.error(wifi.connect, 'Far', timeout=0.5)[0] == StatusCode.DEADLINE_EXCEEDED
    assert wifi.connect('Open') == 'Connected to Open successfully'


def test_who_waits_and_waits_leaves_others_some_room(wifi, wire):
    other = Wifi(wifi.fleet, wire, source='app-vm')
    request = wifi.pb.msg('wifimanager.WifiConnectionRequest')(SSID='Far', Password='long enough')
    refused = queue.Queue()
    calls = [wifi.stub.ConnectNetwork.future(request, timeout=STEADY, wait_for_ready=True) for _ in range(21)]
    for call in calls:
        call.add_done_callback(refused.put)
    first = refused.get(timeout=STEADY)
    assert first.code() is StatusCode.RESOURCE_EXHAUSTED and 'may have 20 now' in first.details()
    assert other.list()
    for call in calls:
        call.cancel()


def test_off_and_on(wifi):
    assert wifi.error(wifi.stub.DisconnectNetwork, wifi.empty, timeout=STEADY) == (
        StatusCode.FAILED_PRECONDITION,
        'cannot disconnect: org.freedesktop.NetworkManager.Device.NotActive: This device is not active')
    wifi.connect('Open')
    assert wifi.stub.DisconnectNetwork(wifi.empty, timeout=STEADY).Response == 'wlan0 disconnected successfully'
    assert not wifi.active().Connection
    assert wifi.stub.TurnOff(wifi.empty, timeout=STEADY).Response == 'Wireless disabled successfully'
    said = wifi.fleet.run(MACHINE, ['busctl', 'get-property', 'org.freedesktop.NetworkManager', '/org/freedesktop/NetworkManager',
                                    'org.freedesktop.NetworkManager', 'WirelessEnabled'], check=True).stdout
    assert said == 'b false\n'
    assert wifi.stub.TurnOn(wifi.empty, timeout=STEADY).Response == 'Wireless enabled successfully'


def test_without_an_adapter_or_networkmanager_it_is_said(wifi):
    wifi.restart(adapter=False)
    assert wifi.error(wifi.list) == (StatusCode.FAILED_PRECONDITION,
                                     'cannot list networks: there is no Wi-Fi adapter that NetworkManager manages')
    wifi.fleet.run(MACHINE, ['systemctl', 'stop', 'mock-nm.service'], check=True)
    assert wifi.error(wifi.list) == (StatusCode.UNAVAILABLE, 'cannot list networks: NetworkManager does not run')


def test_givcctl_does_it_all(wifi):
    def ctl(*arguments, code=0, **options):
        result = wifi.fleet.givcctl('--addr', '192.168.100.3', '--port', '9000', '--name', MACHINE, 'wifi', *arguments, **options)
        assert result.returncode == code, result.stderr
        return result.stderr if code else result.stdout

    assert ctl('status') == 'not connected\n'
    assert ctl('list').splitlines()[1].split() == ['Home', '80', '-', 'WPA2']
    assert ctl('connect', 'Both', '--password-file=-', input='long enough\n') == 'Connected to Both successfully.\n'
    assert wifi.seen()[0]['add']['802-11-wireless-security']['psk'] == 'long enough'
    assert json.loads(ctl('status', '--json')) == {'connection': True, 'ssid': 'Both', 'signal': 30, 'security': 'WPA WPA2 WPA3'}
    assert 'a Password is needed' in ctl('connect', 'Neues Café', code=1)
    assert ctl('disconnect') == 'wlan0 disconnected successfully.\n'
    assert ctl('off') == 'Wireless disabled successfully.\n'
    assert ctl('on') == 'Wireless enabled successfully.\n'
