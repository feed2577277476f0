/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "units-internal.h"

#include "freezer.h"
#include "log.h"
#include "text.h"
#include "unit-error.h"
#include "unit-reader.h"

#include <signal.h>

/*
 * For systemd to accept a job, or to send a signal, or for the kernel to freeze all processes. Not for a
 * job.
 */
#define CALL_TIMEOUT_USEC (30 * USEC_PER_SEC)

/*
 * Between two readings of a unit that several look at, at once: systemd takes about a millisecond for one,
 * and is there for others, too.
 */
#define LOOK_PAUSE_USEC (5 * USEC_PER_MSEC)

/*
 * One operation, its steps in the order of the functions below: call the manager; for a job, wait until it
 * is removed; read the state; tell. done() is called from the loop only, never from inside of
 * units_operate().
 */
struct unit_operation {
        struct list link;
        struct units *units;
        enum unit_verb verb;
        int signal; /* this and whom of UNIT_KILL */
        enum unit_whom whom;
        bool no_block;
        const struct unit_transient *transient; /* of UNIT_START_TRANSIENT; the caller's */
        unit_done_t done;
        void *userdata;

        sd_bus_slot *call;
        bool watches_jobs;
        char *job; /* its path, while it is waited for */
        bool thawed;
        bool job_unseen; /* it ended while systemd was away */
        struct unit_properties properties;
        struct unit_reader reader;
        /* Of UNIT_STATUS: whose reading brings the state, often its own; NULL while it waits for one to
         * begin. */
        struct unit_operation *reads;
        sd_event_source *pause; /* of who reads next, for all that wait */

        int error;
        char *message;
        char *job_result; /* if it is not "done": the text about it needs the state */
        sd_event_source *later;
};

static void call_manager(struct unit_operation *operation);
static void read_state(struct unit_operation *operation);

static void unwatch_jobs(struct unit_operation *operation) {
        struct units *units = operation->units;

        if (operation->watches_jobs && --units->n_job_watchers == 0)
                units->job_removed = sd_bus_slot_unref(units->job_removed);
        operation->watches_jobs = false;
}

/*
 * Those who look at the same unit share a reading, as long as it has not begun: one that has may be answered
 * by a state from before they came. So systemd has one of each unit to answer, however many ask.
 */
static bool looks_at(const struct unit_operation *operation, const char *name) {
        return operation->verb == UNIT_STATUS && !operation->later &&
                        streq(operation->properties.name, name);
}

static void begin_look(struct unit_operation *operation) {
        struct unit_operation *other;

        LIST_FOREACH(other, &operation->units->operations, link)
                if (looks_at(other, operation->properties.name))
                        other->reads = operation;
        read_state(operation);
}

static void look(struct unit_operation *operation) {
        struct unit_operation *other;

        LIST_FOREACH(other, &operation->units->operations, link)
                if (other != operation && looks_at(other, operation->properties.name))
                        return;
        begin_look(operation);
}

static int on_pause_over(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        struct unit_operation *operation = userdata;

        operation->pause = sd_event_source_unref(operation->pause);
        begin_look(operation);
        return 0;
}

/* Of an operation that is in no list any more. Who has been waiting, or has shared a reading that is given
 * up, goes on. */
static void end_look(struct unit_operation *operation) {
        struct unit_operation *other, *next = NULL;

        if (operation->reads != operation && !operation->pause)
                return;
        operation->pause = sd_event_source_disable_unref(operation->pause);
        LIST_FOREACH(other, &operation->units->operations, link)
                if (looks_at(other, operation->properties.name)) {
                        other->reads = NULL;
                        next = next ?: other;
                }
        if (next &&
                        sd_event_add_time_relative(bus_event(operation->units->bus), &next->pause,
                                        CLOCK_MONOTONIC, LOOK_PAUSE_USEC, USEC_PER_MSEC, on_pause_over,
                                        next) < 0)
                begin_look(next);
}

