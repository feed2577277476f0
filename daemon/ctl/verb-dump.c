/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dump: what somebody needs who is to find out what is wrong with a fleet, in one file. Whatever cannot be
 * had is named in it, with the reason, and holds up nothing else. */
#include "admin.pb-c.h"
#include "bundle.h"
#include "dump-journal.h"
#include "dump-local.h"
#include "failure.h"
#include "file.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

/* More are not asked. */
#define VMS_MAX 256
/* Asked at once. */
#define VMS_AT_ONCE 8
/* Read at once: an admin passes on 4 streams of logs to a peer, of which somebody else may want one, too. */
#define JOURNALS_AT_ONCE 2
/* A host's name (HOST_NAME_MAX), as which it also fits into the archive. */
#define NAME_MAX_BYTES 64
#define ADMIN_UNIT     "givc-admin.service"

static const char about[] = "What givcctl dump has collected: see givcctl(1).\n"
                            "\n"
                            "client.json     version, whom givcctl asked, what the certificates say\n"
                            "local/          of the machine where it ran: systemd's units of givc and\n"
                            "                of VMs, the daemons' figures (OpenMetrics), and the last\n"
                            "                lines of their journals\n"
                            "registry.json   what is registered with the admin\n"
                            "sysinfo.json    what the host is\n"
                            "vm/NAME/        of each machine: its load, the units that its agent\n"
                            "                shows, the last lines of givc's own journal there\n"
                            "errors.txt      what could not be had, and why\n"
                            "\n"
                            "There are names in it, of machines, units, processes, applications and\n"
                            "commands, and addresses. There are no keys and passwords, no files, no\n"
                            "arguments of applications, and no journal but what givc's daemons say\n"
                            "themselves and systemd says of them. Of requests, these log no more than\n"
                            "such names. Texts from a VM are as it has sent them, with control\n"
                            "characters escaped.\n";

struct dump;

struct vm {
        struct dump *dump;
        char *name;
        bool has_agent, has_admin;
        bool offline;                  /* its agent is known not to be connected */
        unsigned n_asked;              /* calls under way, but for journals */
        bool answers;                  /* it has answered one, be it with an error */
        bool wants_agent, wants_admin; /* these journals are to be read yet */
};

/* A call whose answer becomes a piece. */
struct call {
        struct list calls; /* the dump's */
        struct dump *dump;
        struct vm *vm; /* NULL: of the whole fleet */
        char *name;    /* of the piece */
        /* What a unary answer says; NULL: not what it should. */
        json_t *(*json)(struct call *call, const ProtobufCMessage *response);
        struct dump_journal journal; /* of a stream, what has come */
};

struct dump {
        struct session *session;
        struct bundle bundle;
        struct vm vms[VMS_MAX]; /* by name */
        size_t n_vms, next;     /* next to be asked */
        unsigned n_busy;        /* VMs with calls under way */
        unsigned n_journals;    /* under way */
        struct list calls;
};

static void call_free(struct call *call) {
        list_remove(&call->calls);
        piece_clear(&call->journal.piece);
        free(call->name);
        free(call);
}

static void dump_clear(struct dump *dump) {
        struct call *call;

        while ((call = LIST_FIRST(&dump->calls, struct call, calls)))
                call_free(call);
        for (size_t i = 0; i < dump->n_vms; i++)
                free(dump->vms[i].name);
        bundle_clear(&dump->bundle);
}

/* ---- calls ---- */

static void ask_more(struct dump *dump);

static void vm_miss(struct vm *vm, const char *what, const char *reason) {
        _cleanup_(freep) char *name = text_printf("vm/%s%s", vm->name, what);

        bundle_miss(&vm->dump->bundle, name ?: vm->name, "%s", reason);
}

static void keep_answer(struct call *call, const ProtobufCMessage *response) {
        json_t *value = call->json(call, response);

        if (value)
                bundle_add_json(&call->dump->bundle, call->name, value);
        else
                bundle_miss(&call->dump->bundle, call->name, "the answer has not what it should");
}

/* Who has answered nothing is not asked for its journal, for which others would have to wait. */
static void vm_answered(struct vm *vm, bool answers) {
        vm->answers = vm->answers || answers;
        if (--vm->n_asked > 0)
                return;
        vm->dump->n_busy--;
        vm->wants_agent = vm->answers;
        vm->wants_admin = vm->answers && vm->has_admin;
        if (!vm->answers)
                vm_miss(vm, "/journal-agent.txt", "not asked for, as the machine does not answer");
}

