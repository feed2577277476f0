/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A gRPC client that does what tests ask of it, by commands on stdin, and tells what it hears. */

#include "channel.h"
#include "echo-common.h"
#include "lines.h"
#include "list.h"
#include "log.h"

#include "echo.pb-c.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>

struct echo_client {
        sd_event *event;
        struct tls_context *tls;
        struct rpc_channel *channel;
        struct list calls;
};

/* One call, by the number that the test has given it. */
struct call {
        struct list link;
        uint64_t id;
        struct rpc_client_call *rpc;
        json_t *want; /* keys of the answer's metadata that the test wants to see */
        bool brief;   /* of messages, only the size is told */

        Echo__EchoRequest *request; /* to be sent so many times more, as the server takes them */
        uint64_t times;
        bool half_close; /* then */
};

static void call_free(struct call *call) {
        list_remove(&call->link);
        json_decref(call->want);
        echo__echo_request__free_unpacked(call->request, NULL);
        free(call);
}

static json_t *pack_metadata(const struct call *call) {
        json_t *metadata = json_object(), *key;
        size_t i;

        json_array_foreach(call->want, i, key) {
                const char *value = rpc_client_metadata(call->rpc, json_string_value(key));

                if (value)
                        json_object_set_new(metadata, json_string_value(key), json_string(value));
        }
        return metadata;
}

static void print_finished(uint64_t id, const struct rpc_status *status, json_t *metadata) {
        lines_print(json_pack("{ss sI si ss so so}", "event", "finished", "id", (json_int_t) id, "code",
                        (int) status->code, "message", status->message, "details",
                        lines_pack_bytes(status->details, status->n_details), "metadata", metadata));
}

static void print_message(const struct call *call, const ProtobufCMessage *message) {
        size_t n = protobuf_c_message_get_packed_size(message);
        _cleanup_(freep) uint8_t *bytes = NULL;

        if (call->brief) {
                lines_print(json_pack("{ss sI sI}", "event", "message", "id", (json_int_t) call->id, "bytes",
                                (json_int_t) n));
                return;
        }
        bytes = malloc(n + 1);
        if (!bytes)
                lines_fail("Out of memory");
        protobuf_c_message_pack(message, bytes);
        lines_print(json_pack("{ss sI so}", "event", "message", "id", (json_int_t) call->id, "message",
                        lines_pack_bytes(bytes, n)));
}

static void print_call(const char *event, const struct call *call) {
        lines_print(json_pack("{ss sI}", "event", event, "id", (json_int_t) call->id));
}

/* Sends until the queue is full, then goes on when it is not. */
static void send_more(struct call *call) {
        int r = 0;

        while (call->times > 0 && r == 0) {
                call->times--;
                r = rpc_client_send(call->rpc, &call->request->base);
        }
        if (r < 0) {
                lines_print(json_pack("{ss sI ss}", "event", "send-failed", "id", (json_int_t) call->id,
                                "error", strerror(-r)));
                return;
        }
        if (call->times > 0) {
                print_call("full", call);
                return;
        }
        if (call->half_close)
                rpc_client_half_close(call->rpc);
        print_call("sent", call);
}

static void on_message(
                _unused_ struct rpc_client_call *rpc, const ProtobufCMessage *message, void *userdata) {
        print_message(userdata, message);
}

static void on_writable(_unused_ struct rpc_client_call *rpc, void *userdata) {
        struct call *call = userdata;

        if (call->times > 0)
                send_more(call);
}

static void on_finished(
                _unused_ struct rpc_client_call *rpc, const struct rpc_status *status, void *userdata) {
        struct call *call = userdata;

        print_finished(call->id, status, pack_metadata(call));
        call_free(call);
}

static void on_unary_done(
                const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        struct call *call = userdata;

        if (response)
                print_message(call, response);
        print_finished(call->id, status, json_object());
        call_free(call);
}

static Echo__EchoRequest *unpack_request(const json_t *command) {
        _cleanup_(freep) uint8_t *bytes = NULL;
        Echo__EchoRequest *request;
        size_t n = 0;

        bytes = lines_bytes(command, "message", &n);
        request = echo__echo_request__unpack(NULL, n, bytes);
        if (!request)
                lines_fail("The message is no EchoRequest");
        return request;
}

/* The strings of an array of the command's, NULL-terminated, as long as the command lasts. */
static const char **texts_of(const json_t *command, const char *key) {
        const json_t *array = json_object_get(command, key), *text;
        const char **texts = calloc(json_array_size(array) + 1, sizeof(*texts));
        size_t i;

        if (!texts)
                lines_fail("Out of memory");
        json_array_foreach(array, i, text) texts[i] = json_string_value(text);
        return texts;
}

static void open_call(struct echo_client *client, const json_t *command, bool unary) {
        static const struct rpc_client_ops ops = {
                .message = on_message,
                .writable = on_writable,
                .finished = on_finished,
        };
        _cleanup_(freep) const char **metadata = texts_of(command, "metadata");
        uint64_t timeout = lines_number(command, "timeout_msec");
        struct rpc_client_options options = { .metadata = metadata };
        struct call *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                lines_fail("Out of memory");
        list_append(&client->calls, &call->link);
        call->id = lines_number(command, "id");
        call->brief = json_is_true(json_object_get(command, "brief"));
        call->want = json_incref(json_object_get(command, "want"));
        options.wait_for_ready = json_is_true(json_object_get(command, "wait_for_ready"));
        if (timeout > 0)
                options.deadline_usec = now_usec(CLOCK_MONOTONIC) + timeout * USEC_PER_MSEC;

        if (unary) {
                call->request = unpack_request(command);
                r = rpc_channel_unary(client->channel, &echo__echo__descriptor, "Unary",
                                &call->request->base, &options, on_unary_done, call, &call->rpc);
        } else
                r = rpc_channel_call(client->channel, &echo__echo__descriptor, lines_text(command, "method"),
                                &options, &ops, call, &call->rpc);
        if (r < 0)
                lines_fail("Cannot call: %s", strerror(-r));
}

