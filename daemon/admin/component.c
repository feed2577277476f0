/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "component.h"

/* contract.md "Component types": Host has no VM unit, so that the numbers start with its Mgr. */
#define FIRST_NUMBER 1
#define LAST_TYPE    14

int component_type_from_wire(uint32_t number, struct component_type *ret) {
        if (number > LAST_TYPE)
                return -EINVAL;
        *ret = (struct component_type){
                .vm = (enum component_vm)((number + FIRST_NUMBER) / 4),
                .service = (enum component_service)((number + FIRST_NUMBER) % 4),
        };
        return 0;
}

uint32_t component_type_to_wire(struct component_type type) {
        return (uint32_t) type.vm * 4 + (uint32_t) type.service - FIRST_NUMBER;
}

const char *component_vm_text(enum component_vm vm) {
        static const char *const texts[] = {
                [COMPONENT_HOST] = "Host",
                [COMPONENT_ADMVM] = "AdmVM",
                [COMPONENT_SYSVM] = "SysVM",
                [COMPONENT_APPVM] = "AppVM",
        };

        return texts[vm];
}

const char *component_service_text(enum component_service service) {
        static const char *const texts[] = {
                [COMPONENT_VM] = "VM",
                [COMPONENT_MGR] = "Mgr",
                [COMPONENT_SVC] = "Svc",
                [COMPONENT_APP] = "App",
        };

        return texts[service];
}

/* Every word of systemd.unit's load, active, sub and freezer states (systemctl --state=help), sorted. */
static const char *const words[] = {
        "", /* 0: none of these */
        "abandoned",
        "activating",
        "activating-done",
        "active",
        "auto-restart",
        "auto-restart-queued",
        "bad-setting",
        "cleaning",
        "condition",
        "dead",
        "dead-before-auto-restart",
        "dead-resources-pinned",
        "deactivating",
        "deactivating-sigkill",
        "deactivating-sigterm",
        "elapsed",
        "error",
        "exited",
        "failed",
        "failed-before-auto-restart",
        "final-sigkill",
        "final-sigterm",
        "final-watchdog",
        "freezing",
        "freezing-by-parent",
        "frozen",
        "frozen-by-parent",
        "inactive",
        "listening",
        "loaded",
        "maintenance",
        "masked",
        "merged",
        "mounted",
        "mounting",
        "mounting-done",
        "not-found",
        "plugged",
        "refreshing",
        "reload",
        "reload-notify",
        "reload-signal",
        "reloading",
        "remounting",
        "remounting-sigkill",
        "remounting-sigterm",
        "running",
        "start",
        "start-chown",
        "start-post",
        "start-pre",
        "stop",
        "stop-post",
        "stop-pre",
        "stop-pre-sigkill",
        "stop-pre-sigterm",
        "stop-sigkill",
        "stop-sigterm",
        "stop-watchdog",
        "stub",
        "tentative",
        "thawing",
        "unmounting",
        "unmounting-sigkill",
        "unmounting-sigterm",
        "waiting",
};

static int compare_word(const void *text, const void *word) {
        return strcmp(text, *(const char *const *) word);
}

static uint8_t word_index(const char *text) {
        const char *const *found;

        found = bsearch(text, words, ELEMENTSOF(words), sizeof(words[0]), compare_word);
        return found ? (uint8_t) (found - words) : 0;
}

const char *component_word(const char *text) {
        uint8_t index = word_index(text);

        return index > 0 ? words[index] : "unknown";
}

static bool word_is(uint8_t index, const char *text) {
        return streq(words[index], text);
}

struct component_state component_state_from_wire(const Systemd__UnitStatus *status) {
        return (struct component_state){
                .load = word_index(status->loadstate),
                .active = word_index(status->activestate),
                .sub = word_index(status->substate),
                .freezer = word_index(status->freezerstate),
        };
}

void component_state_to_wire(struct component_state state, Systemd__UnitStatus *status) {
        status->loadstate = (char *) words[state.load];
        status->activestate = (char *) words[state.active];
        status->substate = (char *) words[state.sub];
        status->freezerstate = (char *) words[state.freezer];
}

bool component_state_equal(struct component_state a, struct component_state b) {
        return a.load == b.load && a.active == b.active && a.sub == b.sub && a.freezer == b.freezer;
}

const char *component_state_text(struct component_state state) {
        if (word_is(state.freezer, "frozen"))
                return "Paused";
        if (word_is(state.load, "loaded") && word_is(state.active, "active") &&
                        word_is(state.sub, "running"))
                return "Running";
        return "PoweredOff";
}

bool component_state_is_down(struct component_state state) {
        return word_is(state.active, "inactive") || word_is(state.active, "failed");
}

bool component_state_is_failed(struct component_state state) {
        return word_is(state.active, "failed");
}

bool component_state_is_up(struct component_state state) {
        return word_is(state.active, "active") || word_is(state.active, "reloading") ||
                        word_is(state.active, "refreshing");
}

bool component_state_is_starting(struct component_state state) {
        return word_is(state.active, "activating") && !word_is(state.sub, "auto-restart") &&
                        !word_is(state.sub, "auto-restart-queued");
}
