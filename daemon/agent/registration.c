/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registration.h"
#include "admin.pb-c.h"
#include "application-instances.h"
#include "bus-object.h"
#include "channel.h"
#include "log.h"
#include "message-ids.h"
#include "online.h"
#include "text.h"
#include "unit-message.h"

#include <stdio.h>
#include <sys/random.h>

/* The admin is local, and the fleet waits for us: not as patient as the channel's default. */
#define RECONNECT_MAX_USEC (5 * USEC_PER_SEC)
/* One call of RegisterService. */
#define CALL_TIMEOUT_USEC (10 * USEC_PER_SEC)
/* Calls at once: enough to fill one round trip, little enough not to look like a flood. */
#define CALLS_MAX 16

/*
 * Who is registered is called at once, and is to reach its systemd by then. Where there is none to be
 * reached, the agent is registered nevertheless, after so long.
 */
#define PATIENCE_USEC (2 * USEC_PER_SEC)

/* Tried again after this, doubled with each failure. */
#define RETRY_MIN_USEC (1 * USEC_PER_SEC)
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)
/* Refused: until somebody changes a configuration or a certificate, the answer is the same. */
#define RETRY_REFUSED_USEC (60 * USEC_PER_SEC)

enum entry_state {
        ENTRY_WANTED, /* to be registered: as soon as its state is known and the agent is registered */
        ENTRY_CALLED, /* RegisterService is under way */
        ENTRY_FAILED, /* waits for its retry_usec */
        ENTRY_DONE,
};

struct entry {
        struct list entries;
        struct registration *registration;
        const struct whitelist_unit *unit;
        enum entry_state state;
        struct rpc_client_call *call; /* while ENTRY_CALLED */
        unsigned failures;            /* in a row */
        uint64_t retry_usec;          /* CLOCK_MONOTONIC */
        char *failure;                /* the last cause, told or not */
};

struct registration {
        struct manager *manager;
        struct rpc_channel *channel;
        struct list entries; /* struct entry, one for each unit that has a type */
        struct entry *own;   /* of the agent itself: the first of them */
        size_t n_entries, n_calls, n_done;
        bool online;            /* told: online.h */
        bool connected;         /* the channel stands */
        uint64_t since_usec;    /* CLOCK_REALTIME: of the last change of that */
        uint64_t patience_usec; /* CLOCK_MONOTONIC: until when systemd is waited for */
        bool told;              /* that all are done, since the connection came */
        sd_event_source *retry;
        char *last_failure; /* the cause that was logged last: of not registering, */
        char *last_reason;  /* and of not connecting */
};

static void pump(struct registration *registration);

/* True, and kept, when text is another than the last time: a cause is logged once. */
static bool is_news(char **last, const char *text) {
        if (*last && streq(*last, text))
                return false;
        free(*last);
        *last = strdup(text);
        return true;
}

/* --- what is registered --- */

static int add_entry(struct registration *registration, const struct whitelist_unit *unit, bool done) {
        struct entry *entry;

        entry = malloc(sizeof(*entry));
        if (!entry)
                return -ENOMEM;
        *entry = (struct entry){
                .registration = registration,
                .unit = unit,
                .state = done ? ENTRY_DONE : ENTRY_WANTED,
        };
        list_append(&registration->entries, &entry->entries);
        registration->n_entries++;
        registration->n_done += done;
        return 0;
}

static void remove_entry(struct entry *entry) {
        struct registration *registration = entry->registration;

        if (entry->call) {
                rpc_client_cancel(entry->call);
                registration->n_calls--;
        }
        list_remove(&entry->entries);
        registration->n_entries--;
        registration->n_done -= entry->state == ENTRY_DONE;
        free(entry->failure);
        free(entry);
}

static struct entry *find_entry(struct registration *registration, const struct whitelist_unit *unit) {
        struct entry *entry;

        LIST_FOREACH(entry, &registration->entries, entries)
                if (entry->unit == unit)
                        return entry;
        return NULL;
}

static int make_entries(struct registration *registration) {
        const struct whitelist *whitelist = &registration->manager->whitelist;
        struct application_instance *instance;
        int r;

        r = add_entry(registration, whitelist_own(whitelist), false);
        if (r < 0)
                return r;
        registration->own = LIST_FIRST(&registration->entries, struct entry, entries);
        for (size_t i = 0; i < whitelist->n_units && r >= 0; i++)
                if (!whitelist->units[i].own && whitelist->units[i].type != WHITELIST_NO_TYPE)
                        r = add_entry(registration, &whitelist->units[i], false);
        LIST_FOREACH(instance, &registration->manager->instances, instances)
                if (r >= 0 && instance->registered)
                        r = add_entry(registration, &instance->unit, false);
        return r;
}

