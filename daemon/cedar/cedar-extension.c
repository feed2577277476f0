/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-extension.h"

#include <arpa/inet.h>

#define MSEC_PER_SEC  INT64_C(1000)
#define MSEC_PER_MIN  (60 * MSEC_PER_SEC)
#define MSEC_PER_HOUR (60 * MSEC_PER_MIN)
#define MSEC_PER_DAY  (24 * MSEC_PER_HOUR)

/* strlen("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789/128") */
#define IP_TEXT_MAX 43

#define DECIMAL_DIGITS 4

static const struct {
        const char *name;
        const char *expects;
} functions[CEDAR_FUNCTIONS] = {
        [CEDAR_FUNCTION_IP] = { "ip", "an address or range such as 127.0.0.1, 10.0.0.0/8 or ffee::/64" },
        [CEDAR_FUNCTION_DECIMAL] = { "decimal", "digits, a point and one to four digits, such as -12.345" },
        [CEDAR_FUNCTION_DATETIME] = { "datetime",
                        "YYYY-MM-DD, or that and Thh:mm:ss or Thh:mm:ss.SSS with Z or an offset such as "
                        "+0200" },
        [CEDAR_FUNCTION_DURATION] = { "duration",
                        "numbers with d, h, m, s and ms, in that order, such as 1h30m" },
};

const char *cedar_function_name(enum cedar_function function) {
        return function < CEDAR_FUNCTIONS ? functions[function].name : NULL;
}

const char *cedar_function_expects(enum cedar_function function) {
        return functions[function].expects;
}

int cedar_function_find(struct cedar_text name, enum cedar_function *ret) {
        for (size_t i = 0; i < CEDAR_FUNCTIONS; i++)
                if (cedar_text_equal(name, cedar_text_of(functions[i].name))) {
                        *ret = i;
                        return 0;
                }
        return -ENOENT;
}

/* ---- reading ---- */

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool take_char(struct cedar_text *text, char c) {
        if (text->n == 0 || text->s[0] != c)
                return false;
        text->s++;
        text->n--;
        return true;
}

/* As many digits as there are, at least one. 0, -EINVAL, -ERANGE. */
static int take_number(struct cedar_text *text, uint64_t *ret, size_t *ret_digits) {
        uint64_t value = 0;
        size_t n = 0;
        int r = 0;

        for (; n < text->n && is_digit(text->s[n]); n++)
                if (__builtin_mul_overflow(value, 10, &value) ||
                                __builtin_add_overflow(value, (uint64_t) (text->s[n] - '0'), &value))
                        r = -ERANGE;
        if (n == 0)
                return -EINVAL;
        text->s += n;
        text->n -= n;
        *ret = value;
        *ret_digits = n;
        return r;
}

/* Exactly so many digits. */
static bool take_digits(struct cedar_text *text, size_t n, int *ret) {
        int value = 0;

        if (text->n < n)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (!is_digit(text->s[i]))
                        return false;
                value = value * 10 + (text->s[i] - '0');
        }
        text->s += n;
        text->n -= n;
        *ret = value;
        return true;
}

/* ---- ipaddr ---- */

static size_t count_char(struct cedar_text text, char c) {
        size_t n = 0;

        for (size_t i = 0; i < text.n; i++)
                n += text.s[i] == c;
        return n;
}

/* Without leading zeros, of at most three digits. */
static int read_prefix(struct cedar_text text, uint8_t max, uint8_t *ret) {
        struct cedar_text rest = text;
        uint64_t value;
        size_t digits;

        if (text.n > (max > 99 ? 3 : 2) || take_number(&rest, &value, &digits) < 0 || rest.n > 0)
                return -EINVAL;
        if ((text.s[0] == '0' && digits > 1) || value > max)
                return -EINVAL;
        *ret = (uint8_t) value;
        return 0;
}

