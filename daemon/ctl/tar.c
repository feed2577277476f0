/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tar.h"

#define BLOCK 512

/* Numbers are octal digits and a NUL, texts are NUL-terminated unless they fill their field. */
struct header {
        char name[TAR_NAME_MAX], mode[8], uid[8], gid[8], size[12], time[12], checksum[8], type, link[100];
        char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[TAR_DIRECTORY_MAX],
                        pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

static void put_number(char *field, size_t size, uint64_t value) {
        field[size - 1] = '\0';
        for (size_t i = size - 1; i > 0; i--, value >>= 3)
                field[i - 1] = (char) ('0' + (value & 7));
}

/* The sum of the header's bytes, as if this field were blank. */
static void put_checksum(struct header *header) {
        const uint8_t *bytes = (const uint8_t *) header;
        uint64_t sum = 0;

        memset(header->checksum, ' ', sizeof(header->checksum));
        for (size_t i = 0; i < BLOCK; i++)
                sum += bytes[i];
        put_number(header->checksum, sizeof(header->checksum) - 1, sum);
}

int tar_add(FILE *file, const char *directory, const char *name, const void *data, size_t n,
                uint64_t seconds) {
        static const char zeros[BLOCK];
        struct header header = { .type = '0', .magic = "ustar", .version = { '0', '0' } };

        if (strlen(directory) > sizeof(header.prefix) || strlen(name) > sizeof(header.name))
                return -ENAMETOOLONG;
        if (n >> 33)
                return -EFBIG;
        memcpy(header.prefix, directory, strlen(directory));
        memcpy(header.name, name, strlen(name));
        put_number(header.mode, sizeof(header.mode), 0600);
        put_number(header.uid, sizeof(header.uid), 0);
        put_number(header.gid, sizeof(header.gid), 0);
        put_number(header.size, sizeof(header.size), n);
        put_number(header.time, sizeof(header.time), seconds);
        put_number(header.major, sizeof(header.major), 0);
        put_number(header.minor, sizeof(header.minor), 0);
        put_checksum(&header);
        fwrite(&header, 1, BLOCK, file);
        fwrite(data, 1, n, file);
        fwrite(zeros, 1, (BLOCK - n % BLOCK) % BLOCK, file);
        return 0;
}

void tar_end(FILE *file) {
        static const char zeros[2 * BLOCK];

        fwrite(zeros, 1, sizeof(zeros), file);
}