static void drop_entries(struct registration *registration) {
        while (!list_is_empty(&registration->entries))
                remove_entry(LIST_FIRST(&registration->entries, struct entry, entries));
        registration->own = NULL;
}

/* --- one call --- */

static uint64_t retry_delay(unsigned failures) {
        uint64_t delay = RETRY_MIN_USEC;
        uint16_t dice = 0;

        for (unsigned i = 1; i < failures && delay < RETRY_MAX_USEC; i++)
                delay *= 2;
        delay = MIN(delay, RETRY_MAX_USEC);
        /* ± 20 %: agents that failed together do not come back together. */
        (void) !getrandom(&dice, sizeof(dice), GRND_NONBLOCK);
        return delay - delay / 5 + delay * 2 / 5 * dice / UINT16_MAX;
}

/* One line for each cause: whether many units share it or one unit has it again and again. */
static void log_failure(struct entry *entry, enum rpc_code code, const char *text, bool refused) {
        struct registration *registration = entry->registration;
        const struct log_fields fields = {
                .message_id = refused ? GIVC_MESSAGE_ADMIN_REFUSES : NULL,
                .peer = registration->manager->config.admin.name,
                .unit = entry->unit->name,
                .status = rpc_code_name(code),
        };
        _cleanup_(freep) char *shown = text_escape(text, strlen(text), 512);

        if (!is_news(&entry->failure, strempty(shown)) ||
                        !is_news(&registration->last_failure, strempty(shown)))
                return;
        if (refused)
                log_event(LOG_ERR, &fields,
                                "%s refuses to register %s: %s. Is it what the certificate says?",
                                fields.peer, fields.unit, strempty(shown));
        else
                log_event(LOG_WARNING, &fields, "%s did not register %s: %s. Trying again.", fields.peer,
                                fields.unit, strempty(shown));
}

/* By the agent's own entry: a unit of it that cannot be registered does not keep it from being reached. */
static void tell_online(struct registration *registration, bool online) {
        if (registration->online == online)
                return;
        registration->online = online;
        online_tell(online);
}

static void entry_failed(struct entry *entry, enum rpc_code code, const char *text) {
        bool refused = code == RPC_PERMISSION_DENIED || code == RPC_UNAUTHENTICATED;

        entry->state = ENTRY_FAILED;
        entry->failures++;
        if (entry == entry->registration->own)
                tell_online(entry->registration, false);
        entry->retry_usec = usec_add(now_usec(CLOCK_MONOTONIC),
                        refused ? RETRY_REFUSED_USEC : retry_delay(entry->failures));
        /* A connection that is lost says so itself. */
        if (code != RPC_UNAVAILABLE)
                log_failure(entry, code, text, refused);
}

static void entry_done(struct entry *entry) {
        struct registration *registration = entry->registration;
        struct manager *manager = registration->manager;
        const struct log_fields fields = {
                .peer = manager->config.admin.name,
                .unit = manager->config.agent,
        };

        entry->state = ENTRY_DONE;
        entry->failures = 0;
        free(entry->failure);
        entry->failure = NULL;
        if (entry == registration->own)
                tell_online(registration, true);
        registration->n_done++;
        if (registration->n_done < registration->n_entries || registration->told)
                return;
        registration->told = true;
        log_event(LOG_INFO, &fields, "Registered %s and %zu units with %s.", fields.unit,
                        registration->n_entries - 1, fields.peer);
        free(registration->last_failure);
        registration->last_failure = NULL;
}

/* For systemctl status; not after each of many answers. */
static void tell_status(const struct registration *registration) {
        char status[128];

        if (registration->n_calls > 0 || registration->own->state != ENTRY_DONE)
                return;
        snprintf(status, sizeof(status), "Registered, with %zu of %zu units", registration->n_done - 1,
                        registration->n_entries - 1);
        reactor_status(registration->manager->reactor, status);
}

