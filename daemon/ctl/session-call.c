/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "session.h"
#include "text.h"

#include <stdio.h>

/*
 * The channel waits by itself between attempts to connect. This is for a server that accepts a connection
 * and ends the call again and again.
 */
#define RETRY_MIN_USEC (250 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)

struct session_call {
        struct session *session;
        struct list calls;
        struct session_request request;
        char *what, *subject;         /* the request's */
        ProtobufCMessage *message;    /* likewise; NULL: the request's own is there when it is needed */
        bool waits;                   /* for its turn */
        struct rpc_client_call *call; /* NULL: lost, and to be begun again */
        sd_event_source *settled, *retry;
        uint64_t deadline_usec, retry_usec;
        bool began; /* the server is or was at it */
        bool lost;  /* and somebody was told that it was lost */
};

struct session_failure {
        struct session *session;
        struct list failures;
        sd_event_source *source;
        char *what, *message;
        enum rpc_code code;
        uint8_t *details;
        size_t n_details;
};

static struct session_call *session_call_free(struct session_call *call) {
        if (!call)
                return NULL;
        list_remove(&call->calls);
        sd_event_source_disable_unref(call->settled);
        sd_event_source_disable_unref(call->retry);
        if (call->message)
                protobuf_c_message_free_unpacked(call->message, NULL);
        free(call->what);
        free(call->subject);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(struct session_call, session_call_free)

static struct session_failure *session_failure_free(struct session_failure *failure) {
        if (!failure)
                return NULL;
        list_remove(&failure->failures);
        sd_event_source_disable_unref(failure->source);
        free(failure->what);
        free(failure->message);
        free(failure->details);
        free(failure);
        return NULL;
}
DEFINE_CLEANUP(struct session_failure, session_failure_free)

static void abandon(struct session_call *call) {
        if (call->call)
                rpc_client_cancel(call->call);
        session_call_free(call);
}

void session_clear_calls(struct session *session) {
        struct session_failure *failure;
        struct session_call *call;

        while ((call = LIST_FIRST(&session->calls, struct session_call, calls)))
                abandon(call);
        while ((failure = LIST_FIRST(&session->failures, struct session_failure, failures)))
                session_failure_free(failure);
}

static void clear_progress(const struct session *session) {
        if (session->shows_progress)
                fputs("\r\033[K", stderr);
}

/* Something has ended with code. */
static void settle(struct session *session, int code) {
        if (session->code == EXIT_DONE)
                session->code = code;
        if (list_is_empty(&session->calls) && list_is_empty(&session->failures))
                session_end(session, session->code);
}

static void begin_next(struct session *session);

static int on_settled(sd_event_source *source, void *userdata) {
        struct session_call *call = userdata;
        struct session *session = call->session;

        abandon(call);
        begin_next(session);
        settle(session, EXIT_DONE);
        return 0;
}

void session_settle(struct session *session, const void *userdata) {
        struct session_call *call;
        int r;

        LIST_FOREACH(call, &session->calls, calls) {
                if (call->request.userdata != userdata || call->settled)
                        continue;
                r = sd_event_add_defer(session->event, &call->settled, on_settled, call);
                if (r < 0)
                        session_end(session, fail_errno(r, call->what));
                return;
        }
}

static int on_failure(sd_event_source *source, void *userdata) {
        struct session_failure *failure = userdata;
        struct session *session = failure->session;
        const struct rpc_status status = {
                .code = failure->code,
                .message = failure->message,
                .details = failure->details,
                .n_details = failure->n_details,
        };
        int code;

        clear_progress(session);
        code = fail_status(session, failure->what, &status);
        session_failure_free(failure);
        settle(session, code);
        return 0;
}

static int failure_new(struct session_failure **ret, struct session *session, const char *what,
                const struct rpc_status *status) {
        _cleanup_(session_failure_freep) struct session_failure *failure = calloc(1, sizeof(*failure));

        if (!failure)
                return -ENOMEM;
        list_init(&failure->failures);
        failure->session = session;
        failure->code = status->code;
        failure->what = strdup(what);
        failure->message = strdup(status->message);
        if (status->n_details > 0) {
                failure->details = malloc(status->n_details);
                if (!failure->details)
                        return -ENOMEM;
                memcpy(failure->details, status->details, status->n_details);
                failure->n_details = status->n_details;
        }
        if (!failure->what || !failure->message ||
                        sd_event_add_defer(session->event, &failure->source, on_failure, failure) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(failure);
        return 0;
}

void session_fail(struct session *session, const char *what, const struct rpc_status *status) {
        struct session_failure *failure;
        int r = failure_new(&failure, session, what, status);

        if (r < 0) {
                settle(session, fail_errno(r, what));
                return;
        }
        list_append(&session->failures, &failure->failures);
}

void session_fail_waiting(struct session *session, const char *what, const struct rpc_status *status,
                const char *is, const char *wanted) {
        struct rpc_status failure = *status;
        _cleanup_(freep) char *text = NULL;

        if (status->code == RPC_DEADLINE_EXCEEDED && is)
                text = text_printf("it is still %s, and not %s", is, wanted);
        if (text)
                failure.message = text;
        session_fail(session, what, &failure);
}

/* ---- calls that come back ---- */

static int begin(struct session_call *call);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        struct session_call *call = userdata;
        int r = begin(call);

        if (r < 0)
                session_end(call->session, fail_errno(r, call->what));
        return 0;
}

/* What passes: the server was restarted, the connection broke, we were too slow. Not: it does not permit
 * this. */
static bool may_retry(const struct session_call *call, enum rpc_code code) {
        if (!call->began || !call->request.endless || call->session->options->compatible)
                return false;
        return code == RPC_UNAVAILABLE || code == RPC_RESOURCE_EXHAUSTED || code == RPC_CANCELLED ||
                        code == RPC_ABORTED || code == RPC_INTERNAL || code == RPC_UNKNOWN;
}

static void retry_later(struct session_call *call, const char *reason) {
        struct session *session = call->session;
        int r;

        clear_progress(session);
        if (!call->lost)
                complain("%s: %s; trying again", call->what, reason);
        call->lost = true;
        call->retry = sd_event_source_disable_unref(call->retry);
        r = sd_event_add_time_relative(
                        session->event, &call->retry, CLOCK_MONOTONIC, call->retry_usec, 0, on_retry, call);
        if (r < 0)
                session_end(session, fail_errno(r, call->what));
        call->retry_usec = MIN(call->retry_usec * 2, RETRY_MAX_USEC);
}

/* ---- their answers ---- */

static void on_done(const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        struct session_call *call = userdata;
        const struct session_request *request = &call->request;
        struct session *session = call->session;
        int code = EXIT_DONE;

        clear_progress(session);
        if (request->done)
                code = request->done(session, status, response, request->userdata);
        else if (status->code != RPC_OK)
                session_fail(session, call->what, status);
        else if (request->show) {
                code = request->show(session, response, call->subject);
                session->n_shown++;
        }
        session_note_output(session);
        session_call_free(call);
        begin_next(session);
        settle(session, code);
}

static void on_accepted(struct rpc_client_call *client, void *userdata) {
        struct session_call *call = userdata;

        if (call->lost)
                complain("%s answers again", call->session->peer);
        call->began = true;
        call->lost = false;
}

static void on_message(struct rpc_client_call *client, const ProtobufCMessage *message, void *userdata) {
        struct session_call *call = userdata;

        call->retry_usec = RETRY_MIN_USEC;
        call->request.told(call->session, message, call->request.userdata);
}

static void on_finished(struct rpc_client_call *client, const struct rpc_status *status, void *userdata) {
        static const struct rpc_status ended = { .code = RPC_UNAVAILABLE,
                .message = "the server has ended the call" };
        struct session_call *call = userdata;

        call->call = NULL;
        if (call->settled)
                return;
        if (call->request.endless && status->code == RPC_OK)
                status = &ended;
        if (may_retry(call, status->code))
                retry_later(call, status->message);
        else
                on_done(status, NULL, call);
}

/* ---- beginning them ---- */

/* CLOCK_MONOTONIC microseconds at which a call that begins now ends; 0: never. */
static uint64_t deadline(const struct session *session) {
        uint64_t timeout = session->options->timeout_usec;

        return timeout == USEC_INFINITY ? 0 : usec_add(now_usec(CLOCK_MONOTONIC), timeout);
}

static int begin(struct session_call *call) {
        static const struct rpc_client_ops ops = {
                .accepted = on_accepted,
                .message = on_message,
                .finished = on_finished,
        };
        struct rpc_channel *channel = call->session->channel;
        const struct session_request *request = &call->request;
        const struct rpc_client_options options = {
                .deadline_usec = call->deadline_usec,
                .wait_for_ready = call->began,
        };
        int r;

        if (!request->told)
                return rpc_channel_unary(channel, request->service, request->method, request->message,
                                &options, on_done, call, &call->call);
        r = rpc_channel_call(channel, request->service, request->method, &options, &ops, call, &call->call);
        if (r < 0)
                return r;
        r = rpc_client_send(call->call, request->message);
        if (r < 0) {
                call->call = rpc_client_cancel(call->call);
                return r;
        }
        rpc_client_half_close(call->call);
        return 0;
}

/* ---- taking turns ---- */

static size_t count_begun(const struct session *session) {
        const struct session_call *call;
        size_t n = 0;

        LIST_FOREACH(call, &session->calls, calls)
                n += !call->waits;
        return n;
}

/* A message that does not last until then is copied. */
static int wait_for_turn(struct session_call *call) {
        const ProtobufCMessage *message = call->request.message;
        _cleanup_(freep) uint8_t *packed = NULL;
        size_t n;

        call->waits = true;
        if (call->request.endless)
                return 0;
        n = protobuf_c_message_get_packed_size(message);
        packed = malloc(n + 1);
        if (!packed)
                return -ENOMEM;
        (void) protobuf_c_message_pack(message, packed);
        call->message = protobuf_c_message_unpack(message->descriptor, NULL, n, packed);
        if (!call->message)
                return -ENOMEM;
        call->request.message = call->message;
        return 0;
}

static void begin_next(struct session *session) {
        struct session_call *call;
        int r;

        LIST_FOREACH(call, &session->calls, calls) {
                if (!call->waits)
                        continue;
                if (count_begun(session) >= session->at_once)
                        return;
                call->waits = false;
                r = begin(call);
                if (r < 0) {
                        session_end(session, fail_errno(r, call->what));
                        return;
                }
        }
}

int session_call(struct session *session, const struct session_request *request) {
        _cleanup_(session_call_freep) struct session_call *call = NULL;
        int r;

        r = session_open(session, !request->endless || session->options->compatible);
        if (r != EXIT_DONE)
                return r;
        call = malloc(sizeof(*call));
        if (!call)
                return fail_errno(-ENOMEM, request->what);
        *call = (struct session_call){
                .session = session,
                .request = *request,
                .what = strdup(request->what),
                .subject = strdup(strempty(request->subject)),
                .deadline_usec = request->unlimited ? 0 : deadline(session),
                .retry_usec = RETRY_MIN_USEC,
        };
        list_init(&call->calls);
        if (!call->what || !call->subject)
                return fail_errno(-ENOMEM, request->what);
        r = count_begun(session) < session->at_once ? begin(call) : wait_for_turn(call);
        if (r < 0)
                return fail_errno(r, request->what);
        list_append(&session->calls, &call->calls);
        TAKE_PTR(call);
        return EXIT_DONE;
}

int session_watch(struct session *session, session_told_t told, session_done_t done, void *userdata,
                bool unlimited) {
        static const Admin__Empty message = ADMIN__EMPTY__INIT;

        return session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "Watch",
                                        .message = &message.base,
                                        .what = "cannot watch the registry",
                                        .done = done,
                                        .told = told,
                                        .userdata = userdata,
                                        .unlimited = unlimited,
                                        .endless = true,
                        });
}
