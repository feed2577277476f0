/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One run of givcctl against one server: the connection, the calls on it, the loop until they have ended,
 * and the exit code that comes of it all. Every session_ function that can fail has complained when it
 * returns a code.
 */

#include "channel.h"
#include "list.h"

struct options;

/* The admin does 24 operations for one peer at once, and tells it of 16 units: others may speak in our name.
 */
#define SESSION_AT_ONCE 12

struct session {
        const struct options *options;
        sd_event *event;
        struct rpc_channel *channel;
        char *peer;           /* whom we speak to, for people: "admin-vm at 192.168.101.10:9001" */
        char *identity;       /* whom we speak as; NULL: no certificate */
        char *error;          /* why it cannot be opened */
        const char *hint;     /* a line below that; NULL: the usual one, if any */
        bool watches_output;  /* a reader of standard output who goes away ends the run */
        int output_error;     /* what went wrong with that first, a negative errno */
        bool shows_progress;  /* a line of the terminal is taken: cleared before anything else is printed */
        size_t at_once;       /* so many calls are under way, others wait for their turn */
        struct list calls;    /* both, in the order in which they were asked for */
        size_t n_shown;       /* answers that were printed */
        struct list failures; /* to be told of at the next turn of the loop */
        int code;             /* an enum exit_code: that of the first failure */
};

void session_init(struct session *session, const struct options *options);
void session_clear(struct session *session);

/*
 * Looks up the address, reads the certificates, makes the channel; what is open already stays. once: a lost
 * connection is not made again. Returns EXIT_DONE or the code to exit with.
 */
int session_open(struct session *session, bool once);
/* The same without complaining: what is wrong is in session->error (NULL: there was no memory). */
int session_try_open(struct session *session, bool once);

/* Which files it takes, as the options or the defaults have it; NULL: none. Only paths. */
struct session_files {
        const char *ca_cert, *cert, *key;
};
struct session_files session_files(const struct options *options);

/* What is to become of an answer: print it. Returns an enum exit_code. */
typedef int (*session_show_t)(
                struct session *session, const ProtobufCMessage *response, const char *subject);

/* How a call has ended, where that is not simply success or a failure: response is NULL unless it is unary
 * and status is RPC_OK. Returns an enum exit_code. */
typedef int (*session_done_t)(struct session *session, const struct rpc_status *status,
                const ProtobufCMessage *response, void *userdata);
/* One message of a stream. */
typedef void (*session_told_t)(struct session *session, const ProtobufCMessage *message, void *userdata);

struct session_request {
        const ProtobufCServiceDescriptor *service;
        const char *method;
        const ProtobufCMessage *message; /* of an endless one: must last as long as the call */
        const char *what;    /* begins the complaint when it fails: "cannot start x.service on y"; copied */
        const char *subject; /* passed on to show; copied */
        session_show_t show; /* NULL: the answer says nothing */
        session_done_t done; /* in place of show, and told of failures, too */
        session_told_t told; /* the answer is a stream */
        void *userdata;      /* of done and told */
        bool unlimited;      /* --timeout is not for this call */
        /*
         * A stream without an end of its own. Once the server was at it, it is asked for again when it is
         * lost, with message as that is by then; not for scripts of the deployed command, which do so
         * themselves.
         */
        bool endless;
};

/* --- session-call.c --- */

/* Opens the session if need be, and begins a call, or has it wait for its turn: its time begins now either
 * way. */
int session_call(struct session *session, const struct session_request *request);

/* Begins the endless call that tells told of the registry, by Admin__WatchItems; done may be NULL. */
int session_watch(struct session *session, session_told_t told, session_done_t done, void *userdata,
                bool unlimited);

/*
 * What was to be done has ended with status. Told at the next turn of the loop, by which time the channel
 * knows whether it has lost the connection; then, when no call is under way, the run ends.
 */
void session_fail(struct session *session, const char *what, const struct rpc_status *status);

/*
 * The same of a call that waited for something. Where its time is over, this says what the thing is still,
 * NULL: not known; and what it was to be.
 */
void session_fail_waiting(struct session *session, const char *what, const struct rpc_status *status,
                const char *is, const char *wanted);

/* The call with this userdata has told what was wanted: it is abandoned, at the next turn of the loop, as
 * done. */
void session_settle(struct session *session, const void *userdata);

/* Abandons the calls under way. */
void session_clear_calls(struct session *session);

/* --- session.c --- */

/* Until all calls have ended, or session_end(), or a signal: the exit code. */
int session_run(struct session *session);
/* Ends session_run(). */
void session_end(struct session *session, int code);

/* Hands what was printed to standard output's reader, and keeps in mind what goes wrong. */
void session_note_output(struct session *session);
/* Hands what was printed to standard output's reader. False: there is none any more, and session_end() was
 * called. */
bool session_flush(struct session *session);

bool session_is_connected(const struct session *session);