static void on_registered(const struct rpc_status *status, const ProtobufCMessage *message, void *userdata) {
        const Admin__RegistryResponse *response = (const Admin__RegistryResponse *) message;
        struct entry *entry = userdata;

        entry->call = NULL;
        entry->registration->n_calls--;
        if (status->code != RPC_OK)
                entry_failed(entry, status->code, status->message);
        else if (response->error_presence_case == ADMIN__REGISTRY_RESPONSE__ERROR_PRESENCE_ERROR)
                entry_failed(entry, RPC_UNKNOWN, strempty(response->error));
        else
                entry_done(entry);
        pump(entry->registration);
        tell_status(entry->registration);
}

static int entry_call(struct entry *entry, const struct unit_state *state) {
        struct registration *registration = entry->registration;
        const struct config *config = &registration->manager->config;
        const struct rpc_client_options options = {
                .deadline_usec = usec_add(now_usec(CLOCK_MONOTONIC), CALL_TIMEOUT_USEC),
        };
        Admin__TransportConfig transport = ADMIN__TRANSPORT_CONFIG__INIT;
        Admin__RegistryRequest request = ADMIN__REGISTRY_REQUEST__INIT;
        Systemd__UnitStatus status;
        int r;

        transport.protocol = config->transport.protocol;
        transport.address = config->transport.address;
        transport.port = config->transport.port;
        transport.name = config->transport.name;
        unit_message_fill(&status, entry->unit, state);
        request.name = entry->unit->name;
        request.parent = entry->unit->own ? config->parent : config->agent;
        request.type = entry->unit->type;
        request.transport = &transport;
        request.state = &status;
        r = rpc_channel_unary(registration->channel, &admin__admin_service__descriptor, "RegisterService",
                        &request.base, &options, on_registered, entry, &entry->call);
        if (r < 0)
                return r;
        entry->state = ENTRY_CALLED;
        registration->n_calls++;
        return 0;
}

/* --- all of them --- */

/* The agent knows of itself that it runs: systemd need not say so, if it does not. */
static bool is_known(const struct entry *entry, const struct unit_state **ret) {
        *ret = units_get(entry->registration->manager->units, entry->unit->target);
        return *ret || (entry->unit->own && now_usec(CLOCK_MONOTONIC) >= entry->registration->patience_usec);
}

/* Of those that failed, the time of the next; USEC_INFINITY: none. Those whose time has come are wanted
 * again. */
static uint64_t collect_failed(struct registration *registration) {
        uint64_t now = now_usec(CLOCK_MONOTONIC), next = USEC_INFINITY;
        struct entry *entry;

        LIST_FOREACH(entry, &registration->entries, entries) {
                if (entry->state != ENTRY_FAILED)
                        continue;
                if (entry->retry_usec <= now)
                        entry->state = ENTRY_WANTED;
                else
                        next = MIN(next, entry->retry_usec);
        }
        return next;
}

