/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include "text.h"

/* On a terminal nothing but ASCII: what else there is in it might be obeyed. */
static size_t ascii_for(FILE *file) {
        return isatty(fileno(file)) ? JSON_ENSURE_ASCII : 0;
}

json_t *output_text_json(const char *text) {
        _cleanup_(freep) char *escaped = NULL;
        size_t n = strlen(text);

        if (text_is_utf8(text, n))
                return json_stringn_nocheck(text, n);
        escaped = text_escape(text, n, n);
        return escaped ? json_string(escaped) : NULL;
}

struct member {
        const char *key;
        const char *text; /* NULL: null */
};

static json_t *object_json(const struct member *members, size_t n) {
        json_t *object = json_object();

        for (size_t i = 0; i < n; i++)
                if (json_object_set_new(object, members[i].key,
                                    members[i].text ? output_text_json(members[i].text) : json_null()) < 0) {
                        json_decref(object);
                        return NULL;
                }
        return object;
}

/* compatible: exactly the members that the deployed command prints; else also online and since. */
static json_t *item_json(const Admin__QueryListItem *item, bool compatible) {
        const struct member members[] = {
                { "name", item->name },
                { "description", item->description },
                { "status", item->vmstatus },
                { "trust_level", item->trustlevel },
                { "vm_type", item->vmtype },
                { "service_type", item->servicetype },
                { "vm_name", item->vm_name_presence_case ? item->vmname : NULL },
                { "agent_name", item->agent_name_presence_case ? item->agentname : NULL },
        };
        json_t *object = object_json(members, ELEMENTSOF(members));
        bool known = item->online_presence_case;

        if (!object || compatible)
                return object;
        if ((!isempty(item->result) &&
                            json_object_set_new(object, "result", output_text_json(item->result)) < 0) ||
                        json_object_set_new(object, "online",
                                        known ? json_boolean(item->online) : json_null()) < 0 ||
                        json_object_set_new(object, "since",
                                        known ? json_integer((json_int_t) item->since) : json_null()) < 0) {
                json_decref(object);
                return NULL;
        }
        return object;
}

json_t *output_status_json(const Systemd__UnitStatus *status) {
        const struct member members[] = {
                { "name", status->name },
                { "description", status->description },
                { "load_state", status->loadstate },
                { "active_state", status->activestate },
                { "sub_state", status->substate },
                { "path", status->path },
                { "freezer_state", status->freezerstate },
        };

        return object_json(members, ELEMENTSOF(members));
}

bool output_has_stats(const Stats__StatsResponse *stats) {
        return stats->memory && stats->load && stats->process;
}

json_t *output_real_json(double value) {
        return json_real(value) ?: json_null();
}

static json_t *processes_json(Stats__ProcessStat *const *processes, size_t n) {
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list,
                                json_pack("{s:o*,s:o,s:o,s:I}", "name", output_text_json(processes[i]->name),
                                                "user", output_real_json((double) processes[i]->user), "sys",
                                                output_real_json((double) processes[i]->sys), "res_set_size",
                                                (json_int_t) processes[i]->ressetsize));
        return list;
}

json_t *output_stats_json(const char *vm, const Stats__StatsResponse *stats) {
        const Stats__MemoryStats *memory = stats->memory;
        const Stats__LoadStats *load = stats->load;
        const Stats__ProcessStats *process = stats->process;

        return json_pack("{s:s,s:{s:I,s:I,s:I,s:I},s:[o,o,o],s:{s:I,s:I,s:o,s:o}}", "vm", vm, "memory",
                        "total", (json_int_t) memory->total, "free", (json_int_t) memory->free, "available",
                        (json_int_t) memory->available, "cached", (json_int_t) memory->cached, "load",
                        output_real_json((double) load->load1min), output_real_json((double) load->load5min),
                        output_real_json((double) load->load15min), "process", "total",
                        (json_int_t) process->total, "running", (json_int_t) process->running,
                        "cpu_processes", processes_json(process->cpuprocesses, process->n_cpuprocesses),
                        "mem_processes", processes_json(process->memprocesses, process->n_memprocesses));
}

static json_t *boolean(bool known, bool value) {
        return known ? json_boolean(value) : json_null();
}

json_t *output_sysinfo_json(const Stats__SysinfoResponse *info) {
        return json_pack("{s:o,s:o,s:o}", "ghaf_version", output_text_json(info->ghafversion), "secure_boot",
                        boolean(info->secure_boot_presence_case, info->secureboot), "disk_encrypted",
                        boolean(info->disk_encrypted_presence_case, info->diskencrypted));
}

static int dump(FILE *file, json_t *value, size_t flags) {
        int r = value ? json_dumpf(value, file, flags) : -1;

        json_decref(value);
        if (r < 0)
                return ferror(file) ? 0 : -ENOMEM; /* who flushes the file finds its error */
        fputc('\n', file);
        return 0;
}

int output_json(FILE *file, json_t *value) {
        return dump(file, value, isatty(fileno(file)) ? JSON_INDENT(2) | JSON_ENSURE_ASCII : JSON_COMPACT);
}

json_t *output_items_json(Admin__QueryListItem *const *items, size_t n, bool compatible) {
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                if (json_array_append_new(list, item_json(items[i], compatible)) < 0) {
                        json_decref(list);
                        return NULL;
                }
        return list;
}

int output_list_json(FILE *file, Admin__QueryListItem *const *items, size_t n, bool compatible) {
        return output_json(file, output_items_json(items, n, compatible));
}

const char *output_event_name(enum output_event event) {
        static const char *const names[] = {
                [OUTPUT_PRESENT] = "UnitRegistered",
                [OUTPUT_ADDED] = "UnitRegistered",
                [OUTPUT_CHANGED] = "UnitStatusChanged",
                [OUTPUT_REMOVED] = "UnitShutdown",
        };

        return names[event];
}

int output_event_json(
                FILE *file, enum output_event event, const Admin__QueryListItem *item, bool compatible) {
        json_t *object = json_object();

        if (json_object_set_new(object, output_event_name(event), item_json(item, compatible)) < 0) {
                json_decref(object);
                return -ENOMEM;
        }
        return dump(file, object, JSON_COMPACT | ascii_for(file));
}
