/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registry-store.h"

#include "log.h"
#include "ratelimit.h"

#include "admin.pb-c.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAGIC      "givc registry 1\n"
#define BEGIN_AT   (sizeof(MAGIC) - 1)
#define RECORDS_AT (BEGIN_AT + sizeof(uint64_t))
/* A name, a parent, a description and an address: far below. */
#define RECORD_MAX 4096
/* The registry at its largest, in records at their largest, twice. Only what is no log of ours is longer. */
#define RECORDS_MAX (2 * (size_t) REGISTRY_ENTRIES_MAX * RECORD_MAX)
/* Not worth beginning anew for. */
#define GROWTH_MIN (64 * 1024)

struct header {
        uint32_t length, checksum;
};

struct registry_store {
        struct registry *registry;
        struct registry_observer observer;
        int fd;
        uint64_t begin;    /* where the records begin that count */
        uint64_t end;      /* of the file */
        uint64_t snapshot; /* bytes of the one with which they begin */
        bool broken;       /* a change could not be written: begin anew with the next one */
        struct ratelimit failures;
};

/* FNV-1a, which tells a record from what is none; nobody but us writes here. */
static uint32_t checksum(const uint8_t *data, size_t n) {
        uint32_t hash = 2166136261u;

        for (size_t i = 0; i < n; i++)
                hash = (hash ^ data[i]) * 16777619u;
        return hash;
}

/* One record into p, which has room for RECORD_MAX bytes: its whole length. */
static size_t make_put_record(const struct registry_entry *entry, uint8_t *p) {
        const struct registry_agent *agent = entry->agent;
        Systemd__UnitStatus state = SYSTEMD__UNIT_STATUS__INIT;
        Admin__TransportConfig transport = ADMIN__TRANSPORT_CONFIG__INIT;
        Admin__RegistryRequest request = ADMIN__REGISTRY_REQUEST__INIT;

        component_state_to_wire(entry->state, &state);
        state.description = (char *) strempty(entry->description);
        request.name = (char *) entry->name;
        request.type = component_type_to_wire(entry->type);
        request.state = &state;
        if (entry == agent->entry) {
                transport.protocol = agent->transport.protocol;
                transport.address = agent->transport.address;
                transport.port = agent->transport.port;
                transport.name = agent->vm;
                request.transport = &transport;
        } else
                request.parent = agent->entry->name;

        if (sizeof(struct header) + 1 + admin__registry_request__get_packed_size(&request) > RECORD_MAX)
                return 0;
        p[sizeof(struct header)] = '+';
        return sizeof(struct header) + 1 +
                        admin__registry_request__pack(&request, p + sizeof(struct header) + 1);
}

static size_t make_remove_record(const struct registry_entry *entry, uint8_t *p) {
        size_t n = strlen(entry->name);

        p[sizeof(struct header)] = '-';
        memcpy(p + sizeof(struct header) + 1, entry->name, n);
        return sizeof(struct header) + 1 + n;
}

static void seal_record(uint8_t *p, size_t n) {
        uint32_t length = (uint32_t) (n - sizeof(struct header));
        struct header header = {
                .length = htole32(length),
                .checksum = htole32(checksum(p + sizeof(header), length)),
        };

        memcpy(p, &header, sizeof(header));
}

static int write_all(int fd, const void *data, size_t n, uint64_t offset) {
        const uint8_t *p = data;

        while (n > 0) {
                ssize_t k = pwrite(fd, p, n, (off_t) offset);

                if (k < 0)
                        return -errno;
                p += k;
                n -= (size_t) k;
                offset += (size_t) k;
        }
        return 0;
}

/* In pieces, as a whole would be a megabyte or two that malloc() does not always give back. */
struct snapshot {
        int fd;
        uint64_t end; /* of what is written */
        uint8_t bytes[16 * RECORD_MAX];
        size_t n;
};

static int flush_snapshot(struct snapshot *snapshot) {
        int r;

        r = write_all(snapshot->fd, snapshot->bytes, snapshot->n, snapshot->end);
        if (r < 0)
                return r;
        snapshot->end += snapshot->n;
        snapshot->n = 0;
        return 0;
}

