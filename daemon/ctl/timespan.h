/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "util.h"

/*
 * Reads a span of time as systemd.time(7) writes it: "90" (seconds), "90s", "2min", "1min 30s", "500ms",
 * "1h", "infinity". 0, -EINVAL, or -ERANGE past 2^64 microseconds.
 */
int timespan_parse(const char *s, uint64_t *ret_usec);

/*
 * A moment, in microseconds of CLOCK_REALTIME, as journalctl(1) takes it, in local time: "2026-01-02
 * 03:04:05", without seconds, time or date; "now", "today", "yesterday"; "@SECONDS"; or how long before now
 * it was: "1h",
 * "-1h", "1h ago". 0 or -EINVAL.
 */
int timestamp_parse(const char *s, uint64_t now_usec, uint64_t *ret_usec);

/* How long ago something was, roughly: "12s", "5min", "3h", "2d". Fits into TIMESPAN_TEXT bytes. */
#define TIMESPAN_TEXT 24
const char *timespan_format(uint64_t usec, char text[TIMESPAN_TEXT]);
