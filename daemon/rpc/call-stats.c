/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "call-stats.h"

/* Of the durations: from a call that only reads to a VM's boot. As text, since that is what the label is. */
static const struct {
        uint64_t usec;
        const char *label;
} bounds[] = {
        { 500, "0.0005" },
        { 1000, "0.001" },
        { 2500, "0.0025" },
        { 5000, "0.005" },
        { 10000, "0.01" },
        { 25000, "0.025" },
        { 50000, "0.05" },
        { 100000, "0.1" },
        { 250000, "0.25" },
        { 500000, "0.5" },
        { 1000000, "1.0" },
        { 2500000, "2.5" },
        { 5000000, "5.0" },
        { 10000000, "10.0" },
        { 60000000, "60.0" },
};

/* Open addressing: must be a power of two, and at least a third larger than what is kept in it. */
#define SLOTS (2 * CALL_STATS_METHODS)

struct method_stats {
        const struct rpc_service *service;
        const ProtobufCMethodDescriptor *method; /* NULL: a free slot */
        uint64_t codes[_RPC_CODE_MAX];
        uint64_t buckets[ELEMENTSOF(bounds) + 1]; /* not cumulative; the last: longer than all bounds */
        uint64_t sum_usec;
};

struct call_stats {
        size_t n_methods;
        struct method_stats unknown;
        struct method_stats *slots[SLOTS];
        struct method_stats methods[CALL_STATS_METHODS];
};

int call_stats_new(struct call_stats **ret) {
        /* Pages that no method touches are none of ours. */
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

struct call_stats *call_stats_free(struct call_stats *stats) {
        free(stats);
        return NULL;
}

static size_t slot_of(const ProtobufCMethodDescriptor *method) {
        return (size_t) (((uintptr_t) method * UINT64_C(0x9E3779B97F4A7C15)) >> 32) % SLOTS;
}

static struct method_stats *find(struct call_stats *stats, const struct rpc_service *service,
                const ProtobufCMethodDescriptor *method) {
        struct method_stats *found;
        size_t slot;

        if (!method)
                return &stats->unknown;
        for (slot = slot_of(method); stats->slots[slot]; slot = (slot + 1) % SLOTS)
                if (stats->slots[slot]->method == method)
                        return stats->slots[slot];
        if (stats->n_methods == CALL_STATS_METHODS)
                return &stats->unknown;
        found = stats->slots[slot] = &stats->methods[stats->n_methods++];
        found->service = service;
        found->method = method;
        return found;
}

void call_stats_add(struct call_stats *stats, const struct rpc_service *service,
                const ProtobufCMethodDescriptor *method, enum rpc_code code, uint64_t duration_usec) {
        struct method_stats *of = find(stats, service, method);
        size_t i = 0;

        while (i < ELEMENTSOF(bounds) && duration_usec > bounds[i].usec)
                i++;
        of->buckets[i]++;
        of->sum_usec += duration_usec;
        of->codes[(size_t) code < _RPC_CODE_MAX ? code : RPC_UNKNOWN]++;
}

/* ---- writing ---- */

/* What labels a method's samples: its service and its name. */
struct labels {
        const char *service, *method;
};

static struct labels labels_of(const struct method_stats *of) {
        if (!of->method)
                return (struct labels){ "", "unknown" };
        return (struct labels){ of->service->descriptor->name, of->method->name };
}

static uint64_t count(const struct method_stats *of) {
        uint64_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(of->codes); i++)
                n += of->codes[i];
        return n;
}

static void write_calls(const struct method_stats *of, struct openmetrics *metrics) {
        struct labels l = labels_of(of);

        for (size_t i = 0; i < ELEMENTSOF(of->codes); i++)
                if (of->codes[i] > 0)
                        openmetrics_uint(metrics, "_total", of->codes[i], "service", l.service, "method",
                                        l.method, "code", rpc_code_name((enum rpc_code) i), NULL);
}

static void write_errors(const struct method_stats *of, struct openmetrics *metrics) {
        struct labels l = labels_of(of);

        openmetrics_uint(metrics, "_total", count(of) - of->codes[RPC_OK], "service", l.service, "method",
                        l.method, NULL);
}

static void write_durations(const struct method_stats *of, struct openmetrics *metrics) {
        struct labels l = labels_of(of);
        uint64_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(of->buckets); i++) {
                n += of->buckets[i];
                openmetrics_uint(metrics, "_bucket", n, "service", l.service, "method", l.method, "le",
                                i < ELEMENTSOF(bounds) ? bounds[i].label : "+Inf", NULL);
        }
        openmetrics_uint(metrics, "_count", n, "service", l.service, "method", l.method, NULL);
        openmetrics_seconds(metrics, "_sum", of->sum_usec, "service", l.service, "method", l.method, NULL);
}

static void write_all(const struct call_stats *stats, struct openmetrics *metrics,
                void (*write)(const struct method_stats *of, struct openmetrics *metrics)) {
        for (size_t i = 0; i < stats->n_methods; i++)
                write(&stats->methods[i], metrics);
        if (count(&stats->unknown) > 0)
                write(&stats->unknown, metrics);
}

void call_stats_write(const struct call_stats *stats, struct openmetrics *metrics) {
        openmetrics_family(metrics, OPENMETRICS_COUNTER, "calls", NULL,
                        "Calls that have ended, by their status code.");
        write_all(stats, metrics, write_calls);
        openmetrics_family(metrics, OPENMETRICS_COUNTER, "call_errors", NULL,
                        "Calls that have ended other than with OK.");
        write_all(stats, metrics, write_errors);
        openmetrics_family(metrics, OPENMETRICS_HISTOGRAM, "call_duration_seconds", "seconds",
                        "From a call's headers to its status; streams last as long as they are wanted.");
        write_all(stats, metrics, write_durations);
}
