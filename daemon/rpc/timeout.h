/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* grpc-timeout (PROTOCOL-HTTP2 "Timeout": at most eight digits and a unit) and the deadlines made of it. */

#include "util.h"

#include <systemd/sd-event.h>

/* 0, or -EINVAL. *ret is in microseconds, rounded up. */
int timeout_parse(const char *text, uint64_t *ret_usec);
/* Into text, in the finest unit that holds it; never longer than what is left. */
#define TIMEOUT_TEXT_MAX 16
void timeout_format(uint64_t usec, char text[static TIMEOUT_TEXT_MAX]);

/*
 * Arms (or makes) a one-shot timer for a deadline on CLOCK_MONOTONIC. Its callback asks
 * deadline_has_passed() before it believes the timer.
 */
int deadline_arm(sd_event *event, sd_event_source **source, uint64_t deadline_usec,
                sd_event_time_handler_t callback, void *userdata);

/*
 * A timer that comes seconds late tells that the clock jumped (a host's sleep, in a guest), not that the
 * time was used: then the deadline is moved on, once, the timer armed again, and false returned.
 */
bool deadline_has_passed(sd_event_source *source, uint64_t *deadline_usec, bool *jumped);