static int add_to_snapshot(struct snapshot *snapshot, const struct registry_entry *entry) {
        uint8_t *record = snapshot->bytes + snapshot->n;
        size_t n = make_put_record(entry, record);

        if (n == 0)
                return 0;
        seal_record(record, n);
        snapshot->n += n;
        return snapshot->n > sizeof(snapshot->bytes) - RECORD_MAX ? flush_snapshot(snapshot) : 0;
}

/* Everything that the registry holds, each agent before its units. */
static int take_snapshot(struct registry *registry, struct snapshot *snapshot) {
        struct registry_agent *agent;
        struct registry_entry *unit;
        int r = 0;

        LIST_FOREACH(agent, registry_agents(registry), agents) {
                r = r < 0 ? r : add_to_snapshot(snapshot, agent->entry);
                LIST_FOREACH(unit, &agent->units, units)
                        r = r < 0 ? r : add_to_snapshot(snapshot, unit);
        }
        return r < 0 ? r : flush_snapshot(snapshot);
}

/* Appends all that is held; then, in one step, lets reading begin there; then gives back what was before. */
static int begin_anew(struct registry_store *store) {
        struct snapshot snapshot = { .fd = store->fd, .end = store->end };
        uint64_t begin = store->end, begin_le = htole64(begin);
        int r;

        r = take_snapshot(store->registry, &snapshot);
        if (r >= 0)
                r = write_all(store->fd, &begin_le, sizeof(begin_le), BEGIN_AT);
        if (r < 0)
                return r;
        store->begin = begin;
        store->snapshot = snapshot.end - begin;
        store->end = snapshot.end;
        store->broken = false;
        (void) fallocate(store->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, RECORDS_AT,
                        (off_t) (begin - RECORDS_AT));
        return 0;
}

static int append(struct registry_store *store, enum registry_event event,
                const struct registry_entry *entry) {
        uint8_t record[RECORD_MAX];
        size_t n;
        int r;

        n = event == REGISTRY_REMOVED ? make_remove_record(entry, record) : make_put_record(entry, record);
        if (n == 0)
                return -EMSGSIZE;
        seal_record(record, n);
        r = write_all(store->fd, record, n, store->end);
        if (r < 0)
                return r;
        store->end += n;
        return 0;
}

static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        struct registry_store *store = userdata;
        int r = 0;

        /* What is being removed is still in the registry: a snapshot would hold it. So the removal is
         * appended after. */
        if (store->broken || store->end - store->begin > 2 * store->snapshot + GROWTH_MIN)
                r = begin_anew(store);
        if (r >= 0)
                r = append(store, event, entry);
        if (r >= 0)
                return;

        store->broken = true;
        if (ratelimit_pass(&store->failures, NULL))
                (void) log_warning_errno(r, "Cannot keep the registry for the time after a restart");
}

int registry_store_new(struct registry_store **ret, struct registry *registry) {
        _cleanup_(registry_store_freep) struct registry_store *store = NULL;
        int r;

        store = malloc(sizeof(*store));
        if (!store)
                return -ENOMEM;
        *store = (struct registry_store){
                .registry = registry,
                .observer = { .changed = registry_changed, .userdata = store },
                .end = RECORDS_AT,
                .failures = { .interval_usec = 60 * USEC_PER_SEC, .burst = 1 },
        };
        list_init(&store->observer.observers);
        store->fd = memfd_create("givc-registry", MFD_CLOEXEC);
        if (store->fd < 0)
                return -errno;

        r = write_all(store->fd, MAGIC, BEGIN_AT, 0);
        if (r >= 0)
                r = begin_anew(store);
        if (r < 0)
                return r;
        registry_observe(registry, &store->observer);
        *ret = TAKE_PTR(store);
        return 0;
}

int registry_store_fd(const struct registry_store *store) {
        return store->fd;
}

struct registry_store *registry_store_free(struct registry_store *store) {
        if (!store)
                return NULL;
        registry_ignore(&store->observer);
        close_fd(store->fd);
        free(store);
        return NULL;
}

