/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctap.h"
#include "arena.h"
#include "call.h"
#include "command.h"

#include "ctap.pb-c.h"

#include <signal.h>

/* CTAP's largest message is of 7609 bytes (CTAP 2.1, 11.2.4); programs may wrap it in base64 and JSON. */
#define BYTES_MAX (64 * 1024)
/* Arguments, and bytes of them all. */
#define ARGUMENTS_MAX      16
#define ARGUMENT_BYTES_MAX 4096
/* People take their time to touch a key; after that, whoever asked has long given up. */
#define TIMEOUT_USEC (120 * USEC_PER_SEC)

struct ctap {
        sd_event *event;
        struct units *units;
};

/* A call while its program runs; in its arena. */
struct transaction {
        struct ctap *ctap;
        struct rpc_call *call;
        const char *program;
        struct command *command;
};

static const char *find_program(const char *request) {
        static const struct {
                const char *request, *program;
        } known[] = {
                { "ctap.ClientPin", "qctap-client-pin" },
                { "ctap.GetInfo", "qctap-get-info" },
                { "u2f.Authenticate", "qctap-get-assertion" },
                { "u2f.Register", "qctap-make-credential" },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(known[i].request, request))
                        return known[i].program;
        return NULL;
}

/* ---- the end ---- */

static void transaction_leave(struct transaction *transaction) {
        transaction->command = command_free(transaction->command);
}

static void transaction_gone(_unused_ struct rpc_call *call, void *userdata) {
        transaction_leave(userdata);
}

static void fail(struct transaction *transaction, const struct command_result *result) {
        const char *program = transaction->program;

        if (result->error == -ETIMEDOUT)
                rpc_call_fail(transaction->call, RPC_DEADLINE_EXCEEDED, "%s has not ended in time", program);
        else if (result->error == -E2BIG)
                rpc_call_fail(transaction->call, RPC_RESOURCE_EXHAUSTED, "%s answers more than %u bytes",
                                program, BYTES_MAX);
        else if (result->error < 0)
                rpc_call_fail(transaction->call, RPC_INTERNAL, "cannot run %s: %s", program,
                                strerror(-result->error));
        else if (result->code == CLD_EXITED)
                rpc_call_fail(transaction->call, RPC_ABORTED, "%s has failed with status %d", program,
                                result->status);
        else
                rpc_call_fail(transaction->call, RPC_ABORTED, "%s was ended by signal %d", program,
                                result->status);
}

static void told(struct command *command, const struct command_result *result, void *userdata) {
        struct transaction *transaction = userdata;
        Ctap__CtapResponse response = CTAP__CTAP_RESPONSE__INIT;

        /* The answer stands in the command's memory: that goes last. */
        transaction->command = NULL;
        if (result->error < 0 || result->code != CLD_EXITED || result->status != 0)
                fail(transaction, result);
        else {
                response.output.data = (uint8_t *) result->output;
                response.output.len = result->n_output;
                rpc_call_reply(transaction->call, &response.base);
        }
        command_free(command);
}

/* ---- the beginning ---- */

static bool check(struct rpc_call *call, const Ctap__CtapRequest *request) {
        size_t bytes = 0;

        for (size_t i = 0; i < request->n_args; i++)
                bytes += strlen(request->args[i]);
        if (request->n_args > ARGUMENTS_MAX || bytes > ARGUMENT_BYTES_MAX ||
                        request->payload.len > BYTES_MAX) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT,
                                "at most %u arguments of %u bytes together, and %u bytes of payload",
                                ARGUMENTS_MAX, ARGUMENT_BYTES_MAX, BYTES_MAX);
                return false;
        }
        return true;
}

static int start(struct transaction *transaction, const Ctap__CtapRequest *request) {
        char *argv[ARGUMENTS_MAX + 2] = { (char *) transaction->program };
        const struct command_spec spec = {
                .argv = argv,
                .input = request->payload.data,
                .n_input = request->payload.len,
                .output_max = BYTES_MAX,
                .timeout_usec = TIMEOUT_USEC,
                .units = transaction->ctap->units, /* it opens the key's device */
                .description = transaction->program,
        };

        for (size_t i = 0; i < request->n_args; i++)
                argv[i + 1] = request->args[i];
        return command_new(&transaction->command, transaction->ctap->event, &spec, told, transaction);
}

static void run(struct ctap *ctap, struct rpc_call *call, const Ctap__CtapRequest *request,
                const char *program) {
        static const struct rpc_call_ops ops = { .gone = transaction_gone };
        struct transaction *transaction;
        int r;

        transaction = arena_alloc0(rpc_call_arena(call), sizeof(*transaction));
        if (!transaction) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        transaction->ctap = ctap;
        transaction->call = call;
        transaction->program = program;
        r = start(transaction, request);
        if (r < 0) {
                rpc_call_fail(call, r == -ENOENT ? RPC_FAILED_PRECONDITION : RPC_INTERNAL,
                                "cannot start %s: %s", program, strerror(-r));
                return;
        }
        rpc_call_set_ops(call, &ops, transaction);
}

static void handle(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Ctap__CtapRequest *request = (const Ctap__CtapRequest *) message;
        const char *program = find_program(request->req);
        struct ctap *ctap = userdata;

        if (!program) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT,
                                "the request must be ctap.ClientPin, ctap.GetInfo, u2f.Authenticate or "
                                "u2f.Register");
                return;
        }
        if (check(call, request))
                run(ctap, call, request, program);
}

static const struct rpc_method methods[] = {
        { .name = "Ctap", .handle = handle, .charges = QUOTA_COMMANDS },
};

const struct rpc_service ctap_service = {
        .descriptor = &ctap__ctap__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};

/* ---- life ---- */

int ctap_new(struct ctap **ret, sd_event *event, struct units *units) {
        *ret = calloc(1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        (*ret)->event = event;
        (*ret)->units = units;
        return 0;
}

struct ctap *ctap_free(struct ctap *ctap) {
        free(ctap);
        return NULL;
}