static void send_messages(struct call *call, const json_t *command) {
        echo__echo_request__free_unpacked(call->request, NULL);
        call->request = unpack_request(command);
        call->times = MAX(lines_number(command, "times"), UINT64_C(1));
        call->half_close = json_is_true(json_object_get(command, "half_close"));
        send_more(call);
}

/* The call that the command is about, or NULL where it has ended meanwhile. */
static struct call *find_call(struct echo_client *client, const json_t *command) {
        uint64_t id = lines_number(command, "id");
        struct call *call;

        LIST_FOREACH(call, &client->calls, link)
                if (call->id == id)
                        return call;
        return NULL;
}

static void run_call_command(struct call *call, const char *what, const json_t *command) {
        if (streq(what, "send"))
                send_messages(call, command);
        else if (streq(what, "half-close"))
                rpc_client_half_close(call->rpc);
        else if (streq(what, "reading"))
                rpc_client_set_reading(call->rpc, json_is_true(json_object_get(command, "on")));
        else if (streq(what, "cancel")) {
                rpc_client_cancel(call->rpc);
                print_call("cancelled", call);
                call_free(call);
        } else
                lines_fail("There is no command %s", what);
}

static void run_command(const json_t *command, void *userdata) {
        const char *what = lines_text(command, "do");
        struct echo_client *client = userdata;
        struct call *call;

        if (streq(what, "connect"))
                rpc_channel_connect(client->channel);
        else if (streq(what, "call"))
                open_call(client, command, false);
        else if (streq(what, "unary"))
                open_call(client, command, true);
        else {
                call = find_call(client, command);
                if (call)
                        run_call_command(call, what, command);
        }
}

static void state_changed(
                struct rpc_channel *channel, enum rpc_channel_state state, _unused_ void *userdata) {
        static const char *const names[] = {
                [RPC_CHANNEL_IDLE] = "idle",
                [RPC_CHANNEL_CONNECTING] = "connecting",
                [RPC_CHANNEL_READY] = "ready",
                [RPC_CHANNEL_FAILED] = "failed",
        };

        lines_print(json_pack("{ss ss ss}", "event", "state", "state", names[state], "reason",
                        rpc_channel_reason(channel)));
}

static void setup(struct echo_client *client, int argc, char *argv[]) {
        static const struct option options[] = {
                { "backoff-msec", required_argument, NULL, 'b' },
                { "certificates", required_argument, NULL, 'c' },
                { "connect-msec", required_argument, NULL, 't' },
                { "debug", no_argument, NULL, 'v' },
                { "keepalive-msec", required_argument, NULL, 'k' },
                { "keepalive-timeout-msec", required_argument, NULL, 'K' },
                { "message-bytes", required_argument, NULL, 'm' },
                { "once", no_argument, NULL, 'o' },
                { "server-name", required_argument, NULL, 's' },
                {},
        };
        struct rpc_channel_config config = { .server_name = "server", .state_changed = state_changed };
        const char *error = "no address";
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (c == 'b')
                        config.backoff_min_usec = config.backoff_max_usec =
                                        echo_read_number(optarg) * USEC_PER_MSEC;
                else if (c == 'c')
                        config.tls = client->tls = echo_load_tls(optarg);
                else if (c == 't')
                        config.connect_timeout_usec = echo_read_number(optarg) * USEC_PER_MSEC;
                else if (c == 'v')
                        log_set_max_level(LOG_DEBUG);
                else if (c == 'k')
                        config.keepalive_usec = echo_read_number(optarg) * USEC_PER_MSEC;
                else if (c == 'K')
                        config.keepalive_timeout_usec = echo_read_number(optarg) * USEC_PER_MSEC;
                else if (c == 'm')
                        config.message_bytes = echo_read_number(optarg);
                else if (c == 'o')
                        config.once = true;
                else if (c == 's')
                        config.server_name = optarg;
                else
                        exit(EXIT_FAILURE);
        }
        list_init(&client->calls);
        if (optind != argc - 1 || rpc_address_parse(&config.address, argv[optind], &error) < 0)
                lines_fail("usage: echo-client OPTIONS… ADDRESS: %s", error);
        if (sd_event_default(&client->event) < 0 ||
                        rpc_channel_new(&client->channel, client->event, &config) < 0)
                lines_fail("Cannot make the channel");
}

int main(int argc, char *argv[]) {
        struct echo_client client = {};
        struct lines lines;
        int r;

        signal(SIGPIPE, SIG_IGN);
        setup(&client, argc, argv);
        lines_init(&lines, client.event, run_command, &client);
        r = sd_event_loop(client.event);

        rpc_channel_free(client.channel);
        lines_clear(&lines);
        tls_context_unref(client.tls);
        sd_event_unref(client.event);
        return r < 0 ? EXIT_FAILURE : r;
}
