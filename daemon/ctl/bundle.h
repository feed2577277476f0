/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What is collected for somebody who is to help: pieces of text in a tar archive. It grows in memory, and
 * becomes a file when it is whole, so that nothing is ever half there. A piece that cannot be had is
 * remembered with the reason.
 */

#include "util.h"

#include <jansson.h>
#include <stdio.h>

/* All pieces together: a hundred VMs have some 20 MiB. One that does not fit any more is missing. */
#define BUNDLE_BYTES_MAX ((size_t) 64 * 1024 * 1024)

struct bundle {
        char *directory;  /* in which all of it is, in the archive */
        uint64_t seconds; /* CLOCK_REALTIME */
        FILE *archive;
        char *data; /* of the archive */
        size_t n;
        json_t *missing; /* [{"piece": …, "reason": …}, …] */
};

/* directory must be fit for a file's name. 0 or -ENOMEM; in either case bundle_clear() is due. */
int bundle_init(struct bundle *bundle, const char *directory, uint64_t seconds);
void bundle_clear(struct bundle *bundle);

/* A piece in the making: what is printed to file. */
struct piece {
        FILE *file; /* NULL: none */
        char *text;
        size_t n;
};

#define PIECE_NULL ((struct piece){})

/* 0 or -ENOMEM. */
int piece_open(struct piece *piece);
void piece_clear(struct piece *piece);

/* Adds what was printed, under that name, and clears the piece; or it is missing, with the reason. */
void bundle_add(struct bundle *bundle, const char *name, struct piece *piece);
/* Likewise of a JSON value, whose reference it takes; NULL: there was no memory. */
void bundle_add_json(struct bundle *bundle, const char *name, json_t *value);
void bundle_miss(struct bundle *bundle, const char *name, const char *format, ...) _printf_(3, 4);

/* Adds errors.txt, which names all that is missing, and ends the archive. 0 or -ENOMEM. */
int bundle_finish(struct bundle *bundle);
