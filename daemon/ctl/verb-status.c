/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status: one screen about a unit or a VM: its state, since when, how it last ended, and the last lines of
 * its journal. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "timespan.h"
#include "unit-name.h"

#define LINES 10

struct status {
        struct session *session;
        char *vm, *unit; /* of the journal; of which unit the state is asked, may be the host's */
        char *host;      /* the VM whose agent starts this one; NULL: it is not known */
        char *title;
        json_t *json; /* NULL: printed as it comes */
        json_t *log;
        bool is_vm, active;
        bool parted; /* what is below the unit has begun */
};

/* ---- the journal, last ---- */

static void part(struct status *status) {
        if (!status->parted)
                putchar('\n');
        status->parted = true;
}

static void on_line(struct session *session, const ProtobufCMessage *message, void *userdata) {
        const Logs__LogEntry *entry = (const Logs__LogEntry *) message;
        struct status *status = userdata;

        if (status->json) {
                json_array_append_new(status->log,
                                json_pack("{s:I,s:i,s:o}", "time", (json_int_t) entry->realtimeusec,
                                                "priority", (int) entry->priority, "message",
                                                output_text_json(entry->message)));
                return;
        }
        part(status);
        output_log(stdout, entry);
        session_flush(session);
}

/* That there is no journal to be had is said, and no failure: the agent may be old, or let none out. */
static int on_logged(struct session *session _unused_, const struct rpc_status *ended,
                const ProtobufCMessage *response _unused_, void *userdata) {
        struct status *status = userdata;
        const char *why = ended->code == RPC_UNIMPLEMENTED ? "not offered by that VM"
                        : isempty(ended->message)          ? rpc_code_name(ended->code)
                                                           : ended->message;
        int r;

        if (!status->json) {
                if (ended->code != RPC_OK) {
                        part(status);
                        fputs("No journal: ", stdout);
                        output_text(stdout, why);
                        putchar('\n');
                }
                return status->active ? EXIT_DONE : EXIT_FAILED;
        }
        json_object_set_new(status->json, "log", json_incref(status->log));
        r = output_json(stdout, json_incref(status->json));
        return r < 0 ? fail_errno(r, "cannot print") : status->active ? EXIT_DONE : EXIT_FAILED;
}

static int read_journal(struct status *status) {
        Admin__ReadLogsRequest message = ADMIN__READ_LOGS_REQUEST__INIT;
        Logs__LogsRequest request = LOGS__LOGS_REQUEST__INIT;
        _cleanup_(freep) char *agent = text_printf("givc-%s.service", status->vm);

        if (!agent)
                return fail_errno(-ENOMEM, status->title);
        message.vmname = status->vm;
        message.request = &request;
        request.unitname = status->is_vm ? agent : status->unit;
        request.lines = LINES;
        return session_call(status->session,
                        &(struct session_request){
                                        .service = &admin__fleet_service__descriptor,
                                        .method = "ReadLogs",
                                        .message = &message.base,
                                        .what = "cannot read the journal",
                                        .done = on_logged,
                                        .told = on_line,
                                        .userdata = status,
                        });
}

/* ---- the unit ---- */

static void show_detail(struct status *status, const Systemd__UnitDetail *detail) {
        const Systemd__UnitStatus *unit = detail->status;

        status->active = unit && streq(unit->activestate, "active");
        if (status->json)
                json_object_set_new(status->json, "unit", output_detail_json(detail));
        else
                output_detail(stdout, detail);
}

static int on_old_status(struct session *session, const struct rpc_status *ended,
                const ProtobufCMessage *response, void *userdata) {
        Systemd__UnitDetail detail = SYSTEMD__UNIT_DETAIL__INIT;
        struct status *status = userdata;

        if (ended->code != RPC_OK) {
                session_fail(session, status->title, ended);
                return EXIT_DONE;
        }
        detail.status = (Systemd__UnitStatus *) response;
        show_detail(status, &detail);
        return read_journal(status);
}

/* An agent without our service knows the state alone, of a VM the host's does. */
static int ask_old(struct status *status) {
        Admin__UnitStatusRequest message = ADMIN__UNIT_STATUS_REQUEST__INIT;

        message.vmname = status->is_vm ? status->host : status->vm;
        message.unitname = status->unit;
        return session_call(status->session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "GetUnitStatus",
                                        .message = &message.base,
                                        .what = status->title,
                                        .done = on_old_status,
                                        .userdata = status,
                        });
}

static int on_detail(struct session *session, const struct rpc_status *ended,
                const ProtobufCMessage *response, void *userdata) {
        struct status *status = userdata;

        if (ended->code == RPC_UNIMPLEMENTED && (!status->is_vm || status->host))
                return ask_old(status);
        if (ended->code != RPC_OK) {
                session_fail(session, status->title, ended);
                return EXIT_DONE;
        }
        show_detail(status, (const Systemd__UnitDetail *) response);
        return read_journal(status);
}

