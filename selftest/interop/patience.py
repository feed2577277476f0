# SPDX-License-Identifier: GPL-2.0-or-later
"""How much longer everything takes under valgrind: what a test's bounds on time are multiplied by."""

import os

SLOWNESS = 10 if "GIVC_VALGRIND" in os.environ else 1
