/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bus.h"

#include "log.h"

/* One for each subject that speaks D-Bus (units, locale, time, network, our own object, …). */
#define LISTENERS_MAX 16

/*
 * A bus that restarts is back within a few 100 ms; one that is broken must not cost more than a try in 10
 * s.
 */
#define REJOIN_MIN_USEC (100 * USEC_PER_MSEC)
#define REJOIN_MAX_USEC (10 * USEC_PER_SEC)

struct bus {
        sd_event *event;
        enum bus_kind kind;
        int priority;
        sd_bus *connection; /* set from the first step of joining until it is replaced */
        bool joined;
        sd_bus_slot *first_call, *disconnected;
        sd_event_source *rejoin; /* set while waiting for the next try */
        sd_event_source *drop;   /* set while the connection is about to be given up */
        uint64_t delay_usec;
        int logged_error; /* the cause that was logged last since the bus was there; 0: none */
        size_t n_listeners;
        struct {
                const struct bus_listener *listener;
                void *userdata;
        } listeners[LISTENERS_MAX];
};

static void join(struct bus *bus);

static const char *kind_name(const struct bus *bus) {
        return bus->kind == BUS_SYSTEM ? "system bus" : "user's bus";
}

static void let_go(struct bus *bus) {
        bus->first_call = sd_bus_slot_unref(bus->first_call);
        bus->disconnected = sd_bus_slot_unref(bus->disconnected);
        bus->connection = sd_bus_close_unref(bus->connection);
}

static int on_rejoin(sd_event_source *source, uint64_t usec, void *userdata) {
        struct bus *bus = userdata;

        bus->rejoin = sd_event_source_disable_unref(bus->rejoin);
        let_go(bus);
        join(bus);
        return 0;
}

/*
 * Doubles up to the maximum, then takes half to all of it by chance: a fleet's agents must not knock in
 * step.
 */
static uint64_t next_delay(struct bus *bus) {
        bus->delay_usec = MIN(MAX(bus->delay_usec * 2, REJOIN_MIN_USEC), REJOIN_MAX_USEC);
        return bus->delay_usec / 2 + arc4random_uniform((uint32_t) (bus->delay_usec / 2));
}

/*
 * The bus is not there, or no longer. The connection is freed only when the next one is tried, as this may
 * be called from inside of one of its callbacks.
 */
static void lose(struct bus *bus, int error) {
        bool was_joined = bus->joined;
        int r;

        if (bus->rejoin)
                return;
        bus->joined = false;

        if (bus->logged_error != error)
                log_warning_errno(error, "No connection to the %s, will try until there is one",
                                kind_name(bus));
        bus->logged_error = error;

        r = sd_event_add_time_relative(bus->event, &bus->rejoin, CLOCK_MONOTONIC, next_delay(bus),
                        10 * USEC_PER_MSEC, on_rejoin, bus);
        if (r < 0)
                log_error_errno(r, "Cannot wait for the %s; it stays lost until the next start",
                                kind_name(bus));

        for (size_t i = 0; was_joined && i < bus->n_listeners; i++)
                if (bus->listeners[i].listener->lost)
                        bus->listeners[i].listener->lost(bus, bus->listeners[i].userdata);
}

static int on_drop(sd_event_source *source, void *userdata) {
        struct bus *bus = userdata;

        bus->drop = sd_event_source_disable_unref(bus->drop);
        lose(bus, -ENOBUFS);
        return 0;
}

void bus_drop(struct bus *bus) {
        int r;

        if (bus->drop || !bus->joined)
                return;
        r = sd_event_add_defer(bus->event, &bus->drop, on_drop, bus);
        if (r < 0)
                log_warning_errno(r, "Cannot leave the %s, which takes nothing", kind_name(bus));
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        lose(userdata, -ECONNRESET);
        return 0;
}

/* The first answer shows that authentication and Hello, which sd-bus does by itself, have succeeded. */
static int on_first_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct bus *bus = userdata;

        bus->first_call = sd_bus_slot_unref(bus->first_call);
        if (sd_bus_message_is_method_error(m, NULL)) {
                lose(bus, sd_bus_is_open(bus->connection) > 0 ? -sd_bus_message_get_errno(m) : -ECONNRESET);
                return 0;
        }

        if (bus->logged_error != 0)
                log_info("Connected to the %s again", kind_name(bus));
        bus->logged_error = 0;
        bus->delay_usec = 0;
        bus->joined = true;
        for (size_t i = 0; i < bus->n_listeners; i++)
                if (bus->listeners[i].listener->connected)
                        bus->listeners[i].listener->connected(bus, bus->listeners[i].userdata);
        return 0;
}

static int connect_to(struct bus *bus) {
        int r;

        /* Both only begin to connect: the socket is non-blocking, the rest happens in the loop. */
        r = bus->kind == BUS_SYSTEM ? sd_bus_open_system(&bus->connection)
                                    : sd_bus_open_user(&bus->connection);
        if (r < 0)
                return r;
        /* At the loop's end nothing is worth waiting for: writing out what is queued could block. */
        r = sd_bus_set_close_on_exit(bus->connection, false);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(bus->connection, bus->event, bus->priority);
        if (r < 0)
                return r;
        /* A signal that sd-bus makes itself: this asks nobody, so it does not block. */
        r = sd_bus_match_signal(bus->connection, &bus->disconnected, NULL, "/org/freedesktop/DBus/Local",
                        "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, bus);
        if (r < 0)
                return r;
        return sd_bus_call_method_async(bus->connection, &bus->first_call, "org.freedesktop.DBus",
                        "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", on_first_answer, bus,
                        NULL);
}

static void join(struct bus *bus) {
        int r;

        r = connect_to(bus);
        if (r < 0)
                lose(bus, r);
}

int bus_new(struct bus **ret, sd_event *event, enum bus_kind kind) {
        struct bus *bus;

        bus = calloc(1, sizeof(*bus));
        if (!bus)
                return -ENOMEM;
        bus->event = sd_event_ref(event);
        bus->kind = kind;
        *ret = bus;
        return 0;
}

struct bus *bus_free(struct bus *bus) {
        if (!bus)
                return NULL;
        sd_event_source_disable_unref(bus->rejoin);
        sd_event_source_disable_unref(bus->drop);
        let_go(bus);
        sd_event_unref(bus->event);
        free(bus);
        return NULL;
}

int bus_add_listener(struct bus *bus, const struct bus_listener *listener, void *userdata) {
        if (bus->n_listeners >= LISTENERS_MAX)
                return -ENOSPC;
        bus->listeners[bus->n_listeners].listener = listener;
        bus->listeners[bus->n_listeners].userdata = userdata;
        bus->n_listeners++;
        return 0;
}

void bus_remove_listener(struct bus *bus, const struct bus_listener *listener, void *userdata) {
        for (size_t i = 0; i < bus->n_listeners; i++) {
                if (bus->listeners[i].listener != listener || bus->listeners[i].userdata != userdata)
                        continue;
                bus->listeners[i] = bus->listeners[--bus->n_listeners];
                return;
        }
}

void bus_set_priority(struct bus *bus, int priority) {
        bus->priority = priority;
}

void bus_start(struct bus *bus) {
        join(bus);
}

sd_bus *bus_connection(struct bus *bus) {
        /*
         * While sd-bus winds a dead connection up, calls under way hear of it before on_disconnected()
         * does.
         */
        return bus->joined && sd_bus_is_open(bus->connection) > 0 ? bus->connection : NULL;
}

enum bus_kind bus_get_kind(const struct bus *bus) {
        return bus->kind;
}

sd_event *bus_event(struct bus *bus) {
        return bus->event;
}
