/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "component-type.h"

#include "failure.h"
#include "text.h"

#include <strings.h>

/* By their numbers: each VM type has Mgr, Svc, App in this order, and VM before them; Host no VM. */
#define TYPES 15

static const char *const vm_types[] = { "Host", "AdmVM", "SysVM", "AppVM" };
static const char *const kinds[] = { "VM", "Mgr", "Svc", "App" };

static const char *find_word(const char *const *words, size_t n, const char *word) {
        for (size_t i = 0; i < n; i++)
                if (strcasecmp(words[i], word) == 0)
                        return words[i];
        return NULL;
}

int component_type_read(
                const char *given, const char *option, const char **ret_vm_type, const char **ret_kind) {
        uint64_t number;

        if (text_to_uint(given, TYPES - 1, &number) == 0) {
                *ret_vm_type = vm_types[(number + 1) / 4];
                *ret_kind = kinds[(number + 1) % 4];
                return EXIT_DONE;
        }
        *ret_vm_type = find_word(vm_types, ELEMENTSOF(vm_types), given);
        *ret_kind = find_word(kinds, ELEMENTSOF(kinds), given);
        if (*ret_vm_type || *ret_kind)
                return EXIT_DONE;
        return fail_usage("--%s: '%s' is neither a number from 0 to %d nor one of Host, AdmVM, SysVM, "
                          "AppVM, VM, Mgr, Svc, App",
                        option, given, TYPES - 1);
}
