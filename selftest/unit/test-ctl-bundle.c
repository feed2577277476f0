/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The archive that givcctl dump makes, and what it may not hold. That others can read it: interop/test_ctl_dump.py. */
#include "bundle.h"
#include "tar.h"

#include <criterion/criterion.h>

#define BLOCK 512

Test(ctl_bundle, names_that_do_not_fit_change_nothing) {
        char *data = NULL, name[TAR_NAME_MAX + 2] = "", directory[TAR_DIRECTORY_MAX + 2] = "";
        size_t n = 0;
        FILE *file = open_memstream(&data, &n);

        memset(name, 'n', TAR_NAME_MAX + 1);
        memset(directory, 'd', TAR_DIRECTORY_MAX + 1);
        cr_assert_eq(tar_add(file, "d", name, "x", 1, 0), -ENAMETOOLONG);
        cr_assert_eq(tar_add(file, directory, "n", "x", 1, 0), -ENAMETOOLONG);
        cr_assert_eq(tar_add(file, "d", "n", "x", SIZE_MAX / 2, 0), -EFBIG);
        cr_assert_eq(ftell(file), 0);
        name[TAR_NAME_MAX] = directory[TAR_DIRECTORY_MAX] = '\0';
        cr_assert_eq(tar_add(file, directory, name, "x", 1, UINT64_MAX), 0);
        cr_assert_eq(ftell(file), 2 * BLOCK);
        tar_end(file);
        fclose(file);
        cr_assert_eq(n, 4 * BLOCK);
        cr_assert_eq(memcmp(data, name, TAR_NAME_MAX), 0);
        cr_assert_eq(data[BLOCK], 'x');
        free(data);
}

Test(ctl_bundle, files_fill_whole_blocks) {
        static const char bytes[3 * BLOCK];

        for (size_t n = 0; n <= 2 * BLOCK + 1; n += n % BLOCK == 1 ? BLOCK - 2 : 1) {
                size_t made = 0;
                char *data = NULL;
                FILE *file = open_memstream(&data, &made);

                cr_assert_eq(tar_add(file, "d", "n", bytes, n, 0), 0);
                fclose(file);
                cr_assert_eq(made, BLOCK + (n + BLOCK - 1) / BLOCK * BLOCK);
                free(data);
        }
}

static void add_text(struct bundle *bundle, const char *name, const char *text, size_t times) {
        struct piece piece;

        cr_assert_eq(piece_open(&piece), 0);
        for (size_t i = 0; i < times; i++)
                fputs(text, piece.file);
        bundle_add(bundle, name, &piece);
        cr_assert_null(piece.file);
}

static const char *reason(const struct bundle *bundle, size_t i) {
        return json_string_value(json_object_get(json_array_get(bundle->missing, i), "reason"));
}

Test(ctl_bundle, what_is_too_much_is_missing_and_the_rest_is_there) {
        _cleanup_(bundle_clear) struct bundle bundle;
        static char block[1024 * 1024 + 1];
        char *errors;

        memset(block, 'x', sizeof(block) - 1);
        cr_assert_eq(bundle_init(&bundle, "givc-x", 0), 0);
        for (unsigned i = 0; i < 5; i++)
                add_text(&bundle, "large", block, 16);
        cr_assert_eq(json_array_size(bundle.missing), 2);
        cr_assert_str_eq(reason(&bundle, 1), "the bundle is full, at 64 MiB");
        add_text(&bundle, "small", "here", 1);
        cr_assert_eq(json_array_size(bundle.missing), 2);
        cr_assert_eq(bundle_finish(&bundle), 0);
        cr_assert_leq(bundle.n, BUNDLE_BYTES_MAX + 8 * BLOCK);
        errors = memmem(bundle.data, bundle.n, "errors.txt", 10);
        cr_assert_not_null(errors);
        cr_assert_eq(strncmp(errors + BLOCK, "large: the bundle is full", 25), 0);
}

Test(ctl_bundle, reasons_are_one_line_each) {
        _cleanup_(bundle_clear) struct bundle bundle;
        char *errors;

        cr_assert_eq(bundle_init(&bundle, "givc-x", 0), 0);
        bundle_miss(&bundle, "a\nb", "%s", "lost\033[31m\nand \xff gone");
        bundle_add_json(&bundle, "none.json", NULL);
        cr_assert_eq(bundle_finish(&bundle), 0);
        errors = memmem(bundle.data, bundle.n, "errors.txt", 10);
        cr_assert_not_null(errors);
        errors += BLOCK;
        cr_assert(strncmp(errors, "a\\x0ab: lost", 12) == 0, "%.80s", errors);
        cr_assert_eq(strcspn(errors, "\n"), strstr(errors, "none.json") - errors - 1);
        cr_assert_null(memchr(errors, '\033', 200));
}
