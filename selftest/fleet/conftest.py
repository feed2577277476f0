# SPDX-License-Identifier: GPL-2.0-or-later
"""pytest --destdir DIR: where `meson install` put givc. Tests that need it ask for the fixture `destdir`, or right away
for `givc`, a running fleet that the tests of one file share."""
import pytest

from miniature import Fleet
from wire import Wire


def pytest_addoption(parser):
    parser.addoption('--destdir', help="the DESTDIR of givc's meson install")
    parser.addoption('--kills', type=int, default=25, help='how often test_soak kills a daemon')
    parser.addoption('--attack-seconds', type=int, help='how long each attack of test_hostile goes on, instead of a second or two')


@pytest.fixture(scope='session')
def destdir(request):
    directory = request.config.getoption('--destdir')
    if not directory:
        pytest.skip('needs an installed givc: --destdir DIR')
    return directory


@pytest.fixture(scope='module')
def givc(destdir):
    with Fleet(destdir) as fleet:
        fleet.wait_registered()
        yield fleet


@pytest.fixture(scope='module')
def wire(fleet):
    """gRPC with the machines of a file's own fleet."""
    with Wire(fleet) as wire:
        yield wire