static int on_done(struct session *session, const struct rpc_status *status,
                const ProtobufCMessage *response, void *userdata) {
        struct call *call = userdata;
        struct dump *dump = call->dump;
        struct vm *vm = call->vm;

        if (status->code != RPC_OK) {
                _cleanup_(freep) char *text = status_text(session, status);

                bundle_miss(&dump->bundle, call->name, "%s", text ?: strerror(ENOMEM));
        }
        /* What has come of a stream that was broken off is better than nothing. */
        if (!call->json && (status->code == RPC_OK || ftell(call->journal.piece.file) > 0))
                dump_journal_add(&dump->bundle, call->name, &call->journal);
        else if (response)
                keep_answer(call, response);
        if (!call->json)
                dump->n_journals--;
        else if (vm)
                vm_answered(vm, status->code != RPC_UNAVAILABLE && status->code != RPC_DEADLINE_EXCEEDED);
        call_free(call);
        ask_more(dump);
        return EXIT_DONE;
}

struct question {
        const ProtobufCServiceDescriptor *service;
        const char *method;
        const ProtobufCMessage *message;
        session_told_t told; /* the answer is a stream */
        json_t *(*json)(struct call *call, const ProtobufCMessage *response);
};

/* The answer, or why there is none, becomes the piece of that name; vm/NAME/… where a VM is asked. Whether
 * it is asked for. */
static bool ask(struct dump *dump, struct vm *vm, const char *name, const struct question *question) {
        struct call *call = calloc(1, sizeof(*call));

        if (!call) {
                bundle_miss(&dump->bundle, name, "%s", strerror(ENOMEM));
                return false;
        }
        *call = (struct call){ .dump = dump, .vm = vm, .json = question->json };
        list_init(&call->calls);
        list_append(&dump->calls, &call->calls);
        call->name = vm ? text_printf("vm/%s/%s", vm->name, name) : strdup(name);
        if (!call->name || piece_open(&call->journal.piece) < 0) {
                bundle_miss(&dump->bundle, name, "%s", strerror(ENOMEM));
                call_free(call);
                return false;
        }
        if (session_call(dump->session,
                            &(struct session_request){
                                            .service = question->service,
                                            .method = question->method,
                                            .message = question->message,
                                            .what = call->name,
                                            .done = on_done,
                                            .told = question->told,
                                            .userdata = call,
                            }) == EXIT_DONE)
                return true;
        bundle_miss(&dump->bundle, call->name, "it cannot be asked for");
        call_free(call);
        return false;
}

/* ---- a VM ---- */

static json_t *stats_json(struct call *call, const ProtobufCMessage *response) {
        const Stats__StatsResponse *stats = (const Stats__StatsResponse *) response;

        return output_has_stats(stats) ? output_stats_json(call->vm->name, stats) : NULL;
}

static json_t *units_json(struct call *call, const ProtobufCMessage *response) {
        const Systemd__ListUnitsResponse *list = (const Systemd__ListUnitsResponse *) response;

        return output_units_json(call->vm->name, list->units, list->n_units);
}

static void on_line(struct session *session _unused_, const ProtobufCMessage *message, void *userdata) {
        struct call *call = userdata;

        dump_journal_take(&call->journal, (const Logs__LogEntry *) message);
}

static void ask_journal(struct vm *vm, const char *name, const char *unit) {
        Admin__ReadLogsRequest message = ADMIN__READ_LOGS_REQUEST__INIT;
        Logs__LogsRequest request = LOGS__LOGS_REQUEST__INIT;

        message.vmname = vm->name;
        message.request = &request;
        request.unitname = (char *) unit;
        request.lines = DUMP_JOURNAL_LINES;
        vm->dump->n_journals += ask(vm->dump, vm, name,
                        &(struct question){ &admin__fleet_service__descriptor, "ReadLogs", &message.base,
                                        on_line });
}

static void ask_vm(struct vm *vm) {
        Admin__StatsRequest stats = ADMIN__STATS_REQUEST__INIT;
        Admin__ListUnitsRequest units = ADMIN__LIST_UNITS_REQUEST__INIT;

        stats.vmname = units.vmname = vm->name;
        vm->n_asked += ask(vm->dump, vm, "stats.json",
                        &(struct question){ &admin__admin_service__descriptor, "GetStats", &stats.base, NULL,
                                        stats_json });
        vm->n_asked += ask(vm->dump, vm, "units.json",
                        &(struct question){ &admin__fleet_service__descriptor, "ListUnits", &units.base,
                                        NULL, units_json });
        if (vm->n_asked > 0)
                vm->dump->n_busy++;
}

