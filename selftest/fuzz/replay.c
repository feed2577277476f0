/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the files named, and those in the directories named, through a target. Seeds are kept as text: a name
 * that ends in
 * ".hex" means hexadecimal digits, with blanks, and comments from '#' to the end of the line; any other file
 * is taken as it is.
 */
#include "fuzz.h"

#include "text.h"

#include <dirent.h>

#define INPUT_MAX (16 * 1024 * 1024)

static int digit_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

/* In place. The number of bytes, or -EINVAL. */
static ssize_t decode_hex(char *text) {
        char *out = text;
        int high = -1;

        for (const char *p = text; *p; p++) {
                int value = digit_value(*p);

                if (*p == '#')
                        p += strcspn(p, "\n") - 1;
                else if (value < 0) {
                        if (!strchr(" \t\r\n", *p))
                                return -EINVAL;
                } else if (high < 0)
                        high = value;
                else {
                        *out++ = (char) (high << 4 | value);
                        high = -1;
                }
        }
        return high < 0 ? out - text : -EINVAL;
}

static int replay_file(const char *path) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(freep) uint8_t *input = NULL;
        ssize_t n;
        size_t size;
        int r;

        r = text_read_file(path, INPUT_MAX, &text, &size);
        if (r < 0) {
                (void) fprintf(stderr, "%s: %s\n", path, strerror(-r));
                return r;
        }
        n = endswith(path, ".hex") ? decode_hex(text) : (ssize_t) size;
        if (n < 0) {
                (void) fprintf(stderr, "%s: these are not hexadecimal digits in pairs\n", path);
                return (int) n;
        }
        /* Memory of exactly that size, so that reading past its end is noticed. */
        input = malloc((size_t) n + (n == 0));
        if (!input)
                return -ENOMEM;
        memcpy(input, text, (size_t) n);
        (void) fprintf(stderr, "%s\n", path);
        (void) LLVMFuzzerTestOneInput(input, (size_t) n);
        return 0;
}

static int replay_directory(const char *path) {
        DIR *directory = opendir(path);
        const struct dirent *entry;
        int r = 0;

        if (!directory)
                return -errno;
        while (r == 0 && (entry = readdir(directory))) {
                _cleanup_(freep) char *file = text_printf("%s/%s", path, entry->d_name);

                if (entry->d_name[0] != '.')
                        r = file ? replay_file(file) : -ENOMEM;
        }
        (void) closedir(directory);
        return r;
}

int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++) {
                int r = replay_directory(argv[i]);

                if (r == -ENOTDIR)
                        r = replay_file(argv[i]);
                if (r < 0)
                        return EXIT_FAILURE;
        }
        return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
