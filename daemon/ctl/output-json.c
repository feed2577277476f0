/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include "text.h"

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

json_t *output_item_json(const Admin__QueryListItem *item, bool compatible) {
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

int output_list_json(FILE *file, Admin__QueryListItem *const *items, size_t n, bool compatible) {
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                if (json_array_append_new(list, output_item_json(items[i], compatible)) < 0) {
                        json_decref(list);
                        return -ENOMEM;
                }
        return output_json(file, list);
}

int output_event_json(
                FILE *file, enum output_event event, const Admin__QueryListItem *item, bool compatible) {
        static const char *const names[] = {
                [OUTPUT_PRESENT] = "UnitRegistered",
                [OUTPUT_ADDED] = "UnitRegistered",
                [OUTPUT_CHANGED] = "UnitStatusChanged",
                [OUTPUT_REMOVED] = "UnitShutdown",
        };
        json_t *object = json_object();

        if (json_object_set_new(object, names[event], output_item_json(item, compatible)) < 0) {
                json_decref(object);
                return -ENOMEM;
        }
        return dump(file, object, isatty(fileno(file)) ? JSON_COMPACT | JSON_ENSURE_ASCII : JSON_COMPACT);
}

/* NAME { key: "text", … }, texts quoted as in JSON. */
static int print_deployed(FILE *file, const char *name, const struct member *members, size_t n) {
        fprintf(file, "%s {", name);
        for (size_t i = 0; i < n; i++) {
                json_t *text = output_text_json(members[i].text);
                int r;

                fprintf(file, "%s %s: ", i > 0 ? "," : "", members[i].key);
                r = text ? json_dumpf(text, file, JSON_ENCODE_ANY) : -1;
                json_decref(text);
                if (r < 0)
                        return ferror(file) ? 0 : -ENOMEM;
        }
        fputs(" }\n", file);
        return 0;
}

int output_status_deployed(FILE *file, const Systemd__UnitStatus *status) {
        const struct member members[] = {
                { "name", status->name },
                { "description", status->description },
                { "load_state", status->loadstate },
                { "active_state", status->activestate },
                { "sub_state", status->substate },
                { "path", status->path },
                { "freezer_state", status->freezerstate },
        };

        return print_deployed(file, "UnitStatus", members, ELEMENTSOF(members));
}

int output_started_deployed(FILE *file, const char *registry_id) {
        const struct member member = { "registry_id", registry_id };

        return print_deployed(file, "StartResponse", &member, 1);
}

int output_notified_deployed(FILE *file, const char *status) {
        const struct member member = { "status", status };

        return print_deployed(file, "Status", &member, 1);
}
