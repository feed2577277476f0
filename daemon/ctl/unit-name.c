/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-name.h"

#include "failure.h"
#include "text.h"

int unit_name_complete(const char *given, char **ret) {
        _cleanup_(freep) char *name =
                        text_is_unit_name(given) ? strdup(given) : text_printf("%s.service", given);

        if (!name)
                return fail_errno(-ENOMEM, given);
        if (!text_is_unit_name(name))
                return fail_usage("'%s' is no name of a unit", given);
        *ret = TAKE_PTR(name);
        return EXIT_DONE;
}

int vm_name_check(const char *given) {
        if (!text_is_host_name(given))
                return fail_usage("'%s' is no name of a VM", given);
        return EXIT_DONE;
}

int unit_name_split(const char *given, const char *vm, char **ret_vm, char **ret_unit) {
        const char *slash = strchr(given, '/');
        _cleanup_(freep) char *name = NULL;
        int r;

        if (!slash && !vm)
                return fail_usage("in which VM is '%s'? Give --vm, or write VM/UNIT", given);
        name = slash ? strndup(given, (size_t) (slash - given)) : strdup(vm);
        if (!name)
                return fail_errno(-ENOMEM, given);
        r = vm_name_check(name);
        if (r != EXIT_DONE)
                return r;
        r = unit_name_complete(slash ? slash + 1 : given, ret_unit);
        if (r == EXIT_DONE)
                *ret_vm = TAKE_PTR(name);
        return r;
}