/* After this nothing will call into the operation any more, and it is in no list. */
static void detach(struct unit_operation *operation) {
        unwatch_jobs(operation);
        operation->call = sd_bus_slot_unref(operation->call);
        operation->later = sd_event_source_disable_unref(operation->later);
        unit_reader_clear(&operation->reader);
        list_remove(&operation->link);
        operation->units->n_operations--;
        end_look(operation);
}

static void destroy(struct unit_operation *operation) {
        unit_properties_clear(&operation->properties);
        free(operation->job);
        free(operation->message);
        free(operation->job_result);
        free(operation);
}

struct unit_operation *unit_operation_cancel(struct unit_operation *operation) {
        if (!operation)
                return NULL;
        detach(operation);
        destroy(operation);
        return NULL;
}

/* --- the end */

static void set_error(struct unit_operation *operation, int error, const char *message) {
        operation->error = error;
        free(operation->message);
        operation->message = strdup(strempty(message));
}

static void set_bus_error(struct unit_operation *operation, const sd_bus_error *error) {
        int r = unit_error_from_bus(error);

        /* What sd-bus answers in systemd's place then, is that there was no reply. */
        if (!bus_connection(operation->units->bus))
                set_error(operation, -ENOTCONN, "The connection to systemd was lost");
        else
                set_error(operation, r,
                                r == -ENOTCONN ? "There is no connection to systemd" : error->message);
}

/* The last thing that a callback does: units may be gone afterwards. */
static void finish(struct unit_operation *operation, const struct unit_state *state) {
        detach(operation);
        operation->done(operation->error, strempty(operation->message), state, operation->userdata);
        destroy(operation);
}

/* Of a job whose result nobody has heard: whether the unit is as it should be after it. */
static bool job_has_succeeded(const struct unit_operation *operation) {
        const struct unit_properties *p = &operation->properties;

        return operation->verb == UNIT_STOP ? unit_properties_is_down(p) : !streq(p->active_state, "failed");
}

/* Now that the state is known: what the error is, and its text. */
static void explain(struct unit_operation *operation, const struct unit_state *state) {
        const char *result = operation->job_result;

        if (operation->job_unseen && !job_has_succeeded(operation))
                result = "failed";
        if (result) {
                operation->error = unit_error_from_job(result);
                operation->message = unit_error_job_text(operation->verb, result, state);
                return;
        }
        if (operation->error != -ENOENT)
                return;
        /* What is not loaded has no failure that could be forgotten. */
        if (operation->verb == UNIT_RESET_FAILED && !streq(state->load_state, "not-found")) {
                operation->error = 0;
                return;
        }
        /* systemd says "not loaded" in both cases: that a unit is not loaded means that it does not run. */
        free(operation->message);
        if (streq(state->load_state, "not-found"))
                operation->message = text_printf("There is no unit %s", state->name);
        else {
                operation->error = -ESRCH;
                operation->message = text_printf("%s does not run", state->name);
        }
}

/* Likewise the last. */
static void finish_with_state(struct unit_operation *operation) {
        struct unit_properties *p = &operation->properties;
        struct unit_state state;

        unit_properties_view(p, unit_properties_is_down(p) ? 0 : freezer_read(p->control_group), &state);
        explain(operation, &state);
        finish(operation, &state);
}

static int on_later(sd_event_source *source, void *userdata) {
        struct unit_operation *operation = userdata;

        if (operation->error == 0)
                finish_with_state(operation);
        else
                finish(operation, NULL);
        return 0;
}

/* Where something else is to be done first: the caller may be the user, who must have the operation before
 * it ends. */
static void finish_later(struct unit_operation *operation) {
        int r;

        if (operation->later)
                return;
        r = sd_event_add_defer(bus_event(operation->units->bus), &operation->later, on_later, operation);
        if (r < 0)
                log_error_errno(r, "Cannot tell how an operation on %s ended", operation->properties.name);
}

static void fail_later(struct unit_operation *operation, int error, const char *message) {
        set_error(operation, error, message);
        finish_later(operation);
}

