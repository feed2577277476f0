/* SPDX-License-Identifier: GPL-2.0-or-later */
/* query, query-list and list: the registry; get-status: one unit of a VM. */
#include "admin.pb-c.h"
#include "component-type.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "show.h"
#include "text.h"
#include "unit-name.h"

#include <fnmatch.h>
#include <strings.h>

struct filter {
        const char *vm_type, *kind; /* NULL: any */
        const struct options_texts *names;
        const char *vm;
        const char *status; /* "online" and "offline" are of the agent */
        enum output_order order;
};

static const char *find_word(const char *const *words, size_t n, const char *word) {
        for (size_t i = 0; i < n; i++)
                if (strcasecmp(words[i], word) == 0)
                        return words[i];
        return NULL;
}

static const char *const states[] = { "Running", "PoweredOff", "Paused", "online", "offline" };
static const char *const orders[] = {
        [OUTPUT_BY_VM] = "vm",
        [OUTPUT_BY_NAME] = "name",
        [OUTPUT_BY_TYPE] = "type",
        [OUTPUT_BY_STATUS] = "status",
        [OUTPUT_BY_SINCE] = "since",
};

static int read_order(const char *given, enum output_order *ret) {
        for (size_t i = 0; i < ELEMENTSOF(orders); i++)
                if (strcasecmp(given, orders[i]) == 0) {
                        *ret = i;
                        return EXIT_DONE;
                }
        return fail_usage("--sort: '%s' is none of vm, name, type, status, since", given);
}

static int read_filter(const struct options *options, struct filter *filter) {
        int r;

        *filter = (struct filter){ .names = &options->by_name, .vm = options->vm };
        if (options->state) {
                filter->status = find_word(states, ELEMENTSOF(states), options->state);
                if (!filter->status)
                        return fail_usage("--state: '%s' is none of running, poweredoff, paused, online, "
                                          "offline",
                                        options->state);
        }
        r = options->sort ? read_order(options->sort, &filter->order) : EXIT_DONE;
        if (r != EXIT_DONE)
                return r;
        if (!options->by_type)
                return EXIT_DONE;
        return component_type_read(options->by_type, "by-type", &filter->vm_type, &filter->kind);
}

static bool status_pass(const char *status, const Admin__QueryListItem *item) {
        if (streq(status, "online") || streq(status, "offline"))
                return item->online_presence_case && item->online == streq(status, "online");
        return streq(status, item->vmstatus);
}

/* Any of them will do. */
static bool names_pass(const struct options_texts *names, const char *name) {
        for (size_t i = 0; i < names->n; i++) {
                const char *wanted = names->texts[i];

                if (strpbrk(wanted, "*?[") ? fnmatch(wanted, name, 0) == 0 : strstr(name, wanted) != NULL)
                        return true;
        }
        return false;
}

static bool filter_pass(const struct filter *filter, const Admin__QueryListItem *item) {
        if (filter->vm_type && !streq(filter->vm_type, item->vmtype))
                return false;
        if (filter->kind && !streq(filter->kind, item->servicetype))
                return false;
        if (filter->vm && !(item->vm_name_presence_case && streq(filter->vm, item->vmname)))
                return false;
        if (filter->status && !status_pass(filter->status, item))
                return false;
        return filter->names->n == 0 || names_pass(filter->names, item->name);
}

static int show_list(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Admin__QueryListResponse *all = (const Admin__QueryListResponse *) response;
        const struct options *options = session->options;
        _cleanup_(freep) Admin__QueryListItem **chosen = NULL;
        struct filter filter;
        size_t n = 0;
        int r;

        r = read_filter(options, &filter);
        if (r != EXIT_DONE)
                return r;
        chosen = calloc(all->n_list + 1, sizeof(*chosen));
        if (!chosen)
                return fail_errno(-ENOMEM, "cannot print");
        for (size_t i = 0; i < all->n_list; i++)
                if (filter_pass(&filter, all->list[i]))
                        chosen[n++] = all->list[i];
        if ((!options->json && !options->compatible) || options->sort)
                output_sort(chosen, n, filter.order);
        if (options->json)
                r = output_list_json(stdout, chosen, n, options->compatible);
        else if (options->compatible)
                output_list_deployed(stdout, chosen, n);
        else if (n > 0)
                r = output_table(stdout, chosen, n);
        else
                complain(all->n_list > 0 ? "nothing registered is of this kind" : "nothing is registered");
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

int verb_query(struct session *session, const struct options *options) {
        const Admin__Empty message = ADMIN__EMPTY__INIT;
        struct filter filter;
        int r;

        r = read_filter(options, &filter); /* a wrong one is told before anybody is asked */
        if (r != EXIT_DONE)
                return r;
        r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "QueryList",
                                        .message = &message.base,
                                        .what = "cannot list what is registered",
                                        .show = show_list,
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}

static int show_answer(struct session *session, const ProtobufCMessage *response, const char *subject) {
        return show_status(session->options, (const Systemd__UnitStatus *) response);
}

int verb_get_status(struct session *session, const struct options *options) {
        Admin__UnitStatusRequest message = ADMIN__UNIT_STATUS_REQUEST__INIT;
        _cleanup_(freep) char *unit = NULL, *what = NULL;
        int r;

        r = vm_name_check(options->arguments[0]);
        if (r != EXIT_DONE)
                return r;
        r = unit_name_complete(options->arguments[1], &unit);
        if (r != EXIT_DONE)
                return r;
        what = text_printf("cannot show %s on %s", unit, options->arguments[0]);
        if (!what)
                return fail_errno(-ENOMEM, unit);

        message.vmname = (char *) options->arguments[0];
        message.unitname = unit;
        r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "GetUnitStatus",
                                        .message = &message.base,
                                        .what = what,
                                        .show = show_answer,
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}