static int restore_agent(struct registry *registry, const Admin__RegistryRequest *request,
                struct component_type type) {
        const Admin__TransportConfig *transport = request->transport;
        struct registry_agent_values values = { .type = type, .state = request->state };
        struct registry_agent *agent;

        if (!transport)
                return -EBADMSG;
        values.vm = transport->name;
        values.transport = (struct registry_transport){
                .protocol = transport->protocol,
                .address = transport->address,
                .port = transport->port,
        };
        return registry_put_agent(registry, &values, &agent);
}

static int restore_unit(struct registry *registry, const Admin__RegistryRequest *request,
                struct component_type type) {
        struct registry_entry *parent;

        parent = registry_find(registry, request->parent);
        if (!parent || parent->type.service != COMPONENT_MGR)
                return -EBADMSG;
        return registry_put_unit(registry, parent->agent, request->name, type, request->state, NULL);
}

static int restore_put(struct registry *registry, const uint8_t *data, size_t n) {
        Admin__RegistryRequest *request;
        struct component_type type;
        int r;

        request = admin__registry_request__unpack(NULL, n, data);
        if (!request)
                return -EBADMSG;
        r = component_type_from_wire(request->type, &type);
        if (r >= 0)
                r = type.service == COMPONENT_MGR ? restore_agent(registry, request, type)
                                                  : restore_unit(registry, request, type);
        admin__registry_request__free_unpacked(request, NULL);
        return r;
}

static int restore_remove(struct registry *registry, const uint8_t *data, size_t n) {
        char name[REGISTRY_NAME_MAX + 1];
        struct registry_entry *entry;

        if (n >= sizeof(name))
                return -EBADMSG;
        memcpy(name, data, n);
        name[n] = '\0';
        entry = registry_find(registry, name);
        if (entry)
                registry_remove(registry, entry);
        return 0;
}

static int restore_record(struct registry *registry, const uint8_t *data, size_t n) {
        switch (n > 0 ? data[0] : 0) {
        case '+':
                return restore_put(registry, data + 1, n - 1);
        case '-':
                return restore_remove(registry, data + 1, n - 1);
        default:
                return -EBADMSG;
        }
}

/* 0: all was read; -EBADMSG: from some place on, it is not ours; -ENOMEM. */
static int restore_records(struct registry *registry, const uint8_t *p, size_t n) {
        while (n > 0) {
                struct header header;
                uint32_t length;
                int r;

                if (n < sizeof(header))
                        return -EBADMSG;
                memcpy(&header, p, sizeof(header));
                length = le32toh(header.length);
                if (length > n - sizeof(header) ||
                                checksum(p + sizeof(header), length) != le32toh(header.checksum))
                        return -EBADMSG;
                r = restore_record(registry, p + sizeof(header), length);
                if (r < 0)
                        return r;
                p += sizeof(header) + length;
                n -= sizeof(header) + length;
        }
        return 0;
}

/* All n bytes, or -EBADMSG. */
static int read_all(int fd, void *data, size_t n, uint64_t offset) {
        uint8_t *p = data;

        while (n > 0) {
                ssize_t k = pread(fd, p, n, (off_t) offset);

                if (k <= 0)
                        return -EBADMSG;
                p += k;
                n -= (size_t) k;
                offset += (size_t) k;
        }
        return 0;
}

static int restore_file(struct registry *registry, int fd) {
        _cleanup_(freep) uint8_t *records = NULL;
        uint8_t head[RECORDS_AT];
        uint64_t begin, size;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return -EBADMSG;
        r = read_all(fd, head, sizeof(head), 0);
        if (r < 0)
                return r;
        memcpy(&begin, head + BEGIN_AT, sizeof(begin));
        begin = le64toh(begin);
        size = (uint64_t) st.st_size;
        if (memcmp(head, MAGIC, BEGIN_AT) != 0 || begin < RECORDS_AT || begin > size ||
                        size - begin > RECORDS_MAX)
                return -EBADMSG;

        records = malloc(MAX(size - begin, UINT64_C(1)));
        if (!records)
                return -ENOMEM;
        r = read_all(fd, records, size - begin, begin);
        return r < 0 ? r : restore_records(registry, records, size - begin);
}

int registry_store_read(struct registry *registry, int fd) {
        int r;

        r = restore_file(registry, fd);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                log_warning("The registry that was kept is damaged; going on with %zu entries of it.",
                                registry_count(registry));
        return (int) registry_count(registry);
}
