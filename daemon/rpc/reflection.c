/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reflection.h"

#include "call.h"
#include "descriptor-index.h"
#include "reflection_v1.pb-c.h"
#include "text.h"

/* A longer name is nobody's, and is not repeated in the message. */
#define SHOWN_NAME_BYTES 256

/* Shorter names for what protoc-c calls at length. */
#define REQUEST(kind)  GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##kind
#define RESPONSE(kind) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##kind

struct rpc_reflection {
        struct rpc_server *server;
        struct descriptor_index *index;
};

/* One request and its answer. Each of the answer_ functions sends one, and returns what rpc_call_send()
 * says. */
struct exchange {
        struct rpc_reflection *reflection;
        struct rpc_call *call;
        Grpc__Reflection__V1__ServerReflectionResponse response;
};

static int send_response(struct exchange *exchange) {
        return rpc_call_send(exchange->call, &exchange->response.base);
}

static int send_error(struct exchange *exchange, enum rpc_code code, const char *message) {
        Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

        error.error_code = code;
        error.error_message = (char *) message;
        exchange->response.message_response_case = RESPONSE(ERROR_RESPONSE);
        exchange->response.error_response = &error;
        return send_response(exchange);
}

static int send_not_found(struct exchange *exchange, const char *what, const char *name) {
        _cleanup_(freep) char *message = NULL;
        bool shown = strlen(name) <= SHOWN_NAME_BYTES;

        message = text_printf(
                        "There is no such %s: %s", what, shown ? name : "the name is too long to be one");
        return message ? send_error(exchange, RPC_NOT_FOUND, message) : -ENOMEM;
}

/* The file and all that it imports: clients that have none of them need no second request. */
static int send_file(struct exchange *exchange, const struct descriptor_file *file) {
        Grpc__Reflection__V1__FileDescriptorResponse files =
                        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
        _cleanup_(freep) ProtobufCBinaryData *bytes = NULL;
        ssize_t n;

        n = descriptor_index_list_closure(exchange->reflection->index, file, &bytes);
        if (n < 0)
                return (int) n;
        files.n_file_descriptor_proto = (size_t) n;
        files.file_descriptor_proto = bytes;
        exchange->response.message_response_case = RESPONSE(FILE_DESCRIPTOR_RESPONSE);
        exchange->response.file_descriptor_response = &files;
        return send_response(exchange);
}

static int answer_file(struct exchange *exchange, const char *name) {
        const struct descriptor_file *file;

        file = descriptor_index_find_file(exchange->reflection->index, name);
        return file ? send_file(exchange, file) : send_not_found(exchange, "file", name);
}

static int answer_symbol(struct exchange *exchange, const char *name) {
        const struct descriptor_file *file;

        file = descriptor_index_find_symbol(exchange->reflection->index, name);
        return file ? send_file(exchange, file) : send_not_found(exchange, "symbol", name);
}

static int answer_extension(
                struct exchange *exchange, const Grpc__Reflection__V1__ExtensionRequest *request) {
        const struct descriptor_file *file;

        file = descriptor_index_find_extension(
                        exchange->reflection->index, request->containing_type, request->extension_number);
        if (!file)
                return send_not_found(exchange, "extension of this message", request->containing_type);
        return send_file(exchange, file);
}

static int answer_extension_numbers(struct exchange *exchange, char *name) {
        Grpc__Reflection__V1__ExtensionNumberResponse numbers =
                        GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
        _cleanup_(freep) int32_t *list = NULL;
        ssize_t n;

        n = descriptor_index_list_extensions(exchange->reflection->index, name, &list);
        if (n == -ENOENT)
                return send_not_found(exchange, "message", name);
        if (n < 0)
                return (int) n;
        numbers.base_type_name = name;
        numbers.n_extension_number = (size_t) n;
        numbers.extension_number = list;
        exchange->response.message_response_case = RESPONSE(ALL_EXTENSION_NUMBERS_RESPONSE);
        exchange->response.all_extension_numbers_response = &numbers;
        return send_response(exchange);
}

/* Those that this server offers: the descriptors may tell of more. */
static int answer_services(struct exchange *exchange) {
        Grpc__Reflection__V1__ListServiceResponse list = GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
        _cleanup_(freep) Grpc__Reflection__V1__ServiceResponse *services = NULL;
        _cleanup_(freep) Grpc__Reflection__V1__ServiceResponse **pointers = NULL;
        const struct rpc_server *server = exchange->reflection->server;
        size_t n = 0;

        while (rpc_server_service(server, n))
                n++;
        services = calloc(n, sizeof(*services));
        pointers = calloc(n, sizeof(*pointers));
        if (!services || !pointers)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                grpc__reflection__v1__service_response__init(&services[i]);
                services[i].name = (char *) rpc_server_service(server, i)->descriptor->name;
                pointers[i] = &services[i];
        }
        list.n_service = n;
        list.service = pointers;
        exchange->response.message_response_case = RESPONSE(LIST_SERVICES_RESPONSE);
        exchange->response.list_services_response = &list;
        return send_response(exchange);
}

