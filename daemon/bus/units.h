/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * systemd's units, over its D-Bus interface (org.freedesktop.systemd1(5)): the state of those that are followed,
 * kept true by signals, and the operations on them. Nothing is polled.
 */

#include "bus.h"

struct units;
struct unit;

/* A unit's state as systemd names it. No member is NULL; a unit that systemd does not know is not-found/inactive/dead. */
struct unit_state {
        const char *name;
        const char *description;
        const char *load_state;   /* loaded, not-found, masked, … */
        const char *active_state; /* active, inactive, failed, activating, … */
        const char *sub_state;    /* running, dead, exited, … */
        const char *path;         /* D-Bus object path, as deployed peers have in UnitStatus.Path */
        const char *freezer_state; /* running, freezing, frozen, thawing */
        const char *result;       /* of a service: success, exit-code, signal, oom-kill, …; "" where unknown */
        int32_t exit_code;        /* ExecMainCode: CLD_EXITED, …; 0 where none */
        int32_t exit_status;      /* ExecMainStatus */
        uint32_t main_pid;        /* of a service; 0: none runs */
        uint64_t since_usec;      /* CLOCK_REALTIME of the last change of its state; 0: there was none */
        bool job;                 /* a job for it is queued or running */
};

/* Inactive or failed, and no job is to change that. */
bool unit_state_is_final(const struct unit_state *state);

/* Told of every change of a followed unit, in order, none merged away where a unit passes through a final state. */
typedef void (*unit_changed_t)(struct units *units, const struct unit_state *state, void *userdata);

int units_new(struct units **ret, struct bus *bus, unit_changed_t changed, void *userdata);
struct units *units_free(struct units *units);
DEFINE_CLEANUP(struct units, units_free)

/*
 * Follows a unit (it need not exist yet). The first changed() comes when its state is known. 0 (also if it is followed
 * already), -EINVAL (no unit name, or a template's), -ENOMEM, -ENOSPC (too many for what the bus daemon lets us have).
 */
int units_follow(struct units *units, const char *name);
/* It, or all of units by units_free(), may also be let go of in changed(). */
void units_unfollow(struct units *units, const char *name);
/* The last known state, valid until the next return to the event loop; NULL: not followed, or not known yet. */
const struct unit_state *units_get(struct units *units, const char *name);

/*
 * How an operation ended. error 0: done, and state is what it is now (a unit that is gone is inactive/dead). Else a
 * negative errno with a text for people: -ENOENT no such unit, -ENOTCONN no bus, -ECANCELED job cancelled, -ETIMEDOUT,
 * -EBUSY, -EOPNOTSUPP cannot be frozen, or reloaded, -ESRCH it does not run (freeze, thaw, kill, reload), -EREMOTEIO the job failed
 * (systemd's result is in the text), -EACCES; then state is NULL where it could not be read.
 */
typedef void (*unit_done_t)(int error, const char *message, const struct unit_state *state, void *userdata);

/*
 * Operations at once. Each waits for two answers at most, and dbus-daemon lets a connection to the system bus wait for
 * 128 (max_replies_per_connection), of which those that units.c reads need some.
 */
#define UNITS_OPERATIONS_MAX 40

struct unit_operation;

enum unit_verb {
        UNIT_STATUS,   /* only read the state, fresh from systemd */
        UNIT_START,    /* StartUnit, mode replace */
        UNIT_RESTART,  /* RestartUnit, mode replace: what StartUnit of the wire does */
        UNIT_STOP,     /* StopUnit, mode replace; of what is not loaded: done */
        UNIT_KILL,     /* SIGKILL to all its processes; done when the signal was sent */
        UNIT_FREEZE,
        UNIT_THAW,
        UNIT_START_TRANSIENT, /* not for units_operate(): unit-transient.h */
        UNIT_TRY_RESTART,     /* RestartUnit of what runs; of what does not: done */
        UNIT_RELOAD,          /* ReloadUnit: it reads its configuration again */
        UNIT_RESET_FAILED,    /* forgets that it failed, and how often it was started */
};

/* Which processes of a unit get a signal. */
enum unit_whom {
        UNIT_WHOM_ALL,
        UNIT_WHOM_MAIN,
        UNIT_WHOM_CONTROL, /* that of ExecReload= and the like */
};

/* An operation in all its particulars; zero is what is usual. */
struct unit_operation_spec {
        enum unit_verb verb;
        int signal;          /* UNIT_KILL: 0 is SIGKILL */
        enum unit_whom whom; /* UNIT_KILL */
        bool no_block;       /* done when systemd has queued the job */
};

/*
 * Begins an operation on any unit, followed or not. done is called once, later, when the job (if one) has ended;
 * *ret can be cancelled until then: nobody is told any more, but the job goes on. There is no time limit for a job.
 * Returns 0, -EINVAL (no unit name, or a template's), -ENOMEM, or -EBUSY (too many under way).
 */
int units_operate(struct units *units, enum unit_verb verb, const char *name, unit_done_t done, void *userdata,
        struct unit_operation **ret);
/* The same; of spec, nothing need last. */
int units_operate_spec(struct units *units, const struct unit_operation_spec *spec, const char *name,
        unit_done_t done, void *userdata, struct unit_operation **ret);
struct unit_operation *unit_operation_cancel(struct unit_operation *operation);
