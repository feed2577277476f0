/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sysinfo.h"
#include "arena.h"
#include "call.h"
#include "command.h"
#include "log.h"
#include "text.h"

#include "stats.pb-c.h"

#include <dirent.h>

/* UEFI 2.10, 3.3 "Globally Defined Variables": the vendor of SecureBoot and SetupMode. */
#define EFI_GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"
/* efivarfs: a variable's attributes stand before its value. */
#define EFI_ATTRIBUTES_BYTES 4

#define VERSION_FILE      "/etc/ghaf-version"
#define VERSION_BYTES_MAX 256
#define VERSION_USEC      (5 * USEC_PER_SEC)

struct sysinfo_call {
        struct rpc_call *call;
        struct command *command;
};

/* ---- firmware and disks ---- */

/* A variable of one byte: 0 or 1. */
static int read_efi_flag(const char *efi, const char *name) {
        _cleanup_(freep) char *path = NULL, *bytes = NULL;
        size_t n;
        int r;

        path = text_printf("%s/efivars/%s-" EFI_GLOBAL, efi, name);
        if (!path)
                return -ENOMEM;
        r = text_read_file(path, VERSION_BYTES_MAX, &bytes, &n);
        if (r < 0)
                return r;
        return n == EFI_ATTRIBUTES_BYTES + 1 ? bytes[EFI_ATTRIBUTES_BYTES] == 1 : -EBADMSG;
}

int sysinfo_secure_boot(const char *efi) {
        int enabled, setup;

        if (access(efi, F_OK) < 0)
                return -errno;
        enabled = read_efi_flag(efi, "SecureBoot");
        if (enabled == -ENOENT)
                return 0; /* firmware that does not know it */
        if (enabled <= 0)
                return enabled;
        setup = read_efi_flag(efi, "SetupMode");
        return setup < 0 && setup != -ENOENT ? setup : setup != 1;
}

/* dm-crypt's devices have an UUID that says so; other block devices have none. */
static int is_encrypted(const char *class, const char *device) {
        _cleanup_(freep) char *path = NULL, *uuid = NULL;
        int r;

        path = text_printf("%s/%s/dm/uuid", class, device);
        if (!path)
                return -ENOMEM;
        r = text_read_file(path, VERSION_BYTES_MAX, &uuid, NULL);
        if (r == -ENOENT || r == -ENOTDIR)
                return 0;
        return r < 0 ? r : startswith(uuid, "CRYPT-") != NULL;
}

static void closedirp(DIR **directory) {
        if (*directory)
                closedir(*directory);
}

int sysinfo_disk_encrypted(const char *class) {
        _cleanup_(closedirp) DIR *directory = NULL;
        struct dirent *entry;
        int result = 0;

        directory = opendir(class);
        if (!directory)
                return -errno;
        while ((entry = readdir(directory))) {
                int r = startswith(entry->d_name, "dm-") ? is_encrypted(class, entry->d_name) : 0;

                if (r > 0)
                        return r;
                result = r < 0 ? r : result;
        }
        return result;
}

/* ---- the answer ---- */

/* The first line, in the arena; "" where it is not text. */
static char *first_line(struct arena *arena, const char *text, size_t n) {
        const char *end = memchr(text, '\n', n);
        size_t length = end ? (size_t) (end - text) : n;

        if (!text_is_utf8(text, length) || memchr(text, '\0', length))
                length = 0;
        return arena_memdup_text(arena, text, length);
}

static void reply(struct rpc_call *call, const char *version, size_t n) {
        Stats__SysinfoResponse response = STATS__SYSINFO_RESPONSE__INIT;
        int secure_boot = sysinfo_secure_boot("/sys/firmware/efi"),
            encrypted = sysinfo_disk_encrypted("/sys/class/block");

        response.ghafversion = first_line(rpc_call_arena(call), version, n);
        if (!response.ghafversion) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        if (secure_boot >= 0) {
                response.secure_boot_presence_case =
                                STATS__SYSINFO_RESPONSE__SECURE_BOOT_PRESENCE_SECURE_BOOT;
                response.secureboot = secure_boot > 0;
        }
        if (encrypted >= 0) {
                response.disk_encrypted_presence_case =
                                STATS__SYSINFO_RESPONSE__DISK_ENCRYPTED_PRESENCE_DISK_ENCRYPTED;
                response.diskencrypted = encrypted > 0;
        }
        rpc_call_reply(call, &response.base);
}

static void reply_from_file(struct rpc_call *call) {
        _cleanup_(freep) char *text = NULL;
        size_t n = 0;

        if (text_read_file(VERSION_FILE, VERSION_BYTES_MAX, &text, &n) < 0)
                n = 0;
        reply(call, strempty(text), n);
}

static void version_told(struct command *command, const struct command_result *result, void *userdata) {
        struct sysinfo_call *pending = userdata;
        struct rpc_call *call = pending->call;

        if (result->error == 0 && result->code == CLD_EXITED && result->status == 0)
                reply(call, (const char *) (result->output ?: (const uint8_t *) ""), result->n_output);
        else {
                log_debug("ghaf-version has not told the version.");
                reply(call, "", 0);
        }
        command_free(command);
}

static void call_gone(_unused_ struct rpc_call *call, void *userdata) {
        struct sysinfo_call *pending = userdata;

        command_free(pending->command);
}

void sysinfo_answer(struct rpc_call *call, sd_event *event) {
        static const struct rpc_call_ops ops = { .gone = call_gone };
        const struct command_spec spec = {
                .argv = (char *[]){ (char *) "ghaf-version", NULL },
                .output_max = VERSION_BYTES_MAX,
                .timeout_usec = VERSION_USEC,
        };
        struct sysinfo_call *pending;
        int r;

        pending = arena_alloc0(rpc_call_arena(call), sizeof(*pending));
        if (!pending) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        pending->call = call;
        r = command_new(&pending->command, event, &spec, version_told, pending);
        if (r < 0) {
                reply_from_file(call);
                return;
        }
        rpc_call_set_ops(call, &ops, pending);
}
