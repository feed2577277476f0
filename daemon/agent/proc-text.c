/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc-text.h"

/* Numbers of proc(5)'s list under /proc/pid/stat, those behind the name. */
enum {
        FIELD_STATE = 3,
        FIELD_UTIME = 14,
        FIELD_STIME = 15,
        FIELD_STARTTIME = 22,
        FIELD_RSS = 24,
};

/* And those of the line "cpu" in /proc/stat, the word itself being 0. What guests use is in user and nice.
 */
enum {
        TICKS_USER = 1,
        TICKS_NICE = 2,
        TICKS_SYSTEM = 3,
        TICKS_IRQ = 6,
        TICKS_SOFTIRQ = 7,
        TICKS_STEAL = 8,
};

/* A decimal number at *s, which is moved behind it. A process can be "-1" in fields that nobody here asks
 * for. */
static int read_number(const char **s, uint64_t *ret) {
        uint64_t value = 0;
        const char *p = *s;

        if (*p < '0' || *p > '9')
                return -EBADMSG;
        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(value, 10, &value) ||
                                __builtin_add_overflow(value, (uint64_t) (*p - '0'), &value))
                        return -EBADMSG;
        *s = p;
        *ret = value;
        return 0;
}

static const char *skip_blanks(const char *s) {
        return s + strspn(s, " \t");
}

/* Behind n fields, each with the blanks after it. */
static const char *skip_fields(const char *s, int n) {
        for (; n > 0; n--)
                s = skip_blanks(s + strcspn(s, " \t\n"));
        return s;
}

/* The number that is the field of that number, where *s stands at field *at; both are moved on to it. */
static int read_field(const char **s, int *at, int field, uint64_t *ret) {
        const char *p;

        *s = skip_fields(*s, field - *at);
        *at = field;
        p = *s;
        return read_number(&p, ret);
}

int proc_read_process(const char *text, struct proc_process *ret) {
        const char *open = strchr(text, '('), *close = strrchr(text, ')'), *s = text;
        struct proc_process process = {};
        int at = FIELD_STATE, r;
        uint64_t pid;
        size_t n;

        /* A name may have parentheses, too: the last one is the kernel's, since numbers follow. */
        if (read_number(&s, &pid) < 0 || pid > UINT32_MAX || !open || !close || close < open)
                return -EBADMSG;
        process.pid = (uint32_t) pid;
        n = MIN((size_t) (close - open - 1), sizeof(process.name) - 1);
        memcpy(process.name, open + 1, n);

        s = skip_blanks(close + 1);
        process.state = *s;
        r = read_field(&s, &at, FIELD_UTIME, &process.user);
        if (r >= 0)
                r = read_field(&s, &at, FIELD_STIME, &process.system);
        if (r >= 0)
                r = read_field(&s, &at, FIELD_STARTTIME, &process.start);
        if (r >= 0)
                r = read_field(&s, &at, FIELD_RSS, &process.resident);
        if (r < 0)
                return r;
        *ret = process;
        return 0;
}

int proc_read_ticks(const char *text, struct proc_ticks *ret) {
        const char *s = startswith(text, "cpu ");
        struct proc_ticks ticks = {};
        uint64_t value;

        if (!s)
                return -EBADMSG;
        for (int i = TICKS_USER; i <= TICKS_STEAL; i++) {
                s = skip_blanks(s);
                if (read_number(&s, &value) < 0)
                        return -EBADMSG;
                ticks.total += value;
                if (i == TICKS_USER || i == TICKS_NICE)
                        ticks.user += value;
                if (i == TICKS_SYSTEM || i == TICKS_IRQ || i == TICKS_SOFTIRQ)
                        ticks.system += value;
        }
        *ret = ticks;
        return 0;
}

static void read_memory_line(const char *line, struct proc_memory *memory) {
        const struct {
                const char *name;
                uint64_t *bytes;
        } known[] = {
                { "MemTotal:", &memory->total },
                { "MemFree:", &memory->free },
                { "MemAvailable:", &memory->available },
                { "Cached:", &memory->cached },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                const char *value = startswith(line, known[i].name);
                uint64_t kib;

                if (!value)
                        continue;
                value = skip_blanks(value);
                if (read_number(&value, &kib) >= 0 && startswith(value, " kB"))
                        *known[i].bytes = kib * 1024;
                return;
        }
}

int proc_read_memory(const char *text, struct proc_memory *ret) {
        struct proc_memory memory = {};

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                read_memory_line(line, &memory);
        }
        if (memory.total == 0)
                return -EBADMSG;
        *ret = memory;
        return 0;
}

/* "0.52": strtof() would ask the locale what the point looks like. */
static int read_average(const char **s, float *ret) {
        uint64_t whole, part;
        const char *begin;
        float scale = 1;

        if (read_number(s, &whole) < 0 || **s != '.')
                return -EBADMSG;
        begin = ++*s;
        if (read_number(s, &part) < 0 || *s - begin > 6)
                return -EBADMSG;
        for (; begin < *s; begin++)
                scale *= 10;
        *ret = (float) whole + (float) part / scale;
        return 0;
}

int proc_read_load(const char *text, float ret[static 3]) {
        float load[3];

        for (size_t i = 0; i < ELEMENTSOF(load); i++) {
                if (read_average(&text, &load[i]) < 0)
                        return -EBADMSG;
                text = skip_blanks(text);
        }
        memcpy(ret, load, sizeof(load));
        return 0;
}
