/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registry as an earlier run has left it. The first byte: 0, the rest is the file; else, records follow,
 * each behind its length (16 bits, little-endian), and the file is made of them, checksums and all.
 */
#include "fuzz.h"

#include "buffer.h"
#include "log.h"
#include "registry-store.h"

#include <endian.h>
#include <sys/mman.h>

static uint32_t checksum(const uint8_t *data, size_t n) {
        uint32_t hash = 2166136261u;

        for (size_t i = 0; i < n; i++)
                hash = (hash ^ data[i]) * 16777619u;
        return hash;
}

static void add_record(struct buffer *file, const uint8_t *data, size_t n) {
        const uint32_t header[] = { htole32((uint32_t) n), htole32(checksum(data, n)) };

        must(buffer_append(file, header, sizeof(header)) == 0, "there is memory");
        must(buffer_append(file, data, n) == 0, "there is memory");
}

static void make_file(struct buffer *file, const uint8_t *data, size_t size) {
        static const char magic[] = "givc registry 1\n";
        uint64_t begin = htole64(sizeof(magic) - 1 + sizeof(begin));

        must(buffer_append(file, magic, sizeof(magic) - 1) == 0, "there is memory");
        must(buffer_append(file, &begin, sizeof(begin)) == 0, "there is memory");
        while (size >= 2) {
                size_t n = (size_t) take_byte(&data, &size);

                n |= (size_t) take_byte(&data, &size) << 8;
                n = MIN(n, size);
                add_record(file, data, n);
                data += n;
                size -= n;
        }
}

/* It is in the other one, too, and the same as far as that is kept. */
static void check_kept(const struct registry_entry *entry, void *userdata) {
        const struct registry_entry *other = registry_find(userdata, entry->name);

        must(other && streq(other->agent->vm, entry->agent->vm), "each is kept, with its agent");
        must(component_type_to_wire(other->type) == component_type_to_wire(entry->type), "and its type");
        must(streq(strempty(other->description), strempty(entry->description)), "and its description");
        must(streq(other->agent->transport.address, entry->agent->transport.address) &&
                                        streq(other->agent->transport.protocol,
                                                        entry->agent->transport.protocol) &&
                                        streq(other->agent->transport.port, entry->agent->transport.port),
                        "and where it is reached");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(registry_store_freep) struct registry_store *store = NULL;
        _cleanup_(registry_freep) struct registry *registry = NULL, *again = NULL;
        _cleanup_(buffer_clear) struct buffer file = BUFFER_NULL;
        _cleanup_(closep) int fd = memfd_create("registry", MFD_CLOEXEC);

        log_set_max_level(-1);
        if (take_byte(&data, &size) != 0)
                make_file(&file, data, size);
        else
                must(buffer_append(&file, data, size) == 0, "there is memory");
        must(write(fd, buffer_bytes(&file), buffer_length(&file)) == (ssize_t) buffer_length(&file),
                        "a file can be written");

        must(registry_new(&registry) == 0 && registry_new(&again) == 0, "there is memory");
        must(registry_store_read(registry, fd) >= 0, "what was kept can be read, as far as it goes");
        must(registry_store_new(&store, registry) == 0, "a registry can be kept");
        must(registry_store_read(again, registry_store_fd(store)) >= 0, "and read again");
        must(registry_count(again) == registry_count(registry), "and is as large");
        registry_foreach(registry, check_kept, again);
        store = registry_store_free(store);
        return 0;
}
