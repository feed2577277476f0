/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http2-session.h"

/* Largest DATA frame we make; the peer's SETTINGS_MAX_FRAME_SIZE (16 KiB at least) may say less. */
#define DATA_FRAME_MAX (64 * 1024)

/*
 * A header block that is too large is read to its end, so that its caller can be told. Not for ever: one
 * byte can stand for 4 KB of it (RFC 7541, 7.3), which nghttp2 looks through. Past this it only takes it
 * apart, and the stream is reset.
 */
#define HEADER_BLOCK_BYTES (4 * (size_t) HTTP2_HEADER_BYTES)

/* Headers, a call and its messages: a call that needs more is out of the contract. */
#define ARENA_EXTRA (256 * 1024)

static struct http2_stream *stream_new(struct http2 *h, int32_t id) {
        struct http2_stream *stream = calloc(1, sizeof(*stream));

        if (!stream)
                return NULL;
        stream->connection = h;
        stream->id = id;
        stream->out_last = &stream->out_first;
        /* Decoded, a message of many small fields takes a multiple of its length. */
        arena_init(&stream->arena, h->config.message_bytes * 4 + ARENA_EXTRA);
        list_append(&h->streams, &stream->link);
        h->n_streams++;
        return stream;
}

static void stream_free(struct http2_stream *stream) {
        struct http2_chunk *chunk = stream->out_first;

        while (chunk) {
                struct http2_chunk *next = chunk->next;

                http2_chunk_free(chunk);
                chunk = next;
        }
        buffer_clear(&stream->held);
        arena_clear(&stream->arena);
        free(stream);
}

/* Around every call into the owner. Leaving returns whether the stream still stands; if not, it may be freed
 * by now. */
static void stream_enter(struct http2_stream *stream) {
        stream->inside++;
}

static bool stream_leave(struct http2_stream *stream) {
        stream->inside--;
        if (stream->connection)
                return true;
        if (stream->inside == 0)
                stream_free(stream);
        return false;
}

/* Gives the peer back what its bytes took of the connection's window, unless too many of them wait here. */
static void return_connection_window(struct http2 *h, size_t n) {
        if (h->held_bytes > h->config.connection_bytes) {
                h->withheld_window += n;
                return;
        }
        http2_submitted(h, nghttp2_session_consume_connection(h->session, n + h->withheld_window));
        h->withheld_window = 0;
}

/* The connection has nothing to do with it any more: it leaves the list and the counts. */
static void unlink_stream(struct http2_stream *stream) {
        struct http2 *h = stream->connection;

        list_remove(&stream->link);
        h->n_streams--;
        h->held_bytes -= buffer_length(&stream->held);
        h->out_bytes -= stream->out_bytes;
        h->budget.used -= stream->charged;
        h->header_bytes -= stream->kept_header_bytes;
        (void) nghttp2_session_set_stream_user_data(h->session, stream->id, NULL);
        if (!h->closed)
                return_connection_window(h, 0);
}

/* From here on the stream is freed as soon as no function runs on it any more. */
static void tell_closed(struct http2_stream *stream, uint32_t error) {
        stream->lost_reason = stream->connection->lost_reason;
        stream->connection = NULL;
        stream_enter(stream);
        if (stream->ops)
                stream->ops->closed(stream, error, stream->userdata);
        (void) stream_leave(stream);
}

void http2_stream_close(struct http2_stream *stream, uint32_t error) {
        unlink_stream(stream);
        /* An answer that is here as a whole, but that its owner does not read just now, is still the
         * owner's. */
        if (!stream->connection->server && stream->end_received && !stream->end_told && stream->ops) {
                stream->lingers = true;
                http2_ref(stream->connection);
                return;
        }
        tell_closed(stream, error);
}

/* It was read, or nobody wants it any more. */
static void stop_lingering(struct http2_stream *stream) {
        struct http2 *h = stream->connection;

        stream->lingers = false;
        tell_closed(stream, NGHTTP2_NO_ERROR);
        http2_unref(h);
}

const char *http2_stream_header(const struct http2_stream *stream, const char *name) {
        size_t n_name = strlen(name);

        for (size_t i = stream->n_headers; i > 0; i--) {
                const struct http2_header *header = &stream->headers[i - 1];

                if (header->n_name == n_name && memcmp(header->name, name, n_name) == 0)
                        return header->value;
        }
        return NULL;
}

