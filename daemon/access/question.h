/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Requests as people write them, to be decided on without being made. */

#include "cedar.h"

#include "access.pb-c.h"

/* The types that a plain name stands for: those of givc's own rules. */
#define ACCESS_PRINCIPAL "Source"
#define ACCESS_ACTION    "Command"
#define ACCESS_RESOURCE  "Module"

/* Of another's question: names as long as nobody has one. */
#define ACCESS_NAME_BYTES_MAX 1024
/* … and its context, which has no more values, and is no deeper, than that of a call (context.h). */
#define ACCESS_QUESTION_BYTES_MAX ((size_t) 64 * 1024)

/* Type::"id", or a plain name of that type; what is that of a message. 0, -EINVAL with *ret_error (the
 * caller's), or -ENOMEM. */
int access_read_uid(struct arena *arena, const char *what, const char *type, struct cedar_text text,
                const struct cedar_uid **ret, char **ret_error);

/*
 * Reads a peer's question into the arena, which it need not outlast. 0; -EINVAL or -E2BIG, with *ret_error
 * (the caller's) saying what is wrong; or -ENOMEM.
 */
int access_read_question(struct arena *arena, const Access__DecideRequest *question,
                struct cedar_request *ret, char **ret_error);

/* The context with "service" in it, as that of a call has; one that is there stays. 0 or -ENOMEM. */
int access_question_set_service(
                struct arena *arena, struct cedar_text service, struct cedar_request *request);
