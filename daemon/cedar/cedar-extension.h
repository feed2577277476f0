/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Cedar's extension types: ipaddr, decimal, datetime, duration. */

#include "cedar-value.h"

enum cedar_function {
        CEDAR_FUNCTION_IP,
        CEDAR_FUNCTION_DECIMAL,
        CEDAR_FUNCTION_DATETIME,
        CEDAR_FUNCTION_DURATION,
        CEDAR_FUNCTIONS,
};

/* "ip", "decimal", …; NULL past the last one. */
const char *cedar_function_name(enum cedar_function function);
/* -ENOENT: there is no function of that name. */
int cedar_function_find(struct cedar_text name, enum cedar_function *ret);

/*
 * Makes a value out of its text: 0; -EINVAL: it is no such value; -ERANGE: more than the type holds;
 * -ENOMEM. What is right for the function is said by cedar_function_expects().
 */
int cedar_function_apply(struct arena *arena, enum cedar_function function, struct cedar_text text,
                struct cedar_value *ret);
const char *cedar_function_expects(enum cedar_function function);

bool cedar_ip_is_loopback(const struct cedar_ip *ip);
bool cedar_ip_is_multicast(const struct cedar_ip *ip);
/* Whether each address of ip is one of range. */
bool cedar_ip_is_in_range(const struct cedar_ip *ip, const struct cedar_ip *range);

/* The start of its day; -ERANGE: no datetime is that small. */
int cedar_datetime_to_date(int64_t datetime, int64_t *ret);
/* Since the start of its day. */
int64_t cedar_datetime_to_time(int64_t datetime);