static int read_ip(struct arena *arena, struct cedar_text text, struct cedar_value *ret) {
        const char *slash = memchr(text.s, '/', text.n);
        size_t n = slash ? (size_t) (slash - text.s) : text.n;
        char address[IP_TEXT_MAX + 1];
        struct cedar_ip *ip;

        /* IPv4 inside of IPv6 is not taken: the one is never equal to the other, whatever it looks like. */
        if (text.n > IP_TEXT_MAX || memchr(text.s, '\0', text.n) ||
                        (count_char(text, ':') >= 2 && count_char(text, '.') >= 2))
                return -EINVAL;
        ip = arena_alloc0(arena, sizeof(*ip));
        if (!ip)
                return -ENOMEM;
        memcpy(address, text.s, n);
        address[n] = '\0';
        if (inet_pton(AF_INET, address, ip->bytes) != 1) {
                ip->is_v6 = true;
                if (inet_pton(AF_INET6, address, ip->bytes) != 1)
                        return -EINVAL;
        }
        ip->prefix = ip->is_v6 ? 128 : 32;
        if (slash &&
                        read_prefix((struct cedar_text){ slash + 1, text.n - n - 1 }, ip->prefix,
                                        &ip->prefix) < 0)
                return -EINVAL;
        *ret = (struct cedar_value){ .kind = CEDAR_IP, .ip = ip };
        return 0;
}

bool cedar_ip_is_loopback(const struct cedar_ip *ip) {
        static const uint8_t v6[16] = { [15] = 1 };

        if (ip->is_v6)
                return ip->prefix == 128 && memcmp(ip->bytes, v6, 16) == 0;
        return ip->prefix >= 8 && ip->bytes[0] == 127;
}

bool cedar_ip_is_multicast(const struct cedar_ip *ip) {
        if (ip->is_v6)
                return ip->prefix >= 8 && ip->bytes[0] == 0xFF;
        return ip->prefix >= 4 && (ip->bytes[0] & 0xF0) == 0xE0;
}

bool cedar_ip_is_in_range(const struct cedar_ip *ip, const struct cedar_ip *range) {
        unsigned whole = range->prefix / 8, bits = range->prefix % 8;

        if (ip->is_v6 != range->is_v6 || ip->prefix < range->prefix ||
                        memcmp(ip->bytes, range->bytes, whole) != 0)
                return false;
        return bits == 0 || (ip->bytes[whole] ^ range->bytes[whole]) >> (8 - bits) == 0;
}

/* ---- decimal ---- */

static int read_decimal(struct cedar_text text, struct cedar_value *ret) {
        bool negative = take_char(&text, '-');
        uint64_t whole, part;
        int64_t value;
        size_t digits;
        int r, q;

        r = take_number(&text, &whole, &digits);
        if (r == -EINVAL || !take_char(&text, '.'))
                return -EINVAL;
        q = take_number(&text, &part, &digits);
        if (q == -EINVAL || text.n > 0 || digits > DECIMAL_DIGITS)
                return -EINVAL;
        for (; digits < DECIMAL_DIGITS; digits++)
                part *= 10;
        if (r < 0 || whole > INT64_MAX || __builtin_mul_overflow((int64_t) whole, INT64_C(10000), &value))
                return -ERANGE;
        if (negative ? __builtin_sub_overflow(-value, (int64_t) part, &value)
                     : __builtin_add_overflow(value, (int64_t) part, &value))
                return -ERANGE;
        *ret = (struct cedar_value){ .kind = CEDAR_DECIMAL, .number = value };
        return 0;
}

/* ---- datetime ---- */

/* Days since 1970-01-01 in the proleptic Gregorian calendar: years are counted from March, so that the leap
 * day is last. */
static int64_t days_from_date(int year, int month, int day) {
        int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
        int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * m + 2) / 5 + day - 1 -
                        719468;
}

