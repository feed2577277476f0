/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What other VMs say, shown on a terminal, and as JSON. The first byte says which answer of a server the
 * rest is, the second how it is shown.
 */
#include "shown.h"

#include "debug-info.h"
#include "message.h"
#include "output.h"
#include "status.h"

#include "logs.pb-c.h"
#include "stats.pb-c.h"

#define ARENA_BYTES (1024 * 1024)

static struct shown people, programs;

static void print_json(json_t *value) {
        must(output_json(programs.file, value) == 0, "what can be decoded can be told");
}

static void show_items(const ProtobufCMessage *message, uint8_t how) {
        const Admin__QueryListResponse *list = (const Admin__QueryListResponse *) message;
        bool compatible = how & 8;

        output_sort(list->list, list->n_list, how % (OUTPUT_BY_SINCE + 1));
        must(output_table(people.file, list->list, list->n_list) == 0, "there is memory");
        output_list_deployed(people.file, list->list, list->n_list);
        must(output_list_json(programs.file, list->list, list->n_list, compatible) == 0, "there is memory");
        for (size_t i = 0; i < list->n_list; i++) {
                output_event_deployed(people.file, OUTPUT_ADDED, list->list[i]);
                must(output_event(people.file, OUTPUT_CHANGED, list->list[i], list->list[i]->since) == 0 &&
                                                output_event_json(programs.file, OUTPUT_REMOVED,
                                                                list->list[i], compatible) == 0,
                                "there is memory");
        }
}

static void show_units(const ProtobufCMessage *message, uint8_t how _unused_) {
        const Systemd__ListUnitsResponse *list = (const Systemd__ListUnitsResponse *) message;

        must(output_details(people.file, "a-vm", list->units, list->n_units) == 0, "there is memory");
        print_json(output_units_json("a-vm", list->units, list->n_units));
        for (size_t i = 0; i < list->n_units; i++) {
                output_detail(people.file, list->units[i]);
                print_json(output_detail_json(list->units[i]));
        }
}

static void show_status(const ProtobufCMessage *message, uint8_t how _unused_) {
        const Systemd__UnitStatus *status = (const Systemd__UnitStatus *) message;
        struct shown deployed = {};

        output_status(people.file, status);
        print_json(output_status_json(status));
        shown_open(&deployed);
        output_deployed(deployed.file, &status->base);
        shown_close(&deployed);
        must(memchr(deployed.text, '\n', deployed.n) == deployed.text + deployed.n - 1, "it is a line");
        free(deployed.text);
}

static void show_log(const ProtobufCMessage *message, uint8_t how _unused_) {
        output_log(people.file, (const Logs__LogEntry *) message);
}

static void show_stats(const ProtobufCMessage *message, uint8_t how _unused_) {
        const Stats__StatsResponse *stats = (const Stats__StatsResponse *) message;

        output_deployed(people.file, message);
        if (output_has_stats(stats))
                print_json(output_stats_json("a-vm", stats));
}

static void show_sysinfo(const ProtobufCMessage *message, uint8_t how _unused_) {
        print_json(output_sysinfo_json((const Stats__SysinfoResponse *) message));
}

static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        void (*show)(const ProtobufCMessage *message, uint8_t how);
} answers[] = {
        { &admin__query_list_response__descriptor, show_items },
        { &systemd__list_units_response__descriptor, show_units },
        { &systemd__unit_status__descriptor, show_status },
        { &logs__log_entry__descriptor, show_log },
        { &stats__stats_response__descriptor, show_stats },
        { &stats__sysinfo_response__descriptor, show_sysinfo },
};

static void try_answer(size_t which, uint8_t how, const uint8_t *data, size_t size) {
        _cleanup_(arena_clear) struct arena arena = {};
        ProtobufCMessage *message;

        arena_init(&arena, ARENA_BYTES);
        if (message_decode(answers[which].descriptor, data, size, &arena, &message) < 0)
                return;
        shown_open(&people);
        shown_open(&programs);
        answers[which].show(message, how);
        shown_close(&people);
        shown_close(&programs);
        check_shown(people.text, people.n);
        check_json(programs.text, programs.n);
        free(people.text);
        free(programs.text);
}

/* What a status tells besides its message: of any server, and as ours do. */
static void try_details(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *reason = debug_info_reason(data, size), *text = NULL, *again = NULL;
        _cleanup_(freep) uint8_t *details = NULL;
        size_t n;

        must(!reason || strlen(reason) <= size, "a reason is part of it");
        text = strndup((const char *) data, size);
        details = rpc_status_debug_info(RPC_INTERNAL, text, (const char *[]){ "an entry" }, 1, text, &n);
        must(text && details, "there is memory");
        again = debug_info_reason(details, n);
        must(again && streq(again, text[0] ? text : "an entry"), "what a server of ours says is heard");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t which = take_byte(&data, &size) % (ELEMENTSOF(answers) + 1), how;

        /* How wide characters are, and which there are. */
        setenv("LC_ALL", "C.UTF-8", 1);
        if (which == ELEMENTSOF(answers)) {
                try_details(data, size);
                return 0;
        }
        how = take_byte(&data, &size);
        try_answer(which, how, data, size);
        return 0;
}