static void fail_to_send(struct unit_operation *operation, int error) {
        if (error == -ENOMEM)
                fail_later(operation, error, "Out of memory");
        else
                fail_later(operation, -ENOTCONN, "There is no connection to systemd");
}

/* --- last step: the state as it is now */

static void take_reading(struct unit_operation *operation, const sd_bus_error *error,
                const struct unit_properties *read) {
        int r = error ? 0 : unit_properties_copy(&operation->properties, read);

        if (error)
                set_bus_error(operation, error);
        else if (r < 0)
                set_error(operation, r, "Out of memory");
        operation->reads = NULL;
        finish_later(operation);
}

static void on_read(const sd_bus_error *error, void *userdata) {
        struct unit_operation *operation = userdata, *other;

        LIST_FOREACH(other, &operation->units->operations, link)
                if (other != operation && other->reads == operation)
                        take_reading(other, error, &operation->properties);
        if (error) {
                /* What went wrong first is the better reason. */
                if (operation->error == 0)
                        set_bus_error(operation, error);
                finish(operation, NULL);
                return;
        }
        units_compare(operation->units, &operation->properties);
        finish_with_state(operation);
}

static void read_state(struct unit_operation *operation) {
        sd_bus *connection = bus_connection(operation->units->bus);
        int r;

        unit_reader_clear(&operation->reader);
        r = connection ? unit_reader_start(&operation->reader, connection, &operation->properties, on_read,
                                         operation)
                       : -ENOTCONN;
        if (r < 0)
                fail_to_send(operation, r);
}

/* --- middle step: the job */

static int on_thawed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        /* If it could not be thawed, the second try will say what is in the way. */
        call_manager(userdata);
        return 0;
}

/* systemd from 254 on refuses to move what is frozen; before, it thaws by itself. */
static void thaw_and_try_again(struct unit_operation *operation) {
        int r;

        operation->thawed = true;
        r = sd_bus_call_method_async(bus_connection(operation->units->bus), &operation->call, SYSTEMD_NAME,
                        SYSTEMD_PATH, SYSTEMD_MANAGER, "ThawUnit", on_thawed, operation, "s",
                        operation->properties.name);
        if (r < 0)
                fail_to_send(operation, r);
}

static void job_ended(struct unit_operation *operation, const char *result) {
        free(operation->job);
        operation->job = NULL;
        operation->call = sd_bus_slot_unref(operation->call);
        if (streq(result, "frozen") && !operation->thawed) {
                thaw_and_try_again(operation);
                return;
        }
        if (!streq(result, "done")) {
                operation->job_result = strdup(result);
                if (!operation->job_result) {
                        fail_later(operation, -ENOMEM, "Out of memory");
                        return;
                }
        }
        read_state(operation);
}

/* JobRemoved(id, job, unit, result) */
static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct units *units = userdata;
        struct unit_operation *operation;
        const char *job, *result;

        if (sd_bus_message_read(m, "uoss", NULL, &job, NULL, &result) < 0)
                return 0;
        /* Several may wait for one job: systemd merges what fits together. None of them ends in here. */
        LIST_FOREACH(operation, &units->operations, link)
                if (operation->job && streq(operation->job, job))
                        job_ended(operation, result);
        return 0;
}

/*
 * Before the call that makes the job: the bus daemon takes what we send in order, so the rule is there by
 * the time that the job can end.
 */
static int watch_jobs(struct unit_operation *operation, sd_bus *connection) {
        struct units *units = operation->units;
        int r;

        if (operation->watches_jobs)
                return 0;
        if (units->n_job_watchers == 0) {
                r = sd_bus_match_signal_async(connection, &units->job_removed, SYSTEMD_NAME, SYSTEMD_PATH,
                                SYSTEMD_MANAGER, "JobRemoved", on_job_removed, NULL, units);
                if (r < 0)
                        return r;
        }
        units->n_job_watchers++;
        operation->watches_jobs = true;
        return 0;
}