static int ask_unit(struct status *status) {
        Systemd__ManageUnitRequest inner = SYSTEMD__MANAGE_UNIT_REQUEST__INIT;
        Admin__ManageUnitRequest message = ADMIN__MANAGE_UNIT_REQUEST__INIT;

        inner.unitname = status->unit;
        inner.verb = SYSTEMD__UNIT_VERB__STATUS;
        message.vmname = status->is_vm ? (char *) "" : status->vm;
        message.request = &inner;
        return session_call(status->session,
                        &(struct session_request){
                                        .service = &admin__fleet_service__descriptor,
                                        .method = "ManageUnit",
                                        .message = &message.base,
                                        .what = status->title,
                                        .done = on_detail,
                                        .userdata = status,
                        });
}

/* ---- the VM's agent, first ---- */

static void show_agent(struct status *status, const Admin__QueryListItem *agent) {
        uint64_t now = now_usec(CLOCK_REALTIME);
        char span[TIMESPAN_TEXT];
        bool online = agent && agent->online_presence_case && agent->online;

        if (status->json) {
                json_object_set_new(status->json, "vm", json_string(status->vm));
                json_object_set_new(status->json, "registered", json_boolean(agent));
                json_object_set_new(status->json, "online", json_boolean(online));
                return;
        }
        printf("%s: %s", status->vm, !agent ? "not registered" : online ? "online" : "offline");
        if (agent && agent->since > 0 && agent->since < now)
                printf(" for %s", timespan_format(now - agent->since, span));
        putchar('\n');
        fflush(stdout); /* before what may be complained of */
}

/* By the agent's name, givc-VM.service; NULL: it has none such, or there is no memory. */
static char *vm_of_agent(const Admin__QueryListItem *item) {
        const char *name = item->agent_name_presence_case ? startswith(item->agentname, "givc-") : NULL;
        const char *end = name ? strrchr(name, '.') : NULL;

        return end ? strndup(name, (size_t) (end - name)) : NULL;
}

static int set_unit(struct status *status, const char *vm, const char *unit) {
        free(status->vm);
        free(status->unit);
        free(status->title);
        status->is_vm = false;
        status->vm = strdup(vm);
        status->unit = strdup(unit);
        status->title = text_printf("cannot show %s on %s", unit, vm);
        return status->vm && status->unit && status->title ? EXIT_DONE : fail_errno(-ENOMEM, unit);
}

/* What is no VM may be a unit, which the registry has once: so it says in which VM. */
static int find_unit(struct status *status, const Admin__QueryListResponse *list) {
        const char *given = status->session->options->arguments[0];
        size_t n = strlen(given);

        for (size_t i = 0; i < list->n_list; i++) {
                const Admin__QueryListItem *item = list->list[i];

                if (item->vm_name_presence_case && strncmp(item->name, given, n) == 0 &&
                                (item->name[n] == '\0' || streq(item->name + n, ".service")))
                        return set_unit(status, item->vmname, item->name);
        }
        return EXIT_DONE;
}

static const Admin__QueryListItem *find_agent(
                const struct status *status, const Admin__QueryListResponse *list) {
        for (size_t i = 0; i < list->n_list; i++) {
                const Admin__QueryListItem *item = list->list[i];

                if (streq(item->servicetype, "Mgr") && item->vm_name_presence_case &&
                                streq(item->vmname, status->vm))
                        return item;
        }
        return NULL;
}

static int on_list(struct session *session, const struct rpc_status *ended, const ProtobufCMessage *response,
                void *userdata) {
        const Admin__QueryListResponse *list = (const Admin__QueryListResponse *) response;
        const Admin__QueryListItem *agent;
        struct status *status = userdata;
        int r;

        if (ended->code != RPC_OK) {
                session_fail(session, status->title, ended);
                return EXIT_DONE;
        }
        for (size_t i = 0; i < list->n_list; i++)
                if (status->is_vm && !status->host && streq(list->list[i]->name, status->unit))
                        status->host = vm_of_agent(list->list[i]);
        agent = find_agent(status, list);
        if (status->is_vm && !agent && !status->host) {
                r = find_unit(status, list);
                if (r != EXIT_DONE)
                        return r;
                if (status->is_vm) {
                        complain("neither a VM nor a unit of the name '%s' is registered", status->vm);
                        fprintf(stderr, "'%s query' shows what is registered.\n",
                                        program_invocation_short_name);
                        return EXIT_NOT_FOUND;
                }
                agent = find_agent(status, list);
        }
        show_agent(status, agent);
        /* Nothing starts the host: what there is of it is its agent. */
        if (status->is_vm && agent && streq(agent->vmtype, "Host")) {
                status->is_vm = false;
                free(status->unit);
                status->unit = strdup(agent->name);
                if (!status->unit)
                        return fail_errno(-ENOMEM, status->title);
        }
        return ask_unit(status);
}

