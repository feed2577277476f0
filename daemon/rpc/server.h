/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A gRPC server (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) on any number of listening
 * sockets. */

#include "address.h"
#include "openmetrics.h"
#include "quota.h"
#include "tls.h"

#include <protobuf-c/protobuf-c.h>
#include <systemd/sd-event.h>

struct rpc_call;
struct rpc_server;

/* The other end of a connection; owned by the server, lasts as long as the connection. */
struct rpc_peer {
        uint64_t id; /* of the connection: unique in this process, counted from 1 */
        const struct rpc_address *address;
        const char *host;                    /* the address as text, without port */
        const struct tls_identity *identity; /* NULL without TLS */
        const char *name;                    /* identity->name, else host: for the log; never NULL */
        uint64_t since_usec;                 /* CLOCK_REALTIME of the handshake's end */
        uint64_t calls;                      /* that it has begun on this connection */
        struct quota_account *account;       /* what it takes is charged to it */
};

/* One method of a service. Exactly one of handle and open is set: open where the request is a stream. */
struct rpc_method {
        const char *name;
        /* The request has come in whole, was decoded and permitted. It lasts as long as the call. */
        void (*handle)(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
        /* The call was opened and permitted: set the ops, messages follow. */
        void (*open)(struct rpc_call *call, void *userdata);
        bool streams_response;       /* as in the .proto: the response is a stream */
        enum quota_resource charges; /* a call takes one of these for as long as it goes on; or QUOTA_NONE */
};

/* Methods that the descriptor has and the table has not are answered with UNIMPLEMENTED. Static data. */
struct rpc_service {
        const ProtobufCServiceDescriptor *descriptor;
        const struct rpc_method *methods;
        size_t n_methods;
};

/* A connection that did not get as far as calls. */
struct rpc_refused {
        const char *host;         /* its address as text, without port */
        const char *claimed_name; /* what its certificate says, which nobody vouches for; NULL: nothing was
                                     read */
        const char *claimed_serial;
        const char *reason;
};

struct rpc_server_ops {
        /*
         * Before every call's handler: return true to permit; else end the call with rpc_call_fail().
         * request is NULL where it is a stream. NULL function: all is permitted.
         */
        bool (*permit)(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
        /* The same for a stream that was permitted, asked by rpc_server_review(): true lets it go on; else
         * end it with rpc_call_break_off(), last of all. */
        bool (*review)(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
        /* An authenticated connection has come, or gone. Either may be NULL. */
        void (*peer_connected)(struct rpc_server *server, const struct rpc_peer *peer, void *userdata);
        void (*peer_gone)(struct rpc_server *server, const struct rpc_peer *peer, void *userdata);
        /* A connection was refused, and the journal was told: as often as it is told of one address. May be
         * NULL. */
        void (*refused)(struct rpc_server *server, const struct rpc_refused *refused, void *userdata);
        /* n more of that address (NULL: of several) were refused, in the minute that is over. Must not free
         * the server. May be NULL. */
        void (*refused_more)(struct rpc_server *server, const char *host, unsigned n, void *userdata);
};

/* Bounds, each with its reason in server.c; zero takes the default. */
struct rpc_server_limits {
        size_t message_bytes;        /* largest message, either way: 4 MiB, gRPC's own default */
        size_t connection_bytes;     /* requests being received on one connection, together */
        size_t connections;          /* at once */
        size_t connections_per_host; /* at once of one identity or, before it has shown one, from one address
                                        or CID */
        size_t handshakes;           /* at once; of one address: half of what the others leave */
        size_t bytes;   /* of headers, requests and answers, of all peers; of one: half of that */
        size_t streams; /* at once on one connection: SETTINGS_MAX_CONCURRENT_STREAMS */
        /* By resource, from QUOTA_NAMES on: NULL, or zero, nobody may have any. To outlive rpc_server_new().
         */
        const struct quota_limit *resources;
        uint64_t handshake_usec;
        uint64_t keepalive_usec;         /* PING after this long without a byte */
        uint64_t keepalive_timeout_usec; /* the answer must come within this; asked once more before it is
                                            condemned */
};

int rpc_server_new(struct rpc_server **ret, sd_event *event, const struct rpc_server_limits *limits,
                const struct rpc_server_ops *ops, void *userdata);
/* Closes listeners and connections at once; calls under way hear gone(). From any callback, too, but
 * permit() and refused_more(). */
struct rpc_server *rpc_server_free(struct rpc_server *server);
DEFINE_CLEANUP(struct rpc_server, rpc_server_free)

/* service must outlive the server; userdata goes to its methods. */
int rpc_server_add_service(struct rpc_server *server, const struct rpc_service *service, void *userdata);

/* Certificates for connections to come; those that stand keep theirs. NULL: in clear. Takes a reference. */
void rpc_server_set_tls(struct rpc_server *server, struct tls_context *tls);

/* Accepts on fd, a listening socket, which becomes the server's even on failure. */
int rpc_server_add_listener(struct rpc_server *server, int fd);
/* Binds, listens, and adds. A Unix path that is a dead socket is replaced. */
int rpc_server_listen(struct rpc_server *server, const struct rpc_address *address);

/*
 * No new connection and, by GOAWAY, no new call; drained() is called once when the last call and what is
 * queued for it are done: at once where there is none.
 */
void rpc_server_drain(struct rpc_server *server, void (*drained)(struct rpc_server *server, void *userdata));

/* Closes a connection (by id) after its calls have heard gone(). -ENOENT: there is none. */
int rpc_server_disconnect(struct rpc_server *server, uint64_t peer_id);

/*
 * Something is permitted that was not, or the other way round: asks review() about each call under way whose
 * request or answer is a stream. The handlers of those that it ends hear gone(). Not from a call's callback.
 */
void rpc_server_review(struct rpc_server *server);

/* The one peer, by identity, that may take nearly all: who passes everybody's calls on. 0 or -ENOMEM. */
int rpc_server_trust(struct rpc_server *server, const char *name);

/* The services added, for reflection and health: from 0; NULL past the last. */
const struct rpc_service *rpc_server_service(const struct rpc_server *server, size_t i);

/* Why a connection did not get as far as calls. */
enum rpc_refusal {
        RPC_REFUSAL_ROOM,        /* there are too many */
        RPC_REFUSAL_CERTIFICATE, /* it has none, or one that is not ours, or expired */
        RPC_REFUSAL_PROTOCOL,    /* no TLS 1.3, no HTTP/2 */
        RPC_REFUSAL_TIMEOUT,
        RPC_REFUSAL_CLOSED, /* by the peer */
        RPC_REFUSAL_OTHER,
        _RPC_REFUSAL_MAX,
};

struct rpc_server_counters {
        uint64_t connections, handshakes, calls, failures; /* since start */
        uint64_t refused[_RPC_REFUSAL_MAX];
        size_t connections_now, calls_now;
        size_t queued_bytes;                   /* answers not yet sent */
        uint64_t limited[_QUOTA_RESOURCE_MAX]; /* what was refused to peers that took more than their share
                                                */
};
void rpc_server_get_counters(const struct rpc_server *server, struct rpc_server_counters *ret);
/* All of them, and calls by method, status and duration. */
void rpc_server_write_metrics(const struct rpc_server *server, struct openmetrics *metrics);

/* Everybody who is connected, in the order of coming. each() must not change the server. */
void rpc_server_foreach_peer(const struct rpc_server *server,
                void (*each)(const struct rpc_peer *peer, void *userdata), void *userdata);
