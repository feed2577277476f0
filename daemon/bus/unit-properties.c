/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-properties.h"

static int set_text(char **field, const char *value, bool *changed) {
        char *copy;

        if (*field && streq(*field, value))
                return 0;
        copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        if (changed)
                *changed = true;
        return 0;
}

int unit_properties_set_load_state(struct unit_properties *p, const char *load_state) {
        return set_text(&p->load_state, load_state, &p->changed);
}

/* What is told of a unit, except for its name and path. */
static int set_state(struct unit_properties *p, const struct unit_properties *from) {
        const struct {
                char **field;
                const char *value;
        } texts[] = {
                { &p->id, from->id },
                { &p->description, from->description },
                { &p->load_state, from->load_state },
                { &p->active_state, from->active_state },
                { &p->sub_state, from->sub_state },
                { &p->freezer_state, from->freezer_state },
                { &p->result, from->result },
                { &p->control_group, from->control_group },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                r = set_text(texts[i].field, texts[i].value, &p->changed);
                if (r < 0)
                        return r;
        }
        p->exit_code = from->exit_code;
        p->exit_status = from->exit_status;
        p->main_pid = from->main_pid;
        p->since_usec = from->since_usec;
        p->job = from->job;
        return 0;
}

int unit_properties_set_unknown(struct unit_properties *p) {
        char not_found[] = "not-found", inactive[] = "inactive", dead[] = "dead", running[] = "running",
             none[] = "";
        const struct unit_properties unknown = {
                .id = p->name,
                .description = p->name,
                .load_state = not_found,
                .active_state = inactive,
                .sub_state = dead,
                .freezer_state = running,
                .result = none,
                .control_group = none,
        };

        return set_state(p, &unknown);
}

int unit_properties_copy(struct unit_properties *p, const struct unit_properties *from) {
        memcpy(p->invocation, from->invocation, sizeof(p->invocation));
        return set_state(p, from);
}

int unit_properties_init(struct unit_properties *p, const char *name) {
        int r;

        *p = (struct unit_properties){ .name = strdup(name) };
        if (!p->name)
                return -ENOMEM;
        r = sd_bus_path_encode(SYSTEMD_UNIT_PREFIX, name, &p->path);
        if (r < 0)
                return r;
        return unit_properties_set_unknown(p);
}

void unit_properties_clear(struct unit_properties *p) {
        free(p->name);
        free(p->path);
        free(p->id);
        free(p->description);
        free(p->load_state);
        free(p->active_state);
        free(p->sub_state);
        free(p->freezer_state);
        free(p->result);
        free(p->control_group);
        *p = (struct unit_properties){};
}

bool unit_properties_is_down(const struct unit_properties *p) {
        return streq(p->active_state, "inactive") || streq(p->active_state, "failed");
}

static int read_text(sd_bus_message *m, char **field, bool *changed) {
        const char *value;
        int r;

        r = sd_bus_message_read(m, "v", "s", &value);
        if (r < 0)
                return r;
        return set_text(field, value, changed);
}

static int read_number(sd_bus_message *m, int32_t *field, bool *changed) {
        int32_t value;
        int r;

        r = sd_bus_message_read(m, "v", "i", &value);
        if (r < 0)
                return r;
        *changed = *changed || *field != value;
        *field = value;
        return 0;
}

/* (uo): number and path of the job, 0 and / where there is none. */
static int read_job(sd_bus_message *m, struct unit_properties *p) {
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "v", "(uo)", &id, NULL);
        if (r < 0)
                return r;
        p->job = id != 0;
        return 0;
}

static int read_invocation(sd_bus_message *m, struct unit_properties *p) {
        const void *bytes;
        size_t n;
        int r;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_VARIANT, "ay");
        if (r < 0)
                return r;
        r = sd_bus_message_read_array(m, SD_BUS_TYPE_BYTE, &bytes, &n);
        if (r < 0)
                return r;
        /* None: it has not been started since it was loaded. */
        if (n == sizeof(p->invocation) && memcmp(p->invocation, bytes, n) != 0) {
                memcpy(p->invocation, bytes, n);
                p->invoked_anew = true;
        }
        return sd_bus_message_exit_container(m);
}

static int read_property(sd_bus_message *m, struct unit_properties *p, const char *name) {
        const struct {
                const char *name;
                char **field;
                bool *changed;
        } texts[] = {
                { "ActiveState", &p->active_state, &p->changed },
                { "SubState", &p->sub_state, &p->changed },
                { "LoadState", &p->load_state, &p->changed },
                { "Description", &p->description, &p->changed },
                { "Result", &p->result, &p->changed },
                { "FreezerState", &p->freezer_state, NULL },
                { "ControlGroup", &p->control_group, NULL },
                { "Id", &p->id, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (streq(name, texts[i].name))
                        return read_text(m, texts[i].field, texts[i].changed);
        if (streq(name, "ExecMainCode"))
                return read_number(m, &p->exit_code, &p->changed);
        if (streq(name, "ExecMainStatus"))
                return read_number(m, &p->exit_status, &p->changed);
        if (streq(name, "MainPID"))
                return sd_bus_message_read(m, "v", "u", &p->main_pid);
        if (streq(name, "StateChangeTimestamp"))
                return sd_bus_message_read(m, "v", "t", &p->since_usec);
        if (streq(name, "Job"))
                return read_job(m, p);
        if (streq(name, "InvocationID"))
                return read_invocation(m, p);
        return sd_bus_message_skip(m, "v");
}

int unit_properties_update(struct unit_properties *p, sd_bus_message *m) {
        int r;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &name);
                if (r < 0)
                        return r;
                r = read_property(m, p, name);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

void unit_properties_view(const struct unit_properties *p, int frozen, struct unit_state *ret) {
        *ret = (struct unit_state){
                .name = p->name,
                .description = p->description,
                .load_state = p->load_state,
                .active_state = p->active_state,
                .sub_state = p->sub_state,
                .path = p->path,
                .freezer_state = p->freezer_state,
                .result = p->result,
                .exit_code = p->exit_code,
                .exit_status = p->exit_status,
                .main_pid = p->main_pid,
                .since_usec = p->since_usec,
                .job = p->job,
        };
        if (unit_properties_is_down(p) || frozen == 0)
                ret->freezer_state = "running";
        else if (frozen > 0)
                ret->freezer_state = "frozen";
}

const char *unit_type_interface(const char *name) {
        static const struct {
                const char *suffix, *interface;
        } types[] = {
                { ".service", SYSTEMD_NAME ".Service" },
                { ".scope", SYSTEMD_NAME ".Scope" },
                { ".slice", SYSTEMD_NAME ".Slice" },
                { ".socket", SYSTEMD_NAME ".Socket" },
                { ".mount", SYSTEMD_NAME ".Mount" },
                { ".swap", SYSTEMD_NAME ".Swap" },
        };

        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (endswith(name, types[i].suffix))
                        return types[i].interface;
        return NULL;
}