bool http2_stream_charge(struct http2_stream *stream, size_t n) {
        struct message_budget *budget;

        if (!stream->connection)
                return true;
        budget = &stream->connection->budget;
        if (budget->used > 0 && n > budget->limit - MIN(budget->used, budget->limit))
                return false;
        budget->used += n;
        stream->charged += n;
        return true;
}

void http2_stream_forget(struct http2_stream *stream) {
        stream->ops = NULL;
        if (stream->lingers) {
                stop_lingering(stream);
                return;
        }
        /* What still comes is not for anybody. */
        if (stream->reading_off)
                http2_stream_set_reading(stream, true);
}

/* ---- incoming ---- */

static struct http2_stream *find_stream(nghttp2_session *session, int32_t id) {
        return nghttp2_session_get_stream_user_data(session, id);
}

/*
 * nghttp2 works through all the bytes it was given, even when a callback half-way has let go of the
 * connection. Failing the next callback stops it.
 */
static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *userdata) {
        struct http2 *h = userdata;
        struct http2_stream *stream;

        if (h->closed)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        h->block_bytes = 0;
        if (!h->server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0;
        stream = stream_new(h, frame->hd.stream_id);
        if (!stream)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        /* gRPC over HTTP/2, "Errors": the caller sees RESOURCE_EXHAUSTED. */
        if (http2_charge(h, 0) < 0) {
                http2_submitted(h,
                                nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id,
                                                NGHTTP2_ENHANCE_YOUR_CALM));
                http2_stream_close(stream, NGHTTP2_ENHANCE_YOUR_CALM);
                return 0;
        }
        (void) nghttp2_session_set_stream_user_data(session, stream->id, stream);
        return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags _unused_,
                void *userdata) {
        struct http2_stream *stream = find_stream(session, frame->hd.stream_id);
        struct http2_header header = { .n_name = n_name };
        struct http2 *h = userdata;

        h->block_bytes += n_name + n_value + 32;
        if (h->block_bytes > HEADER_BLOCK_BYTES)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        if (!stream)
                return 0;
        stream->header_bytes += n_name + n_value + 32;
        if (stream->header_bytes > HTTP2_HEADER_BYTES || stream->n_headers >= HTTP2_HEADERS) {
                stream->headers_overflow = true;
                return 0;
        }
        if ((stream->n_headers & (stream->n_headers - 1)) == 0 &&
                        (stream->n_headers >= 16 || stream->n_headers == 0)) {
                size_t n = stream->n_headers ? stream->n_headers * 2 : 16;
                struct http2_header *grown = arena_alloc(&stream->arena, n * sizeof(*grown));

                if (!grown)
                        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
                if (stream->n_headers > 0)
                        memcpy(grown, stream->headers, stream->n_headers * sizeof(*grown));
                stream->headers = grown;
        }
        stream->kept_header_bytes += n_name + n_value + 32;
        stream->connection->header_bytes += n_name + n_value + 32;
        header.name = arena_memdup_text(&stream->arena, name, n_name);
        header.value = arena_memdup_text(&stream->arena, value, n_value);
        if (!header.name || !header.value)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        stream->headers[stream->n_headers++] = header;
        return 0;
}

/* Gives bytes to the owner: how many it took. Between stream_enter() and stream_leave(). */
static size_t tell_data(struct http2_stream *stream, const uint8_t *data, size_t n) {
        return stream->ops ? stream->ops->data(stream, data, n, stream->userdata) : n;
}

/* Keeps what the owner does not read now. 0 or -ENOMEM. */
static int hold_data(struct http2_stream *stream, const uint8_t *data, size_t n) {
        int r = buffer_append(&stream->held, data, n);

        if (r == 0)
                stream->connection->held_bytes += n;
        return r;
}