static int on_job_state(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct unit_operation *operation = userdata;

        if (!sd_bus_message_is_method_error(m, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return 0;
        log_debug("The job of %s ended while systemd was away", operation->properties.name);
        operation->job_unseen = true;
        job_ended(operation, "done");
        return 0;
}

void unit_operations_check_jobs(struct units *units) {
        sd_bus *connection = bus_connection(units->bus);
        struct unit_operation *operation;
        int r;

        if (!connection)
                return;
        LIST_FOREACH(operation, &units->operations, link) {
                if (!operation->job)
                        continue;
                operation->call = sd_bus_slot_unref(operation->call);
                r = sd_bus_call_method_async(connection, &operation->call, SYSTEMD_NAME, operation->job,
                                "org.freedesktop.DBus.Properties", "Get", on_job_state, operation, "ss",
                                SYSTEMD_NAME ".Job", "State");
                if (r < 0)
                        fail_to_send(operation, r);
        }
}

/* --- first step: the call */

static const char *verb_method(enum unit_verb verb) {
        switch (verb) {
        case UNIT_START:
                return "StartUnit";
        case UNIT_RESTART:
                return "RestartUnit";
        case UNIT_STOP:
                return "StopUnit";
        case UNIT_KILL:
                return "KillUnit";
        case UNIT_FREEZE:
                return "FreezeUnit";
        case UNIT_THAW:
                return "ThawUnit";
        case UNIT_START_TRANSIENT:
                return "StartTransientUnit";
        case UNIT_TRY_RESTART:
                return "TryRestartUnit";
        case UNIT_RELOAD:
                return "ReloadUnit";
        case UNIT_RESET_FAILED:
                return "ResetFailedUnit";
        case UNIT_STATUS:
                return NULL;
        }
        return NULL;
}

static bool verb_makes_job(enum unit_verb verb) {
        return verb == UNIT_START || verb == UNIT_RESTART || verb == UNIT_TRY_RESTART ||
                        verb == UNIT_RELOAD || verb == UNIT_STOP || verb == UNIT_START_TRANSIENT;
}

static bool is_helper(const struct unit_operation *operation) {
        return operation->transient && operation->transient->helper_socket;
}

static void take_call_error(struct unit_operation *operation, sd_bus_message *m) {
        const sd_bus_error *error = sd_bus_message_get_error(m);

        if (operation->verb == UNIT_STOP && sd_bus_error_has_name(error, SYSTEMD_NAME ".NoSuchUnit")) {
                read_state(operation);
                return;
        }
        set_bus_error(operation, error);
        if (operation->error == -ENOENT && !verb_makes_job(operation->verb)) {
                read_state(operation);
                return;
        }
        finish(operation, NULL);
}

static int on_called(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct unit_operation *operation = userdata;
        const char *job;

        if (sd_bus_message_is_method_error(m, NULL)) {
                take_call_error(operation, m);
                return 0;
        }
        if (is_helper(operation)) {
                finish(operation, NULL);
                return 0;
        }
        if (!verb_makes_job(operation->verb) || operation->no_block) {
                read_state(operation);
                return 0;
        }
        if (sd_bus_message_read_basic(m, SD_BUS_TYPE_OBJECT_PATH, &job) < 0) {
                set_error(operation, -EREMOTEIO, "systemd does not say which job it has begun");
                finish(operation, NULL);
                return 0;
        }
        operation->job = strdup(job);
        if (!operation->job) {
                set_error(operation, -ENOMEM, "Out of memory");
                finish(operation, NULL);
        }
        return 0;
}

static const char *whom_text(enum unit_whom whom) {
        switch (whom) {
        case UNIT_WHOM_MAIN:
                return "main";
        case UNIT_WHOM_CONTROL:
                return "control";
        case UNIT_WHOM_ALL:
                break;
        }
        return "all";
}

static int append_arguments(struct unit_operation *operation, sd_bus_message *m) {
        const char *name = operation->properties.name;

        if (operation->verb == UNIT_START_TRANSIENT)
                return unit_transient_append(m, name, operation->transient);
        if (verb_makes_job(operation->verb))
                return sd_bus_message_append(m, "ss", name, "replace");
        if (operation->verb == UNIT_KILL)
                return sd_bus_message_append(
                                m, "ssi", name, whom_text(operation->whom), (int32_t) operation->signal);
        return sd_bus_message_append(m, "s", name);
}

static int send_call(struct unit_operation *operation, sd_bus *connection) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (verb_makes_job(operation->verb) && !operation->no_block) {
                r = watch_jobs(operation, connection);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_new_method_call(connection, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                        verb_method(operation->verb));
        if (r < 0)
                return r;
        r = append_arguments(operation, m);
        if (r < 0)
                return r;
        operation->call = sd_bus_slot_unref(operation->call);
        return sd_bus_call_async(connection, &operation->call, m, on_called, operation, CALL_TIMEOUT_USEC);
}

static void call_manager(struct unit_operation *operation) {
        sd_bus *connection = bus_connection(operation->units->bus);
        int r;

        r = connection ? send_call(operation, connection) : -ENOTCONN;
        if (r < 0)
                fail_to_send(operation, r);
}

/* --- the whole of it */

static int operate(struct units *units, const struct unit_operation_spec *spec, const char *name,
                const struct unit_transient *transient, unit_done_t done, void *userdata,
                struct unit_operation **ret) {
        struct unit_operation *operation;
        int r;

        if (!unit_name_is_usable(name) || spec->signal < 0 || spec->signal > SIGRTMAX)
                return -EINVAL;
        if (units->n_operations >= UNITS_OPERATIONS_MAX)
                return -EBUSY;

        operation = calloc(1, sizeof(*operation));
        if (!operation)
                return -ENOMEM;
        operation->units = units;
        operation->verb = spec->verb;
        operation->signal = spec->signal ?: SIGKILL;
        operation->whom = spec->whom;
        operation->no_block = spec->no_block;
        operation->transient = transient;
        operation->done = done;
        operation->userdata = userdata;
        r = unit_properties_init(&operation->properties, name);
        if (r < 0) {
                destroy(operation);
                return r;
        }
        list_append(&units->operations, &operation->link);
        units->n_operations++;

        if (spec->verb == UNIT_STATUS)
                look(operation);
        else
                call_manager(operation);
        if (ret)
                *ret = operation;
        return 0;
}

int units_operate(struct units *units, enum unit_verb verb, const char *name, unit_done_t done,
                void *userdata, struct unit_operation **ret) {
        return operate(units, &(struct unit_operation_spec){ .verb = verb }, name, NULL, done, userdata,
                        ret);
}

int units_operate_spec(struct units *units, const struct unit_operation_spec *spec, const char *name,
                unit_done_t done, void *userdata, struct unit_operation **ret) {
        return operate(units, spec, name, NULL, done, userdata, ret);
}

int units_start_transient(struct units *units, const char *name, const struct unit_transient *transient,
                unit_done_t done, void *userdata, struct unit_operation **ret) {
        const struct unit_operation_spec spec = {
                .verb = UNIT_START_TRANSIENT,
                .no_block = transient->helper_socket != NULL,
        };

        return operate(units, &spec, name, transient, done, userdata, ret);
}

void unit_operations_cancel(struct units *units) {
        while (!list_is_empty(&units->operations))
                unit_operation_cancel(LIST_FIRST(&units->operations, struct unit_operation, link));
}

void unit_operations_fail(struct units *units) {
        struct unit_operation *operation;

        LIST_FOREACH(operation, &units->operations, link) {
                unwatch_jobs(operation);
                operation->call = sd_bus_slot_unref(operation->call);
                unit_reader_clear(&operation->reader);
                operation->pause = sd_event_source_disable_unref(operation->pause);
                fail_later(operation, -ENOTCONN, "The connection to systemd was lost");
        }
}
