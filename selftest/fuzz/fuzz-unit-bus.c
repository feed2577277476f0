/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What systemd says of a unit: properties that we read and others, of the types that they have or others.
 * The first byte: what the kernel says of its freezer. Each message that follows begins with how many there
 * are.
 */
#include "bus-message.h"

#include "text.h"
#include "unit-properties.h"

static const char *const properties[] = { "ActiveState", "SubState", "LoadState", "Description", "Result",
        "FreezerState", "ControlGroup", "Id", "ExecMainCode", "ExecMainStatus", "MainPID",
        "StateChangeTimestamp", "Job", "InvocationID", "Other", "" };
/* The types of most of them, first. */
static const char *const types[] = { "s", "i", "u", "t", "(uo)", "ay", "o", "b", "as", "y" };
static const char *const texts[] = { "/", "/1", "/2", "active", "inactive", "failed", "frozen", "dead", "",
        "a.service" };

static void check(const struct unit_properties *p, int frozen) {
        struct unit_state state;

        unit_properties_view(p, frozen, &state);
        must(state.name && state.description && state.load_state && state.active_state && state.sub_state &&
                                        state.path && state.freezer_state && state.result,
                        "a state has all texts");
        must(!unit_properties_is_down(p) || streq(state.freezer_state, "running"),
                        "what is down is not frozen");
}

/* All that is known of it. */
static char *tell(const struct unit_properties *p) {
        char *text = text_printf("%s|%s|%s|%s|%s|%s|%s|%s|%i %i %u %llu %i", p->id, p->description,
                        p->load_state, p->active_state, p->sub_state, p->freezer_state, p->result,
                        p->control_group, p->exit_code, p->exit_status, p->main_pid,
                        (unsigned long long) p->since_usec, p->job);

        must(text != NULL, "there is memory");
        return text;
}

/* Also by half; a second time, it says the same. */
static void update(struct unit_properties *p, sd_bus_message *m) {
        _cleanup_(freep) char *once = NULL, *twice = NULL;
        int r = unit_properties_update(p, m);

        once = tell(p);
        must(sd_bus_message_rewind(m, true) >= 0, "it is read again");
        must(unit_properties_update(p, m) == r, "and is as good or bad");
        twice = tell(p);
        must(streq(once, twice), "and says the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        int frozen = take_byte(&data, &size) % 3 - 1;
        struct unit_properties p;

        must(unit_properties_init(&p, "a.service") == 0, "there is memory");
        check(&p, frozen);
        while (size > 0) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_message();
                uint8_t n = take_byte(&data, &size) % 32;

                must(sd_bus_message_open_container(m, 'a', "{sv}") >= 0, "properties are begun");
                for (uint8_t i = 0; i < n; i++) {
                        const char *name = pick(properties, take_byte(&data, &size));

                        append_property(m, name, pick(types, take_byte(&data, &size)), texts,
                                        ELEMENTSOF(texts), &data, &size);
                }
                must(sd_bus_message_close_container(m) >= 0, "properties are ended");
                seal(m);
                update(&p, m);
                check(&p, frozen);
        }
        must(unit_properties_set_unknown(&p) == 0, "there is memory");
        check(&p, frozen);
        unit_properties_clear(&p);
        return 0;
}