static int on_begin_frame(nghttp2_session *session _unused_, const nghttp2_frame_hd *frame, void *userdata) {
        struct http2 *h = userdata;

        h->data_left = frame->type == NGHTTP2_DATA ? frame->length : 0;
        return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags _unused_, int32_t id, const uint8_t *data,
                size_t n, void *userdata) {
        struct http2 *h = userdata;
        struct http2_stream *stream = find_stream(session, id);
        size_t taken = 0;
        int r = 0;

        h->data_left -= n;
        if (h->closed)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        if (!stream) {
                return_connection_window(h, n);
                return 0;
        }
        stream_enter(stream);
        if (!stream->reading_off && buffer_length(&stream->held) == 0)
                taken = tell_data(stream, data, n);
        if (stream->connection) {
                r = hold_data(stream, data + taken, n - taken);
                http2_submitted(h, nghttp2_session_consume_stream(session, id, taken));
                return_connection_window(h, n);
                if (http2_charge(h, 0) < 0)
                        http2_stream_reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
        }
        (void) stream_leave(stream);
        return r < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* Tells END_STREAM once everything before it was told. */
static bool tell_end(struct http2_stream *stream) {
        if (!stream->end_received || stream->end_told || stream->reading_off ||
                        buffer_length(&stream->held) > 0)
                return true;
        stream->end_told = true;
        stream_enter(stream);
        if (stream->ops)
                stream->ops->end(stream, stream->userdata);
        return stream_leave(stream);
}

void http2_stream_set_reading(struct http2_stream *stream, bool on) {
        struct http2 *h = stream->connection;

        if (stream->reading_off == !on)
                return;
        stream->reading_off = !on;
        if (!on || !h || stream->held_inside)
                return;

        /* What waits goes first. The owner may turn reading off again half-way. */
        stream_enter(stream);
        stream->held_inside = true;
        while (stream->connection && !stream->reading_off && buffer_length(&stream->held) > 0) {
                size_t taken = tell_data(stream, (const uint8_t *) buffer_bytes(&stream->held),
                                buffer_length(&stream->held));

                if (stream->connection && !stream->lingers) {
                        h->held_bytes -= taken;
                        http2_submitted(h, nghttp2_session_consume_stream(h->session, stream->id, taken));
                        return_connection_window(h, 0);
                }
                buffer_consume(&stream->held, taken);
        }
        stream->held_inside = false;
        if (!stream_leave(stream))
                return;
        http2_want_flush(h);
        if (tell_end(stream) && stream->lingers && stream->end_told)
                stop_lingering(stream);
}

/* Whether a frame moves anything. Those that do not are what floods are made of (RFC 9113, 10.5). */
static bool frame_is_idle(const nghttp2_frame *frame) {
        bool ack = frame->hd.flags & NGHTTP2_FLAG_ACK;

        switch (frame->hd.type) {
        case NGHTTP2_PING:
        case NGHTTP2_SETTINGS:
                return !ack;
        case NGHTTP2_PRIORITY:
                return true;
        case NGHTTP2_DATA:
                return frame->hd.length == frame->data.padlen &&
                                !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
        default:
                return false;
        }
}

/* Streams that end in an error, of whoever's making: opened for nothing, again and again, they are a flood,
 * too. */
static void count_reset(struct http2 *h) {
        if (h->server && !ratelimit_pass(h->resets, NULL))
                http2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, "streams opened and reset too fast");
}

static void tell_headers(struct http2 *h, struct http2_stream *stream, bool request, bool end) {
        const char *status = h->server ? NULL : http2_stream_header(stream, ":status");

        stream->end_received = end;
        /* RFC 9110, 15.2: interim responses come before the one that counts. */
        if (status && status[0] == '1') {
                stream->n_headers = 0;
                return;
        }
        stream_enter(stream);
        if (request)
                h->config.ops->request(h, stream, h->config.userdata);
        else if (stream->ops && stream->ops->headers)
                stream->ops->headers(stream, stream->userdata);
        if (stream_leave(stream))
                (void) tell_end(stream);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *userdata) {
        struct http2 *h = userdata;
        struct http2_stream *stream =
                        frame->hd.stream_id > 0 ? find_stream(session, frame->hd.stream_id) : NULL;
        bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

        if (h->closed)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        if (frame_is_idle(frame) && !ratelimit_pass(&h->idle_frames, NULL)) {
                http2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, "flood of frames that carry nothing");
                return 0;
        }

        switch (frame->hd.type) {
        case NGHTTP2_RST_STREAM:
                count_reset(h);
                return 0;
        case NGHTTP2_PING:
                if (frame->hd.flags & NGHTTP2_FLAG_ACK)
                        http2_pong(h);
                return 0;
        case NGHTTP2_GOAWAY:
                if (h->goaway_told)
                        return 0;
                h->goaway_told = true;
                if (!h->server)
                        h->config.ops->goaway(h, h->config.userdata);
                return 0;
        case NGHTTP2_HEADERS:
                if (stream)
                        tell_headers(h, stream, frame->headers.cat == NGHTTP2_HCAT_REQUEST, end);
                return 0;
        case NGHTTP2_DATA:
                if (stream && end) {
                        stream->end_received = true;
                        (void) tell_end(stream);
                }
                return 0;
        default:
                return 0;
        }
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *userdata) {
        struct http2_stream *stream = find_stream(session, id);

        if (stream)
                http2_stream_close(stream, error);
        return 0;
}

