/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Figures as text, in OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/): families one
 * after the other, each with its samples. What fails for lack of memory is said at the end, once.
 */

#include "buffer.h"

struct openmetrics {
        const char *prefix; /* of every family's name: "givc" */
        const char *family; /* the one that samples are added to */
        struct buffer text;
        bool failed;
};

enum openmetrics_type {
        OPENMETRICS_COUNTER, /* only grows */
        OPENMETRICS_GAUGE,
        OPENMETRICS_HISTOGRAM,
        OPENMETRICS_INFO,
};

/* prefix is static text. */
void openmetrics_init(struct openmetrics *metrics, const char *prefix);
void openmetrics_clear(struct openmetrics *metrics);

/*
 * Begins a family: name without the prefix and the type's suffix, ending in the unit where there is one
 * (NULL: none). All three are static text.
 */
void openmetrics_family(struct openmetrics *metrics, enum openmetrics_type type, const char *name,
                const char *unit, const char *help);

/*
 * One sample of it. suffix: "_total" of a counter, "" of a gauge, "_bucket" and the like. Pairs of label and
 * value follow, at most OPENMETRICS_LABELS_MAX, and NULL.
 */
#define OPENMETRICS_LABELS_MAX 4
void openmetrics_uint(struct openmetrics *metrics, const char *suffix, uint64_t value, ...)
                __attribute__((sentinel));
void openmetrics_seconds(struct openmetrics *metrics, const char *suffix, uint64_t usec, ...)
                __attribute__((sentinel));

/* A family that is one figure. */
void openmetrics_counter(struct openmetrics *metrics, const char *name, const char *help, uint64_t value);
void openmetrics_gauge(struct openmetrics *metrics, const char *name, const char *unit, const char *help,
                uint64_t value);

/* Ends the text, which stays metrics'. 0 or -ENOMEM. */
int openmetrics_finish(struct openmetrics *metrics, const char **ret, size_t *ret_size);
