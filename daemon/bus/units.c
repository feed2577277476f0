/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "units-internal.h"

#include "freezer.h"
#include "log.h"
#include "text.h"
#include "unit-reader.h"

/*
 * One match rule each; dbus-daemon lets a connection to the system bus have 512
 * (max_match_rules_per_connection).
 */
#define FOLLOWED_MAX 400
/*
 * Two calls each; dbus-daemon lets a connection to the system bus wait for 128
 * (max_replies_per_connection).
 */
#define READING_MAX 16

/*
 * A unit that is followed. It has a match rule of its own, so that the bus daemon does not wake us for
 * others. systemd's signals bring its changes, in order and none left out. All of it is read at first, when
 * systemd has reloaded its configuration or was away, and when the unit was started anew.
 *
 * UnitNew and UnitRemoved are of no use here: every reading of a unit that is not loaded loads it for a
 * moment and causes both, so two readers who listen to them would keep each other awake. Nor is the unit
 * pinned (RefUnit), since a transient one could not be created again.
 */
struct unit {
        struct units *units;
        struct list followed, unread;
        struct unit_properties properties;
        struct unit_state state; /* made for whoever asks, just before; points into properties */
        bool known;              /* its state has been read once */
        bool frozen_told;        /* of the state that was told last */
        bool final_told;
        struct freezer freezer;
        struct unit_reader reader;
        bool reading;
        sd_bus_slot *signals;
        char *signals_of; /* the name that systemd sends them under */
};

static void read_next(struct units *units);

bool unit_name_is_usable(const char *name) {
        return text_is_unit_name(name) && !strstr(name, "@.");
}

bool unit_state_is_final(const struct unit_state *state) {
        return !state->job &&
                        (streq(state->active_state, "inactive") || streq(state->active_state, "failed"));
}

static struct unit *find_unit(struct units *units, const char *name) {
        struct unit *unit;

        LIST_FOREACH(unit, &units->followed, followed)
                if (streq(unit->properties.name, name))
                        return unit;
        return NULL;
}

/*
 * The last thing that a callback does: the unit may be gone afterwards. That a job has come or gone is told
 * only where it makes the state a final one.
 */
static void tell(struct unit *unit) {
        struct units *units = unit->units;
        struct unit_properties *p = &unit->properties;
        bool frozen, final, changed;

        unit_properties_view(p, unit->freezer.frozen, &unit->state);
        frozen = !streq(unit->state.freezer_state, "running");
        final = unit_state_is_final(&unit->state);
        changed = p->changed || frozen != unit->frozen_told || (final && !unit->final_told);
        if (!unit->known || !changed)
                return;
        p->changed = false;
        unit->frozen_told = frozen;
        unit->final_told = final;
        units->changed(units, &unit->state, units->userdata);
}

static void on_frozen(void *userdata) {
        tell(userdata);
}

static void follow_freezer(struct unit *unit) {
        const struct unit_properties *p = &unit->properties;
        int r;

        if (unit_properties_is_down(p) || isempty(p->control_group)) {
                freezer_clear(&unit->freezer);
                return;
        }
        r = freezer_watch(&unit->freezer, bus_event(unit->units->bus), p->control_group, on_frozen, unit);
        if (r < 0)
                log_debug("Cannot watch whether %s is frozen: %s", p->name, strerror(-r));
}

static void stop_reading(struct unit *unit) {
        unit_reader_clear(&unit->reader);
        if (unit->reading)
                unit->units->n_reading--;
        unit->reading = false;
}

static void read_again(struct unit *unit) {
        /* What is being read was asked for too early. */
        stop_reading(unit);
        list_remove(&unit->unread);
        list_append(&unit->units->unread, &unit->unread);
}

static void read_all_again(struct units *units) {
        struct unit *unit;

        LIST_FOREACH(unit, &units->followed, followed)
                read_again(unit);
        read_next(units);
}

static void take_in_change(struct unit *unit, bool was_down) {
        struct unit_properties *p = &unit->properties;

        if (unit_properties_is_down(p)) {
                freezer_clear(&unit->freezer);
                return;
        }
        /* It moves, so it was loaded: its file is there now, which no signal says. */
        if (was_down && !streq(p->load_state, "loaded"))
                (void) unit_properties_set_load_state(p, "loaded");
        if (!p->invoked_anew)
                return;
        p->invoked_anew = false;
        freezer_clear(&unit->freezer);
        read_again(unit);
        read_next(unit->units);
}