static void set_timer(struct registration *registration, uint64_t usec) {
        if (usec == USEC_INFINITY) {
                (void) sd_event_source_set_enabled(registration->retry, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(registration->retry, usec);
        (void) sd_event_source_set_enabled(registration->retry, SD_EVENT_ONESHOT);
}

/* Begins whatever can be begun. A unit is registered under its agent, so that one comes first. */
static void pump(struct registration *registration) {
        struct entry *entry;
        uint64_t next;
        int r;

        if (rpc_channel_get_state(registration->channel) != RPC_CHANNEL_READY) {
                set_timer(registration, USEC_INFINITY);
                return;
        }
        next = collect_failed(registration);
        LIST_FOREACH(entry, &registration->entries, entries) {
                const struct unit_state *state;

                if (registration->n_calls >= CALLS_MAX)
                        break;
                if (entry != registration->own && registration->own->state != ENTRY_DONE)
                        break;
                if (entry->state != ENTRY_WANTED)
                        continue;
                if (!is_known(entry, &state)) {
                        if (entry->unit->own)
                                next = MIN(next, registration->patience_usec);
                        continue;
                }
                r = entry_call(entry, state);
                if (r < 0) {
                        entry_failed(entry, RPC_RESOURCE_EXHAUSTED, strerror(-r));
                        next = MIN(next, entry->retry_usec);
                }
        }
        set_timer(registration, next);
}

static int on_retry(sd_event_source *timer, uint64_t usec, void *userdata) {
        pump(userdata);
        return 0;
}

/* An admin that we reach (again) may know nothing of us: it was restarted, or is another. */
static void register_all(struct registration *registration) {
        struct entry *entry;

        LIST_FOREACH(entry, &registration->entries, entries) {
                if (entry->call) {
                        entry->call = rpc_client_cancel(entry->call);
                        registration->n_calls--;
                }
                entry->state = ENTRY_WANTED;
                entry->failures = 0;
        }
        registration->n_done = 0;
        registration->told = false;
        pump(registration);
}

static void on_state(struct rpc_channel *channel, enum rpc_channel_state state, void *userdata) {
        struct registration *registration = userdata;
        const struct config *config = &registration->manager->config;
        const struct log_fields fields = { .peer = config->admin.name };

        if (registration->connected != (state == RPC_CHANNEL_READY)) {
                registration->connected = !registration->connected;
                registration->since_usec = now_usec(CLOCK_REALTIME);
                bus_object_admin_changed(registration->manager->bus_object);
        }
        if (state != RPC_CHANNEL_READY)
                tell_online(registration, false);
        if (state == RPC_CHANNEL_READY) {
                free(registration->last_reason);
                registration->last_reason = NULL;
                register_all(registration);
        } else if (state == RPC_CHANNEL_FAILED &&
                        is_news(&registration->last_reason, rpc_channel_reason(channel))) {
                /* A notice: at boot, the admin may well come after us. */
                log_event(LOG_NOTICE, &fields, "Cannot reach %s at %s port %s (%s): %s. Trying on.",
                                fields.peer, config->admin.address, config->admin.port,
                                config->admin.protocol, rpc_channel_reason(channel));
                reactor_status(registration->manager->reactor, "Waiting for the admin");
        }
}

/* --- life --- */

static int make_channel(struct registration *registration) {
        struct manager *manager = registration->manager;
        const struct rpc_channel_config config = {
                .address = manager->config.admin.socket,
                .tls = manager->tls,
                .server_name = manager->config.admin.name,
                .backoff_max_usec = RECONNECT_MAX_USEC,
                .state_changed = on_state,
                .userdata = registration,
        };

        return rpc_channel_new(&registration->channel, reactor_event(manager->reactor), &config);
}

int registration_new(struct registration **ret, struct manager *manager) {
        _cleanup_(registration_freep) struct registration *registration = NULL;
        int r;

        registration = calloc(1, sizeof(*registration));
        if (!registration)
                return -ENOMEM;
        registration->manager = manager;
        registration->since_usec = now_usec(CLOCK_REALTIME);
        /* What an earlier run has said, and could not take back. */
        online_tell(false);
        registration->patience_usec = usec_add(now_usec(CLOCK_MONOTONIC), PATIENCE_USEC);
        list_init(&registration->entries);
        r = make_entries(registration);
        if (r < 0)
                return r;
        r = sd_event_add_time(reactor_event(manager->reactor), &registration->retry, CLOCK_MONOTONIC,
                        UINT64_MAX, 0, on_retry, registration);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(registration->retry, SD_EVENT_OFF);
        r = make_channel(registration);
        if (r < 0)
                return r;
        rpc_channel_connect(registration->channel);
        *ret = TAKE_PTR(registration);
        return 0;
}

struct registration *registration_free(struct registration *registration) {
        if (!registration)
                return NULL;
        tell_online(registration, false);
        drop_entries(registration);
        rpc_channel_free(registration->channel);
        sd_event_source_disable_unref(registration->retry);
        free(registration->last_failure);
        free(registration->last_reason);
        free(registration);
        return NULL;
}

bool registration_is_connected(const struct registration *registration) {
        return registration->connected;
}

uint64_t registration_since(const struct registration *registration) {
        return registration->since_usec;
}

void registration_refresh(struct registration *registration) {
        int r;

        drop_entries(registration);
        registration->told = false;
        r = make_entries(registration);
        if (r < 0)
                log_error_errno(r, "Cannot register the units of the new configuration");
        else
                pump(registration);
}

void registration_set_tls(struct registration *registration, struct tls_context *tls) {
        rpc_channel_set_tls(registration->channel, tls);
}

void registration_add(struct registration *registration, const struct whitelist_unit *unit, bool known) {
        int r;

        r = add_entry(registration, unit, known);
        if (r < 0)
                log_error_errno(r, "Cannot register %s", unit->name);
        else
                pump(registration);
}

void registration_remove(struct registration *registration, const struct whitelist_unit *unit) {
        struct entry *entry = find_entry(registration, unit);

        if (entry)
                remove_entry(entry);
}

void registration_unit_known(struct registration *registration, const struct whitelist_unit *unit) {
        struct entry *entry = find_entry(registration, unit);

        if (entry && entry->state == ENTRY_WANTED)
                pump(registration);
}