static int ask_list(struct session *session, session_done_t done, const char *what, void *userdata) {
        const Admin__Empty message = ADMIN__EMPTY__INIT;

        return session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "QueryList",
                                        .message = &message.base,
                                        .what = what,
                                        .done = done,
                                        .userdata = userdata,
                        });
}

/* ---- the whole fleet ---- */

struct sum {
        size_t vms, online, entries, running;
};

static void count(const Admin__QueryListItem *item, struct sum *sum) {
        sum->entries++;
        sum->running += streq(item->vmstatus, "Running");
        if (!streq(item->servicetype, "Mgr"))
                return;
        sum->vms++;
        sum->online += !item->online_presence_case || item->online;
}

static int on_fleet(struct session *session, const struct rpc_status *ended,
                const ProtobufCMessage *response, void *userdata _unused_) {
        const Admin__QueryListResponse *list = (const Admin__QueryListResponse *) response;
        _cleanup_(freep) Admin__QueryListItem **agents = NULL;
        struct sum sum = {};
        size_t n = 0;
        int r;

        if (ended->code != RPC_OK) {
                session_fail(session, "cannot show the fleet", ended);
                return EXIT_DONE;
        }
        agents = calloc(list->n_list + 1, sizeof(*agents));
        if (!agents)
                return fail_errno(-ENOMEM, "cannot print");
        for (size_t i = 0; i < list->n_list; i++) {
                count(list->list[i], &sum);
                if (streq(list->list[i]->servicetype, "Mgr") || streq(list->list[i]->servicetype, "VM"))
                        agents[n++] = list->list[i];
        }
        if (session->options->json) {
                r = output_json(stdout,
                                json_pack("{s:I,s:I,s:I,s:I}", "machines", (json_int_t) sum.vms, "online",
                                                (json_int_t) sum.online, "entries", (json_int_t) sum.entries,
                                                "running", (json_int_t) sum.running));
                return r < 0                            ? fail_errno(r, "cannot print")
                                : sum.online == sum.vms ? EXIT_DONE
                                                        : EXIT_FAILED;
        }
        printf("%s: %zu machines, %zu online; %zu entries, %zu running\n\n", session->peer, sum.vms,
                        sum.online, sum.entries, sum.running);
        output_sort(agents, n, OUTPUT_BY_VM);
        r = n > 0 ? output_table(stdout, agents, n) : 0;
        return r < 0 ? fail_errno(r, "cannot print") : sum.online == sum.vms ? EXIT_DONE : EXIT_FAILED;
}

/* ---- what is meant ---- */

static void status_clear(struct status *status) {
        free(status->vm);
        free(status->unit);
        free(status->host);
        free(status->title);
        json_decref(status->json);
        json_decref(status->log);
}

/* "VM/UNIT", UNIT with --vm, or a VM. */
static int read_target(struct status *status, const struct options *options) {
        const char *given = options->arguments[0];
        int r;

        if (options->vm || strchr(given, '/'))
                return unit_name_split(given, options->vm, &status->vm, &status->unit);
        r = vm_name_check(given);
        if (r != EXIT_DONE)
                return r;
        status->is_vm = true;
        status->vm = strdup(given);
        status->unit = text_printf("microvm@%s.service", given);
        return status->vm && status->unit ? EXIT_DONE : fail_errno(-ENOMEM, given);
}

int verb_status(struct session *session, const struct options *options) {
        _cleanup_(status_clear) struct status status = { .session = session };
        int r;

        if (options->n_arguments == 0) {
                r = ask_list(session, on_fleet, "cannot show the fleet", NULL);
                return r == EXIT_DONE ? session_run(session) : r;
        }
        r = read_target(&status, options);
        if (r != EXIT_DONE)
                return r;
        status.title = status.is_vm ? text_printf("cannot show VM %s", status.vm)
                                    : text_printf("cannot show %s on %s", status.unit, status.vm);
        if (options->json) {
                status.json = json_object();
                status.log = json_array();
        }
        if (!status.title || (options->json && (!status.json || !status.log)))
                return fail_errno(-ENOMEM, options->arguments[0]);
        r = ask_list(session, on_list, status.title, &status);
        if (r == EXIT_DONE)
                r = session_run(session);
        session_clear_calls(session);
        return r;
}