static void ask_journals(struct vm *vm) {
        struct dump *dump = vm->dump;

        if (vm->wants_agent && dump->n_journals < JOURNALS_AT_ONCE) {
                _cleanup_(freep) char *unit = text_printf("givc-%s.service", vm->name);

                vm->wants_agent = false;
                if (unit)
                        ask_journal(vm, "journal-agent.txt", unit);
        }
        if (vm->wants_admin && dump->n_journals < JOURNALS_AT_ONCE) {
                vm->wants_admin = false;
                ask_journal(vm, "journal-admin.txt", ADMIN_UNIT);
        }
}

static void ask_more(struct dump *dump) {
        while (dump->n_busy < VMS_AT_ONCE && dump->next < dump->n_vms) {
                struct vm *vm = &dump->vms[dump->next++];

                if (!vm->has_agent)
                        vm_miss(vm, "", "it has no agent registered");
                else if (vm->offline)
                        vm_miss(vm, "", "its agent is offline");
                else
                        ask_vm(vm);
        }
        for (size_t i = 0; i < dump->n_vms; i++)
                ask_journals(&dump->vms[i]);
}

/* ---- the fleet ---- */

static struct vm *find_vm(struct dump *dump, const char *name) {
        size_t at = 0;

        while (at < dump->n_vms && strcmp(dump->vms[at].name, name) < 0)
                at++;
        if (at < dump->n_vms && streq(dump->vms[at].name, name))
                return &dump->vms[at];
        if (dump->n_vms == VMS_MAX || !text_is_host_name(name) || strlen(name) > NAME_MAX_BYTES)
                return NULL;
        memmove(&dump->vms[at + 1], &dump->vms[at], (dump->n_vms - at) * sizeof(*dump->vms));
        dump->vms[at] = (struct vm){ .dump = dump, .name = strdup(name) };
        if (dump->vms[at].name) {
                dump->n_vms++;
                return &dump->vms[at];
        }
        memmove(&dump->vms[at], &dump->vms[at + 1], (dump->n_vms - at) * sizeof(*dump->vms));
        return NULL;
}

static json_t *registry_json(struct call *call, const ProtobufCMessage *response) {
        const Admin__QueryListResponse *list = (const Admin__QueryListResponse *) response;
        struct dump *dump = call->dump;
        size_t n_lost = 0;

        for (size_t i = 0; i < list->n_list; i++) {
                const Admin__QueryListItem *item = list->list[i];
                struct vm *vm;

                if (!item->vm_name_presence_case)
                        continue;
                vm = find_vm(dump, item->vmname);
                if (!vm) {
                        n_lost++;
                        continue;
                }
                vm->has_admin = vm->has_admin || streq(item->name, ADMIN_UNIT);
                if (!streq(item->servicetype, "Mgr"))
                        continue;
                vm->has_agent = true;
                vm->offline = item->online_presence_case && !item->online;
        }
        if (n_lost > 0)
                bundle_miss(&dump->bundle, "vm",
                                "%zu entries are of too many machines, or of names that are none", n_lost);
        return output_items_json(list->list, list->n_list, false);
}

static json_t *sysinfo_json(struct call *call _unused_, const ProtobufCMessage *response) {
        return output_sysinfo_json((const Stats__SysinfoResponse *) response);
}

/* Whether there was anything to wait for, and it was not interrupted: an enum exit_code. */
static int dump_fleet(struct dump *dump) {
        const Admin__Empty message = ADMIN__EMPTY__INIT;
        int r;

        if (session_try_open(dump->session, true) != EXIT_DONE) {
                bundle_miss(&dump->bundle, "registry.json", "%s", dump->session->error ?: strerror(ENOMEM));
                return EXIT_DONE;
        }
        (void) ask(dump, NULL, "registry.json",
                        &(struct question){ &admin__admin_service__descriptor, "QueryList", &message.base,
                                        NULL, registry_json });
        (void) ask(dump, NULL, "sysinfo.json",
                        &(struct question){ &admin__admin_service__descriptor, "Sysinfo", &message.base,
                                        NULL, sysinfo_json });
        if (list_is_empty(&dump->calls))
                return EXIT_DONE;
        r = session_run(dump->session);
        session_clear_calls(dump->session);
        return r;
}

