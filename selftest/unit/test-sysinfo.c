/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Firmware and disks, as a directory of ours shows them. */
#include "sysinfo.h"

#include "text.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"

static char top[] = "/tmp/test-sysinfo-XXXXXX";

static void set_up(void) {
        cr_assert_not_null(mkdtemp(top));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static void tear_down(void) {
        cr_assert_eq(nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(sysinfo, .init = set_up, .fini = tear_down);

static const char *place(const char *path) {
        static char text[256];

        snprintf(text, sizeof(text), "%s/%s", top, path);
        return text;
}

static void make_directory(const char *path) {
        cr_assert_eq(mkdir(place(path), 0755), 0);
}

static void write_file(const char *path, const void *bytes, size_t n) {
        FILE *file = fopen(place(path), "w");

        cr_assert_not_null(file);
        cr_assert_eq(fwrite(bytes, 1, n, file), n);
        cr_assert_eq(fclose(file), 0);
}

static void set_variable(const char *name, uint8_t value) {
        const uint8_t bytes[] = { 6, 0, 0, 0, value };
        char path[128];

        snprintf(path, sizeof(path), "efivars/%s-" GLOBAL, name);
        write_file(path, bytes, sizeof(bytes));
}

Test(sysinfo, secure_boot_is_unknown_without_uefi) {
        cr_assert_eq(sysinfo_secure_boot(place("efi")), -ENOENT);
}

Test(sysinfo, secure_boot_is_what_the_firmware_enforces) {
        make_directory("efivars");
        cr_assert_eq(sysinfo_secure_boot(top), 0, "firmware that does not know it");
        set_variable("SecureBoot", 0);
        cr_assert_eq(sysinfo_secure_boot(top), 0);
        set_variable("SecureBoot", 1);
        cr_assert_eq(sysinfo_secure_boot(top), 1);
        set_variable("SetupMode", 0);
        cr_assert_eq(sysinfo_secure_boot(top), 1);
        set_variable("SetupMode", 1);
        cr_assert_eq(sysinfo_secure_boot(top), 0, "enabled (setup) is not enabled");
        write_file("efivars/SecureBoot-" GLOBAL, "\6\0\0\0", 4);
        cr_assert_eq(sysinfo_secure_boot(top), -EBADMSG);
}

Test(sysinfo, a_disk_is_encrypted_by_dm_crypt) {
        make_directory("sda");
        cr_assert_eq(sysinfo_disk_encrypted(top), 0);
        make_directory("dm-0");
        make_directory("dm-0/dm");
        write_file("dm-0/dm/uuid", "LVM-abc\n", 8);
        cr_assert_eq(sysinfo_disk_encrypted(top), 0);
        make_directory("dm-1");
        make_directory("dm-1/dm");
        write_file("dm-1/dm/uuid", "CRYPT-LUKS2-abc-root\n", 21);
        cr_assert_eq(sysinfo_disk_encrypted(top), 1);
        cr_assert_eq(sysinfo_disk_encrypted(place("none")), -ENOENT);
}
