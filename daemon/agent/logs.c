/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "logs.h"
#include "call.h"
#include "defer.h"
#include "journal-reader.h"

#include "logs.pb-c.h"

#include <sys/epoll.h>
#include <syslog.h>

/* Reading maps files and unpacks what is compressed: after so long, others have their turn. */
#define TURN_USEC (2 * USEC_PER_MSEC)
/* There may be as many such turns as streams: no call waits for more than one. */
#define TURN_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 1)

/* One stream; on the heap, as its sources are told something when the call is gone. */
struct log_stream {
        struct list streams; /* in the manager's */
        struct manager *manager;
        struct rpc_call *call;
        const char *name; /* of the unit, in the call's memory; NULL: the whole journal */
        struct journal_reader *reader;
        sd_event_source *turn; /* to read on */
        sd_event_source *news; /* that there is more; NULL: what is there is all that was asked for */
        bool blocked;          /* the peer does not read */
};

static struct log_stream *log_stream_free(struct log_stream *stream) {
        if (!stream)
                return NULL;
        list_remove(&stream->streams);
        sd_event_source_disable_unref(stream->turn);
        sd_event_source_disable_unref(stream->news);
        journal_reader_free(stream->reader);
        free(stream);
        return NULL;
}

DEFINE_CLEANUP(struct log_stream, log_stream_free)

static void end(struct log_stream *stream, enum rpc_code code, const char *text) {
        struct rpc_call *call = stream->call;

        log_stream_free(stream);
        rpc_call_finish(call, &(struct rpc_status){ .code = code, .message = text });
}

/* ---- reading ---- */

/* Sends the entry at which the reader stands. 0 or a negative errno. */
static int send_entry(struct log_stream *stream) {
        _cleanup_(journal_entry_clear) struct journal_entry entry = JOURNAL_ENTRY_NULL;
        Logs__LogEntry message = LOGS__LOG_ENTRY__INIT;
        int r;

        r = journal_reader_entry(stream->reader, &entry);
        if (r < 0)
                return r;
        message.cursor = entry.cursor;
        message.realtimeusec = entry.realtime_usec;
        message.priority = entry.priority;
        message.unitname = stream->name ? (char *) stream->name : entry.unit;
        message.identifier = entry.identifier;
        message.pid = entry.pid;
        message.message = entry.message;
        r = rpc_call_send(stream->call, &message.base);
        if (r < 0)
                return r;
        stream->blocked = r > 0;
        return 0;
}

static int on_turn(sd_event_source *source, void *userdata);

static void read_on(struct log_stream *stream) {
        defer_again(&stream->turn, on_turn);
}

static int on_turn(sd_event_source *source, void *userdata) {
        uint64_t begin = now_usec(CLOCK_MONOTONIC);
        struct log_stream *stream = userdata;
        int r;

        do {
                r = journal_reader_next(stream->reader);
                if (r > 0)
                        r = send_entry(stream);
                else if (r == 0) {
                        if (!stream->news)
                                end(stream, RPC_OK, "");
                        return 0;
                }
                if (r < 0 && r != -EAGAIN) {
                        end(stream, RPC_INTERNAL, "the journal cannot be read any further");
                        return 0;
                }
        } while (!stream->blocked && now_usec(CLOCK_MONOTONIC) - begin < TURN_USEC);
        if (!stream->blocked)
                read_on(stream);
        return 0;
}

/* Also while the peer does not read: else the kernel's queue of events would run over, and files be missed.
 */
static int on_news(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct log_stream *stream = userdata;

        if (journal_reader_process(stream->reader) < 0)
                end(stream, RPC_INTERNAL, "the journal cannot be followed any further");
        else if (!stream->blocked)
                read_on(stream);
        return 0;
}

static void call_writable(_unused_ struct rpc_call *call, void *userdata) {
        struct log_stream *stream = userdata;

        stream->blocked = false;
        read_on(stream);
}

static void call_gone(_unused_ struct rpc_call *call, void *userdata) {
        log_stream_free(userdata);
}

/* ---- the beginning ---- */

/* What the request asks for; NULL: it makes sense. */
static const char *find_nonsense(const Logs__LogsRequest *request) {
        if (request->prioritymax > LOG_DEBUG + 1)
                return "PriorityMax is a priority plus one: 1 (emergency) to 8 (debug), or 0";
        if (request->follow && request->untilusec > 0)
                return "Follow has no end: UntilUsec cannot be given with it";
        if (strlen(request->cursor) > JOURNAL_CURSOR_MAX)
                return "Cursor is not one";
        return NULL;
}