/* PropertiesChanged(interface, changed, invalidated) */
static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct unit *unit = userdata;
        bool was_down = unit_properties_is_down(&unit->properties);
        const char *interface;
        int r;

        r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &interface);
        if (r >= 0)
                r = unit_properties_update(&unit->properties, m);
        if (r < 0) {
                log_warning_errno(r, "Cannot read a change of %s, asking for its state",
                                unit->properties.name);
                read_again(unit);
                read_next(unit->units);
                return 0;
        }
        if (!streq(interface, SYSTEMD_UNIT_INTERFACE))
                return 0;
        take_in_change(unit, was_down);
        tell(unit);
        return 0;
}

static void follow_signals(struct unit *unit) {
        _cleanup_(freep) char *path = NULL;
        sd_bus *connection = bus_connection(unit->units->bus);
        int r;

        unit->signals = sd_bus_slot_unref(unit->signals);
        free(unit->signals_of);
        unit->signals_of = strdup(unit->properties.id);
        r = unit->signals_of ? sd_bus_path_encode(SYSTEMD_UNIT_PREFIX, unit->signals_of, &path) : -ENOMEM;
        if (r >= 0 && connection)
                /*
                 * Should the bus daemon refuse the rule, sd-bus closes the connection, and all begins
                 * again.
                 */
                r = sd_bus_match_signal_async(connection, &unit->signals, SYSTEMD_NAME, path,
                                "org.freedesktop.DBus.Properties", "PropertiesChanged", on_signal, NULL,
                                unit);
        if (r < 0)
                log_error_errno(r, "Cannot follow the changes of %s", unit->properties.name);
}

/* Not that there is no file for it (that is a state, not-found), but that it has no object either. */
static bool is_unknown(const sd_bus_error *error) {
        return sd_bus_error_has_names(error, SD_BUS_ERROR_UNKNOWN_OBJECT, SD_BUS_ERROR_UNKNOWN_INTERFACE,
                        SD_BUS_ERROR_UNKNOWN_METHOD, SD_BUS_ERROR_INVALID_ARGS, SYSTEMD_NAME ".NoSuchUnit");
}

static void on_read(const sd_bus_error *error, void *userdata) {
        struct unit *unit = userdata;
        struct units *units = unit->units;

        stop_reading(unit);
        read_next(units);
        if (error && !is_unknown(error)) {
                /* It has gone from the bus: when it is back, all is read again. */
                log_debug("systemd does not tell the state of %s: %s", unit->properties.name,
                                error->message);
                return;
        }
        if (error) {
                (void) unit_properties_set_unknown(&unit->properties);
        } else if (unit->signals_of && !streq(unit->properties.id, unit->signals_of)) {
                /* An alias: signals come under the other name. What is read is trusted only once they do. */
                follow_signals(unit);
                read_again(unit);
                read_next(units);
                return;
        }
        unit->properties.invoked_anew = false;
        if (!unit->known)
                unit->properties.changed = true;
        unit->known = true;
        follow_freezer(unit);
        tell(unit);
}

static void read_next(struct units *units) {
        sd_bus *connection = bus_connection(units->bus);
        struct unit *unit;
        int r;

        while (connection && units->n_reading < READING_MAX && !list_is_empty(&units->unread)) {
                unit = LIST_FIRST(&units->unread, struct unit, unread);
                list_remove(&unit->unread);
                r = unit_reader_start(&unit->reader, connection, &unit->properties, on_read, unit);
                if (r < 0) {
                        log_error_errno(r, "Cannot ask systemd for the state of %s", unit->properties.name);
                        continue;
                }
                unit->reading = true;
                units->n_reading++;
        }
}

/* Reloading(active): true when it begins, false when it is over. */
static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct units *units = userdata;
        int active;

        if (sd_bus_message_read_basic(m, SD_BUS_TYPE_BOOLEAN, &active) < 0 || active)
                return 0;
        read_all_again(units);
        unit_operations_check_jobs(units);
        return 0;
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_error *error = sd_bus_message_get_error(m);

        /*
         * After a restart of systemd's bus connection this is asked again, and may come too late or too
         * early.
         */
        if (error && !sd_bus_error_has_name(error, SYSTEMD_NAME ".AlreadySubscribed"))
                log_debug("systemd does not send signals yet: %s", error->message);
        return 0;
}

static void subscribe(struct units *units) {
        int r;

        units->subscribe = sd_bus_slot_unref(units->subscribe);
        r = sd_bus_call_method_async(bus_connection(units->bus), &units->subscribe, SYSTEMD_NAME,
                        SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe", on_subscribed, units, NULL);
        if (r < 0)
                log_error_errno(r, "Cannot subscribe to systemd's signals");
}

/*
 * NameOwnerChanged(name, old owner, new owner): systemd has executed itself anew, or has connected to this
 * bus again.
 */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct units *units = userdata;
        const char *new_owner;

        if (sd_bus_message_read(m, "sss", NULL, NULL, &new_owner) < 0 || isempty(new_owner))
                return 0;
        subscribe(units);
        read_all_again(units);
        unit_operations_check_jobs(units);
        return 0;
}