static int answer(struct exchange *exchange, const Grpc__Reflection__V1__ServerReflectionRequest *request) {
        switch (request->message_request_case) {
        case REQUEST(FILE_BY_FILENAME):
                return answer_file(exchange, request->file_by_filename);
        case REQUEST(FILE_CONTAINING_SYMBOL):
                return answer_symbol(exchange, request->file_containing_symbol);
        case REQUEST(FILE_CONTAINING_EXTENSION):
                return answer_extension(exchange, request->file_containing_extension);
        case REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE):
                return answer_extension_numbers(exchange, request->all_extension_numbers_of_type);
        case REQUEST(LIST_SERVICES):
                return answer_services(exchange);
        default:
                return send_error(exchange, RPC_UNIMPLEMENTED,
                                "The request asks for nothing that this server knows");
        }
}

static void on_message(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct exchange exchange = { .reflection = userdata, .call = call };
        int r;

        grpc__reflection__v1__server_reflection_response__init(&exchange.response);
        exchange.response.original_request = (Grpc__Reflection__V1__ServerReflectionRequest *) message;
        exchange.response.valid_host = exchange.response.original_request->host;

        r = answer(&exchange, exchange.response.original_request);
        if (r == -EMSGSIZE)
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "The answer is longer than a message may be");
        else if (r < 0)
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "Out of memory");
        else if (r > 0)
                /* Who does not read the answers gets to ask no more. */
                rpc_call_set_reading(call, false);
}

static void on_writable(struct rpc_call *call, _unused_ void *userdata) {
        rpc_call_set_reading(call, true);
}

static void on_half_closed(struct rpc_call *call, _unused_ void *userdata) {
        rpc_call_finish(call, &(struct rpc_status){ .code = RPC_OK, .message = "" });
}

static void open_info(struct rpc_call *call, void *userdata) {
        /* Nothing is kept for a call, so that none needs gone(). */
        static const struct rpc_call_ops ops = {
                .message = on_message,
                .half_closed = on_half_closed,
                .writable = on_writable,
        };

        rpc_call_set_ops(call, &ops, userdata);
}

static const struct rpc_method methods[] = {
        { .name = "ServerReflectionInfo", .open = open_info, .streams_response = true },
};

static const struct rpc_service service_v1 = {
        .descriptor = &grpc__reflection__v1__server_reflection__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};

/* v1alpha is v1 by an older name: its messages are the same on the wire, so they are read and written as
 * v1's. */
static const ProtobufCMethodDescriptor v1alpha_methods[] = {
        {
                        .name = "ServerReflectionInfo",
                        .input = &grpc__reflection__v1__server_reflection_request__descriptor,
                        .output = &grpc__reflection__v1__server_reflection_response__descriptor,
        },
};

static const unsigned v1alpha_methods_by_name[] = { 0 };

static const ProtobufCServiceDescriptor v1alpha_descriptor = {
        .magic = PROTOBUF_C__SERVICE_DESCRIPTOR_MAGIC,
        .name = "grpc.reflection.v1alpha.ServerReflection",
        .short_name = "ServerReflection",
        .c_name = "Grpc__Reflection__V1alpha__ServerReflection",
        .package = "grpc.reflection.v1alpha",
        .n_methods = ELEMENTSOF(v1alpha_methods),
        .methods = v1alpha_methods,
        .method_indices_by_name = v1alpha_methods_by_name,
};

static const struct rpc_service service_v1alpha = {
        .descriptor = &v1alpha_descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};

int rpc_reflection_new(struct rpc_reflection **ret, struct rpc_server *server, const void *set, size_t n) {
        _cleanup_(rpc_reflection_freep) struct rpc_reflection *reflection = NULL;
        int r;

        reflection = calloc(1, sizeof(*reflection));
        if (!reflection)
                return -ENOMEM;
        reflection->server = server;
        r = descriptor_index_new(&reflection->index, set, n);
        if (r < 0)
                return r;
        r = rpc_server_add_service(server, &service_v1, reflection);
        if (r >= 0)
                r = rpc_server_add_service(server, &service_v1alpha, reflection);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(reflection);
        return 0;
}

struct rpc_reflection *rpc_reflection_free(struct rpc_reflection *reflection) {
        if (!reflection)
                return NULL;
        descriptor_index_free(reflection->index);
        free(reflection);
        return NULL;
}