/* ---- the file ---- */

static int fail_to_make(const char *path, int error) {
        complain("cannot make %s: %s", streq(path, "-") ? "the bundle" : path, strerror(-error));
        return EXIT_FAILED;
}

/* What would be found out only in the end, otherwise. */
static int check_target(const char *path) {
        _cleanup_(freep) char *directory = NULL;
        const char *slash = strrchr(path, '/');
        struct stat st;

        if (streq(path, "-"))
                return isatty(STDOUT_FILENO)
                                ? fail_usage("an archive is nothing for a terminal: name a file, or "
                                             "redirect standard output")
                                : EXIT_DONE;
        if (lstat(path, &st) == 0)
                return fail_to_make(path, -EEXIST);
        directory = slash ? strndup(path, (size_t) (slash - path) + 1) : strdup(".");
        if (!directory)
                return fail_to_make(path, -ENOMEM);
        return access(directory, W_OK | X_OK) < 0 ? fail_to_make(path, -errno) : EXIT_DONE;
}

/* What is missing, to people; where it is, to programs, too. */
static int tell(const struct dump *dump, const char *path) {
        json_t *missing = dump->bundle.missing, *miss;
        size_t i;
        int r;

        json_array_foreach(missing, i, miss)
                        complain("missing: %s: %s", json_string_value(json_object_get(miss, "piece")),
                                        json_string_value(json_object_get(miss, "reason")));
        if (streq(path, "-"))
                return EXIT_DONE;
        if (!dump->session->options->json) {
                output_text(stdout, path);
                putchar('\n');
                return EXIT_DONE;
        }
        r = output_json(stdout, json_pack("{s:o,s:O}", "file", output_text_json(path), "missing", missing));
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

static int write_out(struct dump *dump, const char *path) {
        int r = bundle_finish(&dump->bundle);

        if (r < 0)
                return fail_to_make(path, r);
        if (!streq(path, "-"))
                r = file_write_new(AT_FDCWD, path, dump->bundle.data, dump->bundle.n, 0600);
        else if (fwrite(dump->bundle.data, 1, dump->bundle.n, stdout) != dump->bundle.n ||
                        fflush(stdout) != 0)
                r = -errno;
        return r < 0 ? fail_to_make(path, r) : tell(dump, path);
}

/* givc-HOST-TIME, on the heap, or NULL (ENOMEM). */
static char *make_name(uint64_t usec) {
        time_t seconds = (time_t) (usec / USEC_PER_SEC);
        char host[NAME_MAX_BYTES + 1] = "", when[sizeof("20000101T000000Z")];
        struct tm tm;

        if (gethostname(host, sizeof(host)) < 0 || host[NAME_MAX_BYTES] != '\0' || !text_is_host_name(host))
                strcpy(host, "localhost");
        if (!gmtime_r(&seconds, &tm) || strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm) == 0)
                strcpy(when, "0");
        return text_printf("givc-%s-%s", host, when);
}

static int collect(struct dump *dump, const struct options *options) {
        struct piece piece;

        if (piece_open(&piece) < 0)
                return fail_errno(-ENOMEM, "README.txt");
        fputs(about, piece.file);
        bundle_add(&dump->bundle, "README.txt", &piece);
        dump_local(&dump->bundle, options);
        return dump_fleet(dump);
}

int verb_dump(struct session *session, const struct options *options) {
        uint64_t now = now_usec(CLOCK_REALTIME);
        _cleanup_(freep) char *name = make_name(now), *made = name ? text_printf("%s.tar", name) : NULL;
        _cleanup_(dump_clear) struct dump dump = { .session = session };
        const char *path = options->n_arguments > 0 ? options->arguments[0] : made;
        int r;

        list_init(&dump.calls);
        session->at_once = SIZE_MAX; /* how many there are is for us to say */
        if (!path || bundle_init(&dump.bundle, name, now / USEC_PER_SEC) < 0)
                return fail_errno(-ENOMEM, "cannot begin");
        r = check_target(path);
        if (r != EXIT_DONE)
                return r;
        signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like others */
        r = collect(&dump, options);
        return r == EXIT_DONE ? write_out(&dump, path) : r;
}