/* A request that could not be sent (the peer has said GOAWAY meanwhile): nghttp2 has no stream to close for
 * it. */
static int on_frame_not_send(
                nghttp2_session *session, const nghttp2_frame *frame, int error _unused_, void *userdata) {
        struct http2 *h = userdata;
        struct http2_stream *stream;

        if (frame->hd.type != NGHTTP2_HEADERS)
                return 0;
        if (h->server) {
                /* More than a header block may hold: the caller is not left waiting for it. */
                http2_submitted(h,
                                nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                                NGHTTP2_INTERNAL_ERROR));
                return 0;
        }
        LIST_FOREACH(stream, &h->streams, link)
                if (stream->id == frame->hd.stream_id) {
                        http2_stream_close(stream, NGHTTP2_REFUSED_STREAM);
                        break;
                }
        return 0;
}

/* ---- outgoing ---- */

struct http2_chunk *http2_chunk_new(size_t length) {
        struct http2_chunk *chunk = malloc(sizeof(*chunk) + length);

        if (chunk)
                *chunk = (struct http2_chunk){ .length = length };
        return chunk;
}

void http2_chunk_free(struct http2_chunk *chunk) {
        explicit_bzero(chunk->data, chunk->length);
        free(chunk);
}

static void resume(struct http2_stream *stream) {
        if (stream->out_deferred) {
                stream->out_deferred = false;
                http2_submitted(stream->connection,
                                nghttp2_session_resume_data(stream->connection->session, stream->id));
        }
        http2_want_flush(stream->connection);
}

int http2_stream_queue(struct http2_stream *stream, struct http2_chunk *chunk) {
        if (!stream->connection || stream->lingers || stream->out_end) {
                http2_chunk_free(chunk);
                return 0;
        }
        *stream->out_last = chunk;
        stream->out_last = &chunk->next;
        stream->out_bytes += chunk->length;
        stream->connection->out_bytes += chunk->length;
        resume(stream);
        if (stream->out_bytes <= HTTP2_STREAM_LOW ||
                        (stream->out_bytes <= HTTP2_STREAM_HIGH &&
                                        stream->connection->out_bytes <= HTTP2_CONNECTION_HIGH))
                return 0;
        stream->out_full = true;
        return 1;
}

void http2_stream_cut(struct http2_stream *stream) {
        struct http2_chunk **end = &stream->out_first, *chunk;
        size_t kept = 0;

        /* A frame that waits for the connection to take it (on_send_data()) has been promised. */
        while (*end && kept < DATA_FRAME_MAX) {
                kept += (*end)->length - (*end)->sent;
                end = &(*end)->next;
        }
        chunk = *end;
        *end = NULL;
        stream->out_last = end;
        while (chunk) {
                struct http2_chunk *next = chunk->next;

                stream->out_bytes -= chunk->length;
                if (stream->connection)
                        stream->connection->out_bytes -= chunk->length;
                http2_chunk_free(chunk);
                chunk = next;
        }
}

void http2_stream_end(struct http2_stream *stream, const nghttp2_nv *trailers, size_t n) {
        if (!stream->connection || stream->lingers)
                return;
        stream->trailers = trailers;
        stream->n_trailers = n;
        stream->out_end = true;
        resume(stream);
}

static ssize_t on_data_read(nghttp2_session *session, int32_t id, uint8_t *buf _unused_, size_t length,
                uint32_t *flags, nghttp2_data_source *source, void *userdata) {
        const struct http2 *h = userdata;
        struct http2_stream *stream = source->ptr;
        size_t n;

        /* The owner may have freed the connection, and with it the streams, in a callback. */
        if (h->closed)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        n = MIN(length, stream->out_bytes);
        if (n == 0 && !stream->out_end) {
                stream->out_deferred = true;
                return NGHTTP2_ERR_DEFERRED;
        }
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (stream->out_end && n == stream->out_bytes) {
                *flags |= NGHTTP2_DATA_FLAG_EOF;
                if (stream->n_trailers > 0) {
                        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                        if (nghttp2_submit_trailer(session, id, stream->trailers, stream->n_trailers) < 0)
                                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
                }
        }
        return (ssize_t) n;
}