/* Whether that may be read, and what systemd calls the unit; else the call has ended. */
static bool may_read(
                struct manager *manager, struct rpc_call *call, const char *name, const char **ret_unit) {
        const struct whitelist_unit *unit;

        *ret_unit = NULL;
        if (isempty(name)) {
                if (manager->config.logs.whole_journal)
                        return true;
                rpc_call_fail(call, RPC_PERMISSION_DENIED,
                                "cannot read the whole journal: this agent shows that of its units alone, "
                                "name one (or see capabilities.logs.wholeJournal)");
                return false;
        }
        unit = manager_find_unit(manager, call, name);
        if (!unit) {
                rpc_call_fail(call, RPC_PERMISSION_DENIED, "cannot read logs: unit is not whitelisted");
                return false;
        }
        *ret_unit = unit->target;
        return true;
}

static int open_reader(struct log_stream *stream, const Logs__LogsRequest *request, const char *unit) {
        const struct journal_reader_spec spec = {
                .unit = unit,
                .user = geteuid() != 0,
                .lines = request->lines,
                .at_end = request->onlynews,
                .priority = request->prioritymax == 0 ? LOG_DEBUG : (int) request->prioritymax - 1,
                .since_usec = request->sinceusec,
                .until_usec = request->untilusec,
                .cursor = isempty(request->cursor) ? NULL : request->cursor,
        };

        return journal_reader_new(&stream->reader, &spec);
}

/* News are listened to before anything is read, so that none falls between. */
static int add_sources(struct log_stream *stream, bool follow) {
        sd_event *event = reactor_event(stream->manager->reactor);
        int r;

        if (follow) {
                r = journal_reader_fd(stream->reader);
                if (r >= 0)
                        r = sd_event_add_io(event, &stream->news, r, EPOLLIN, on_news, stream);
                if (r < 0)
                        return r;
        }
        r = sd_event_add_defer(event, &stream->turn, on_turn, stream);
        return r < 0 ? r : sd_event_source_set_priority(stream->turn, TURN_PRIORITY);
}

static void fail(struct rpc_call *call, int error) {
        switch (-error) {
        case EINVAL:
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "Cursor is not one");
                return;
        case ESTALE:
                rpc_call_fail(call, RPC_OUT_OF_RANGE,
                                "the entry that Cursor names is not in the journal (any more)");
                return;
        case ENOMEM:
        case EMFILE:
        case ENFILE:
        case ENOSPC: /* too many inotify watches */
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "cannot open the journal: %s", strerror(-error));
                return;
        default:
                rpc_call_fail(call, RPC_INTERNAL, "cannot open the journal: %s", strerror(-error));
        }
}

static void read_logs(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .writable = call_writable, .gone = call_gone };
        const Logs__LogsRequest *request = (const Logs__LogsRequest *) message;
        _cleanup_(log_stream_freep) struct log_stream *stream = NULL;
        const char *nonsense = find_nonsense(request), *unit;
        struct manager *manager = userdata;
        int r;

        if (nonsense) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "%s", nonsense);
                return;
        }
        if (!may_read(manager, call, request->unitname, &unit))
                return;
        stream = calloc(1, sizeof(*stream));
        if (!stream) {
                fail(call, -ENOMEM);
                return;
        }
        stream->manager = manager;
        stream->call = call;
        stream->name = unit ? request->unitname : NULL;
        list_append(&manager->log_streams, &stream->streams);

        r = open_reader(stream, request, unit);
        if (r >= 0)
                r = add_sources(stream, request->follow);
        if (r >= 0)
                r = rpc_call_accept(call);
        if (r < 0) {
                fail(call, r);
                return;
        }
        rpc_call_set_ops(call, &ops, TAKE_PTR(stream));
}

/* ---- the end ---- */

void logs_check(struct manager *manager) {
        struct log_stream *stream, *next;

        LIST_FOREACH_SAFE(stream, next, &manager->log_streams, streams) {
                if (stream->name ? manager_shows(manager, stream->name) : manager->config.logs.whole_journal)
                        continue;
                end(stream, RPC_PERMISSION_DENIED, "the configuration does not show these logs any more");
        }
}

void logs_stop(struct manager *manager) {
        struct log_stream *stream, *next;

        LIST_FOREACH_SAFE(stream, next, &manager->log_streams, streams)
                end(stream, RPC_UNAVAILABLE, "the agent is stopping");
}

static const struct rpc_method methods[] = {
        { .name = "ReadLogs", .handle = read_logs, .streams_response = true, .charges = QUOTA_LOGS },
};

const struct rpc_service logs_service = {
        .descriptor = &logs__logs_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
