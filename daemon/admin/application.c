/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "application.h"

#include "log.h"
#include "message-ids.h"
#include "run-result.h"
#include "text.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
/* "@", a number and ".service" follow. */
#define NAME_MAX_BYTES 200
/* systemd's longest word for a result has 20. */
#define RESULT_MAX_BYTES 32

bool application_name_is_valid(const char *name) {
        size_t n = strlen(name);

        return n > 0 && n <= NAME_MAX_BYTES && strspn(name, NAME_CHARACTERS) == n;
}

int application_instance_number(const char *unit) {
        const char *at = strchr(unit, '@');
        char digits[sizeof("8000")] = "";
        uint64_t number;
        size_t n;

        if (!at)
                return -EINVAL;
        n = strspn(++at, "0123456789");
        if (n == 0 || n >= sizeof(digits) || !streq(at + n, ".service"))
                return -EINVAL;
        memcpy(digits, at, n);
        return text_to_uint(digits, REGISTRY_ENTRIES_MAX, &number) < 0 ? -EINVAL : (int) number;
}

bool application_is_meant(const char *unit, const char *name) {
        const char *rest = startswith(unit, name);

        return rest && (strchr(name, '@') || *rest == '@') && !isempty(name);
}

const char *application_vm(const Admin__ApplicationRequest *request) {
        bool named = request->vm_name_presence_case == ADMIN__APPLICATION_REQUEST__VM_NAME_PRESENCE_VM_NAME;

        return named && !isempty(request->vmname) ? request->vmname : NULL;
}

/* The agent's word, which is shown: one of systemd's, or none. */
static const char *result_word(const Systemd__UnitStatus *status) {
        size_t n = strspn(status->result, "abcdefghijklmnopqrstuvwxyz-");

        return status->result[n] == '\0' && n <= RESULT_MAX_BYTES ? status->result : "";
}

static struct run_result end_result(const struct registry_entry *entry) {
        return (struct run_result){
                .result = result_word(entry->ended),
                .exit_code = entry->ended->exitcode,
                .exit_status = entry->ended->exitstatus,
        };
}

char *application_end_text(const struct registry_entry *entry) {
        const struct run_result result = end_result(entry);

        return run_result_text(&result);
}

void application_log_end(const struct registry_entry *entry) {
        const struct run_result result = end_result(entry);
        bool failed = run_result_is_failure(&result) || streq(entry->ended->activestate, "failed");
        const struct log_fields fields = {
                .message_id = failed ? GIVC_MESSAGE_APPLICATION_FAILED : GIVC_MESSAGE_APPLICATION_ENDED,
                .vm = entry->agent->vm,
                .unit = entry->name,
                .result = result.result,
        };
        _cleanup_(freep) char *text = NULL;
        unsigned suppressed;

        if (!ratelimit_pass(&entry->agent->limits.ends, &suppressed))
                return;
        if (suppressed > 0)
                log_notice("%u more ends of applications in %s were not logged.", suppressed,
                                entry->agent->vm);
        text = application_end_text(entry);
        log_event(failed ? LOG_WARNING : LOG_INFO, &fields, "Application %s in %s has %s: %s.", entry->name,
                        entry->agent->vm, failed ? "failed" : "ended", strempty(text));
}