static int follow_systemd(struct units *units, sd_bus *connection) {
        int r;

        r = sd_bus_match_signal_async(connection, &units->reloading, SYSTEMD_NAME, SYSTEMD_PATH,
                        SYSTEMD_MANAGER, "Reloading", on_reloading, NULL, units);
        if (r < 0)
                return r;
        return sd_bus_add_match_async(connection, &units->owner_changed,
                        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" SYSTEMD_NAME "'",
                        on_owner_changed, NULL, units);
}

static void on_connected(struct bus *bus, void *userdata) {
        struct units *units = userdata;
        struct unit *unit;
        int r;

        subscribe(units);
        r = follow_systemd(units, bus_connection(bus));
        if (r < 0)
                log_error_errno(r, "Cannot follow systemd's signals");
        LIST_FOREACH(unit, &units->followed, followed)
                follow_signals(unit);
        read_all_again(units);
}

static void forget_signals(struct units *units) {
        struct unit *unit;

        LIST_FOREACH(unit, &units->followed, followed) {
                stop_reading(unit);
                unit->signals = sd_bus_slot_unref(unit->signals);
        }
        units->subscribe = sd_bus_slot_unref(units->subscribe);
        units->reloading = sd_bus_slot_unref(units->reloading);
        units->owner_changed = sd_bus_slot_unref(units->owner_changed);
}

static void on_lost(struct bus *bus, void *userdata) {
        struct units *units = userdata;

        forget_signals(units);
        unit_operations_fail(units);
}

static const struct bus_listener bus_listener = { .connected = on_connected, .lost = on_lost };

int units_new(struct units **ret, struct bus *bus, unit_changed_t changed, void *userdata) {
        struct units *units;
        int r;

        units = calloc(1, sizeof(*units));
        if (!units)
                return -ENOMEM;
        units->bus = bus;
        units->changed = changed;
        units->userdata = userdata;
        list_init(&units->followed);
        list_init(&units->unread);
        list_init(&units->operations);

        r = bus_add_listener(bus, &bus_listener, units);
        if (r < 0) {
                free(units);
                return r;
        }
        *ret = units;
        return 0;
}

static struct unit *unit_free(struct unit *unit) {
        stop_reading(unit);
        sd_bus_slot_unref(unit->signals);
        freezer_clear(&unit->freezer);
        list_remove(&unit->unread);
        list_remove(&unit->followed);
        unit->units->n_followed--;
        unit_properties_clear(&unit->properties);
        free(unit->signals_of);
        free(unit);
        return NULL;
}

struct units *units_free(struct units *units) {
        if (!units)
                return NULL;
        bus_remove_listener(units->bus, &bus_listener, units);
        forget_signals(units);
        unit_operations_cancel(units);
        while (!list_is_empty(&units->followed))
                unit_free(LIST_FIRST(&units->followed, struct unit, followed));
        free(units);
        return NULL;
}

int units_follow(struct units *units, const char *name) {
        struct unit *unit;
        int r;

        if (!unit_name_is_usable(name))
                return -EINVAL;
        if (find_unit(units, name))
                return 0;
        if (units->n_followed >= FOLLOWED_MAX)
                return -ENOSPC;

        unit = calloc(1, sizeof(*unit));
        if (!unit)
                return -ENOMEM;
        r = unit_properties_init(&unit->properties, name);
        if (r < 0) {
                unit_properties_clear(&unit->properties);
                free(unit);
                return r;
        }
        unit->units = units;
        list_init(&unit->unread);
        list_append(&units->followed, &unit->followed);
        units->n_followed++;

        if (bus_connection(units->bus)) {
                follow_signals(unit);
                read_again(unit);
                read_next(units);
        }
        return 0;
}

void units_unfollow(struct units *units, const char *name) {
        struct unit *unit = find_unit(units, name);

        if (unit)
                unit_free(unit);
}

const struct unit_state *units_get(struct units *units, const char *name) {
        struct unit *unit = find_unit(units, name);

        if (!unit || !unit->known)
                return NULL;
        unit_properties_view(&unit->properties, unit->freezer.frozen, &unit->state);
        return &unit->state;
}

void units_compare(struct units *units, const struct unit_properties *seen) {
        struct unit *unit = find_unit(units, seen->name);

        if (!unit || !unit->known)
                return;
        /* Its file has come or gone without systemd having reloaded: no signal says so. */
        if (streq(seen->load_state, unit->properties.load_state))
                return;
        read_again(unit);
        read_next(units);
}
