/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "util.h"

/*
 * A component type as users give it: its number in RegistryRequest.Type, 0 to 14; Host, AdmVM, SysVM or
 * AppVM; or VM, Mgr, Svc or App, in any case. *ret_vm_type and *ret_kind are static texts, NULL: any.
 * EXIT_DONE, or it has complained.
 */
int component_type_read(
                const char *given, const char *option, const char **ret_vm_type, const char **ret_kind);