static int on_send_data(nghttp2_session *session _unused_, nghttp2_frame *frame _unused_,
                const uint8_t *frame_header, size_t n, nghttp2_data_source *source, void *userdata) {
        struct http2 *h = userdata;
        struct http2_stream *stream = source->ptr;

        if (h->closed)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        if (bytestream_pending(h->bytes) >= BYTESTREAM_HIGH)
                return NGHTTP2_ERR_WOULDBLOCK;
        if (http2_gather(h, frame_header, 9) < 0)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        stream->out_bytes -= n;
        h->out_bytes -= n;
        while (n > 0) {
                struct http2_chunk *chunk = stream->out_first;
                size_t part = MIN(n, chunk->length - chunk->sent);

                if (http2_gather(h, chunk->data + chunk->sent, part) < 0)
                        return NGHTTP2_ERR_CALLBACK_FAILURE;
                chunk->sent += part;
                n -= part;
                if (chunk->sent == chunk->length) {
                        stream->out_first = chunk->next;
                        if (!stream->out_first)
                                stream->out_last = &stream->out_first;
                        http2_chunk_free(chunk);
                }
        }
        if (stream->out_full && stream->out_bytes <= HTTP2_STREAM_LOW) {
                stream->out_full = false;
                stream_enter(stream);
                if (!h->abandoned && !stream->out_end && stream->ops && stream->ops->writable)
                        stream->ops->writable(stream, stream->userdata);
                (void) stream_leave(stream);
        }
        return 0;
}

static ssize_t on_data_length(nghttp2_session *session _unused_, uint8_t type _unused_, int32_t id _unused_,
                int32_t connection_window, int32_t stream_window, uint32_t max_frame,
                void *userdata _unused_) {
        uint32_t window = (uint32_t) MIN(connection_window, stream_window);

        max_frame = MIN(max_frame, (uint32_t) DATA_FRAME_MAX);
        return MIN(max_frame, window);
}

/*
 * PROTOCOL-HTTP2 "Responses" / RFC 9113, 8.1: a server that has answered before the request's end asks the
 * client to stop sending, without error.
 */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *userdata) {
        struct http2 *h = userdata;

        if (h->server && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
                        nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
                http2_submitted(h,
                                nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                                NGHTTP2_NO_ERROR));
        /* Refused ones took no work; a client may open many of them before it has read our SETTINGS. */
        if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
                        frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM)
                count_reset(h);
        return 0;
}

int http2_stream_respond(struct http2_stream *stream, const nghttp2_nv *headers, size_t n, bool end) {
        struct http2 *h = stream->connection;
        nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = on_data_read };

        if (!h)
                return 0;
        if (nghttp2_submit_response(h->session, stream->id, headers, n, end ? NULL : &provider) < 0)
                return -ENOMEM;
        stream->out_open = true;
        stream->out_end = end;
        http2_want_flush(h);
        return 0;
}

int http2_request(struct http2 *h, const nghttp2_nv *headers, size_t n, const struct http2_stream_ops *ops,
                void *userdata, struct http2_stream **ret) {
        nghttp2_data_provider provider = { .read_callback = on_data_read };
        struct http2_stream *stream;

        if (h->closed || !h->session || h->goaway_told)
                return -ENOTCONN;
        stream = stream_new(h, 0);
        if (!stream)
                return -ENOMEM;
        provider.source.ptr = stream;
        stream->id = nghttp2_submit_request(h->session, NULL, headers, n, &provider, stream);
        if (stream->id < 0) {
                http2_stream_close(stream, NGHTTP2_INTERNAL_ERROR);
                return -ENOMEM;
        }
        stream->ops = ops;
        stream->userdata = userdata;
        stream->out_open = true;
        http2_want_flush(h);
        *ret = stream;
        return 0;
}

void http2_stream_reset(struct http2_stream *stream, uint32_t code) {
        if (!stream->connection || stream->lingers)
                return;
        http2_submitted(stream->connection,
                        nghttp2_submit_rst_stream(
                                        stream->connection->session, NGHTTP2_FLAG_NONE, stream->id, code));
        http2_want_flush(stream->connection);
}

void http2_stream_set_callbacks(nghttp2_session_callbacks *callbacks) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
        nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
        nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_data_length);
}
