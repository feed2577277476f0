# SPDX-License-Identifier: GPL-2.0-or-later
"""A template for python3-dbusmock: its NetworkManager, with an adapter, networks, and connections that take a moment to come
up, or do not. Every profile that it is given is written to /run/networkmanager-mock, a JSON object a line."""
import json
import os

import dbus
import dbusmock
from dbusmock.templates import networkmanager as stock
from dbusmock.templates.networkmanager import *  # noqa: F401,F403  (a template's methods are those of its module)
from gi.repository import GLib

DEVICE = '/org/freedesktop/NetworkManager/Devices/wlan0'
POINTS = '/org/freedesktop/NetworkManager/AccessPoint/'
SEEN = '/run/networkmanager-mock'
PSK, EAP, SAE, CCMP = 0x100, 0x200, 0x400, 0x88
# name: SSID, strength, Flags, WpaFlags, RsnFlags
NETWORKS = {
    'home': (b'Home', 60, 1, 0, PSK | CCMP),
    'home2': (b'Home', 80, 1, 0, PSK | CCMP),
    'new': ('Neues Café'.encode(), 70, 1, 0, SAE | CCMP),
    'both': (b'Both', 30, 1, PSK, PSK | SAE | CCMP),
    'work': (b'Work', 50, 1, 0, EAP | CCMP),
    'lab': (b'Lab', 45, 1, 0, EAP | CCMP),
    'open': (b'Open', 40, 0, 0, 0),
    'old': (b'Old', 20, 1, 0, 0),
    'odd': (b'odd\xff\n', 10, 0, 0, 0),
    'far': (b'Far', 5, 0, 0, 0),
}


def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, dbus.Array) and value.signature == 'y' or isinstance(value, dbus.ByteArray):
        return bytes(value).decode('latin-1')
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, dbus.Boolean):
        return bool(value)
    return str(value) if isinstance(value, str) else int(value)


def note(kind, settings):
    with open(SEEN, 'a') as f:
        f.write(json.dumps({kind: plain(settings)}) + '\n')


def put(path, interface, **properties):
    """Without a signal, and of any type."""
    dbusmock.get_object(path).props[interface].update(properties)


def come_up(self, connection, point, works):
    active = self.activate_stock(self, connection, DEVICE, point)
    put(active, stock.ACTIVE_CONNECTION_IFACE, State=dbus.UInt32(1))

    def end():
        state, reason = (2, 1) if works else (4, 9)
        put(active, stock.ACTIVE_CONNECTION_IFACE, State=dbus.UInt32(state))
        if works:
            put(DEVICE, stock.WIRELESS_DEVICE_IFACE, ActiveAccessPoint=dbus.ObjectPath(point))
        dbusmock.get_object(active).EmitSignal(stock.ACTIVE_CONNECTION_IFACE, 'StateChanged', 'uu',
                                               [dbus.UInt32(state), dbus.UInt32(reason)])

    if point != POINTS + 'far':  # of which nothing is heard any more
        GLib.timeout_add(20, end)
    return active


def activate(self, connection, _device, point):
    note('activate', {'connection': {'path': connection}})
    return come_up(self, connection, point, True)


def add_and_activate(self, settings, device, point):
    note('add', settings)
    security = settings.get('802-11-wireless-security', {})
    if len(security.get('psk', 'x' * 8)) < 8:
        raise dbus.exceptions.DBusException('802-11-wireless-security.psk: property is invalid',
                                            name='org.freedesktop.NetworkManager.Settings.Connection.InvalidProperty')
    name = str(settings['connection']['id'])
    connection = stock.AddWiFiConnection(self, device, 'new' + str(len(name)), bytes(settings['802-11-wireless']['ssid']).decode(), '')
    return connection, come_up(self, connection, point, security.get('psk') != 'wrong-password')


def disconnect(self):
    if self.Get(stock.WIRELESS_DEVICE_IFACE, 'ActiveAccessPoint') == '/':
        raise dbus.exceptions.DBusException('This device is not active', name='org.freedesktop.NetworkManager.Device.NotActive')
    put(DEVICE, stock.WIRELESS_DEVICE_IFACE, ActiveAccessPoint=dbus.ObjectPath('/'))


def save(mock, name, ssid, settings):
    """A profile that is there already."""
    stock.AddWiFiConnection(mock, DEVICE, name, ssid, '')
    saved = dbusmock.get_object(f'{stock.SETTINGS_OBJ}/{name}')
    saved.settings.update(settings)
    saved.settings['802-11-wireless']['hidden'] = True
    update = saved.ConnectionUpdate

    def noted(self, new):
        note('update', new)
        update(self, new)

    saved.ConnectionUpdate = noted


def load(mock, parameters):
    stock.load(mock, parameters)
    manager = dbusmock.get_object(stock.MANAGER_OBJ)
    manager.activate_stock, manager.activate_connection = manager.activate_connection, activate
    manager.add_and_activate_connection = add_and_activate
    if not os.environ.get('MOCK_ADAPTER', 'wlan0'):
        return
    stock.AddWiFiDevice(mock, 'wlan0', 'wlan0', 100)
    device = dbusmock.get_object(DEVICE)
    device.AddProperty(stock.WIRELESS_DEVICE_IFACE, 'ActiveAccessPoint', dbus.ObjectPath('/'))
    device.disconnect = disconnect
    device.AddMethod(stock.DEVICE_IFACE, 'Disconnect', '', '', 'self.disconnect(self)')
    for name, (ssid, strength, flags, wpa, rsn) in NETWORKS.items():
        stock.AddAccessPoint(mock, DEVICE, name, name, '00:11:22:33:44:55', 2, 2412, 54, strength, PSK)
        put(POINTS + name, stock.ACCESS_POINT_IFACE, Ssid=dbus.ByteArray(ssid), Flags=dbus.UInt32(flags), WpaFlags=dbus.UInt32(wpa),
            RsnFlags=dbus.UInt32(rsn))
    save(mock, 'saved', 'Home', {'ipv4': {'method': 'auto'}, '802-11-wireless-security': {'key-mgmt': 'sae', 'pmf': dbus.Int32(3)}})
    save(mock, 'office', 'Work', {'802-11-wireless-security': {'key-mgmt': 'wpa-eap'}, '802-1x': {
        'eap': dbus.Array(['ttls'], signature='s'), 'identity': 'kim', 'password': 'old'}})