static bool date_exists(int year, int month, int day) {
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* Thh:mm:ss[.SSS](Z|+hhmm|-hhmm) */
static int read_time(struct cedar_text text, int64_t *ret) {
        int hour, minute, second, msec = 0, offset_hour = 0, offset_minute = 0, sign = 0;

        if (!take_char(&text, 'T') || !take_digits(&text, 2, &hour) || !take_char(&text, ':') ||
                        !take_digits(&text, 2, &minute) || !take_char(&text, ':') ||
                        !take_digits(&text, 2, &second))
                return -EINVAL;
        if (take_char(&text, '.') && !take_digits(&text, 3, &msec))
                return -EINVAL;
        if (!take_char(&text, 'Z')) {
                sign = take_char(&text, '+') ? 1 : take_char(&text, '-') ? -1 : 0;
                if (sign == 0 || !take_digits(&text, 2, &offset_hour) ||
                                !take_digits(&text, 2, &offset_minute))
                        return -EINVAL;
        }
        if (text.n > 0 || hour > 23 || minute > 59 || second > 59 || offset_hour > 23 || offset_minute > 59)
                return -EINVAL;
        *ret = hour * MSEC_PER_HOUR + minute * MSEC_PER_MIN + second * MSEC_PER_SEC + msec -
                        sign * (offset_hour * MSEC_PER_HOUR + offset_minute * MSEC_PER_MIN);
        return 0;
}

static int read_datetime(struct cedar_text text, struct cedar_value *ret) {
        int year, month, day;
        int64_t time = 0;

        if (!take_digits(&text, 4, &year) || !take_char(&text, '-') || !take_digits(&text, 2, &month) ||
                        !take_char(&text, '-') || !take_digits(&text, 2, &day))
                return -EINVAL;
        if ((text.n > 0 && read_time(text, &time) < 0) || !date_exists(year, month, day))
                return -EINVAL;
        *ret = (struct cedar_value){
                .kind = CEDAR_DATETIME,
                .number = days_from_date(year, month, day) * MSEC_PER_DAY + time,
        };
        return 0;
}

int64_t cedar_datetime_to_time(int64_t datetime) {
        int64_t rest = datetime % MSEC_PER_DAY;

        return rest < 0 ? rest + MSEC_PER_DAY : rest;
}

int cedar_datetime_to_date(int64_t datetime, int64_t *ret) {
        return __builtin_sub_overflow(datetime, cedar_datetime_to_time(datetime), ret) ? -ERANGE : 0;
}

/* ---- duration ---- */

static int read_duration(struct cedar_text text, struct cedar_value *ret) {
        static const struct {
                const char *name;
                int64_t msec;
        } units[] = { { "d", MSEC_PER_DAY }, { "h", MSEC_PER_HOUR }, { "m", MSEC_PER_MIN },
                { "s", MSEC_PER_SEC }, { "ms", 1 } };
        bool negative = take_char(&text, '-');
        __int128 sum = 0;
        size_t unit = 0;
        int range = 0;

        if (text.n == 0)
                return -EINVAL;
        while (text.n > 0) {
                uint64_t value;
                size_t digits, letters = 0;
                int r = take_number(&text, &value, &digits);

                if (r == -EINVAL)
                        return r;
                while (letters < text.n && !is_digit(text.s[letters]))
                        letters++;
                while (unit < ELEMENTSOF(units) &&
                                !cedar_text_equal((struct cedar_text){ text.s, letters },
                                                cedar_text_of(units[unit].name)))
                        unit++;
                if (unit == ELEMENTSOF(units))
                        return -EINVAL;
                if (r == -ERANGE || value > (uint64_t) INT64_MAX + 1)
                        range = -ERANGE;
                else
                        sum += (__int128) value * units[unit].msec;
                text.s += letters;
                text.n -= letters;
                unit++;
        }
        sum = negative ? -sum : sum;
        if (range < 0 || sum > INT64_MAX || sum < INT64_MIN)
                return -ERANGE;
        *ret = (struct cedar_value){ .kind = CEDAR_DURATION, .number = (int64_t) sum };
        return 0;
}

int cedar_function_apply(struct arena *arena, enum cedar_function function, struct cedar_text text,
                struct cedar_value *ret) {
        switch (function) {
        case CEDAR_FUNCTION_IP:
                return read_ip(arena, text, ret);
        case CEDAR_FUNCTION_DECIMAL:
                return read_decimal(text, ret);
        case CEDAR_FUNCTION_DATETIME:
                return read_datetime(text, ret);
        default:
                return read_duration(text, ret);
        }
}
