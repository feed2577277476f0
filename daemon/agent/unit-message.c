/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-message.h"

/* protobuf-c's texts are char *, and are only read. */
static char *text(const char *s) {
        return (char *) strempty(s);
}

static const struct unit_state own_state = {
        .description = "givc agent",
        .load_state = "loaded",
        .active_state = "active",
        .sub_state = "running",
        .freezer_state = "running",
};

void unit_message_fill(Systemd__UnitStatus *message, const struct whitelist_unit *unit,
                const struct unit_state *state) {
        if (!state || (unit->own && streq(state->load_state, "not-found")))
                state = &own_state;
        systemd__unit_status__init(message);
        message->name = unit->name;
        message->description = text(state->description);
        message->loadstate = text(state->load_state);
        message->activestate = text(state->active_state);
        message->substate = text(state->sub_state);
        message->path = text(state->path);
        message->freezerstate = text(state->freezer_state);
        if (!streq(state->active_state, "inactive") && !streq(state->active_state, "failed"))
                return;
        message->result = text(state->result);
        message->exitcode = state->exit_code;
        message->exitstatus = state->exit_status;
}

void unit_message_fill_detail(Systemd__UnitDetail *message, Systemd__UnitStatus *status,
                const struct whitelist_unit *unit, const struct unit_state *state) {
        unit_message_fill(status, unit, state);
        systemd__unit_detail__init(message);
        message->status = status;
        if (!state)
                return;
        message->result = text(state->result);
        message->exitcode = state->exit_code;
        message->exitstatus = state->exit_status;
        message->sinceusec = state->since_usec;
        message->mainpid = state->main_pid;
}

enum rpc_code unit_error_code(int error) {
        switch (-error) {
        case ENOENT:
                return RPC_NOT_FOUND;
        case EINVAL:
                return RPC_INVALID_ARGUMENT;
        case EEXIST:
                return RPC_ALREADY_EXISTS;
        case EACCES:
                return RPC_PERMISSION_DENIED;
        case ECANCELED: /* another job took its place */
                return RPC_ABORTED;
        case ETIMEDOUT:
                return RPC_DEADLINE_EXCEEDED;
        case ENOTCONN:
        case ECONNRESET:
                return RPC_UNAVAILABLE;
        case EBUSY:
        case EOPNOTSUPP:
        case ESRCH:     /* it does not run */
        case EREMOTEIO: /* the job failed: the unit is not fit to be what was asked */
                return RPC_FAILED_PRECONDITION;
        case ENOMEM:
        case ENOBUFS:
                return RPC_RESOURCE_EXHAUSTED;
        default:
                return RPC_INTERNAL;
        }
}

const char *unit_error_text(int error, const char *message) {
        if (unit_error_code(error) == RPC_UNAVAILABLE)
                return "systemd cannot be reached";
        return isempty(message) ? strerror(-error) : message;
}
