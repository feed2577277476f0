/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What peers ask of an agent that it hands on to programs: a command with its variables (the first byte: 0,
 * or 1 where the configuration lists which there may be), and a notification (2).
 */
#include "fuzz.h"

#include "exec-start.h"
#include "message.h"
#include "notify.h"
#include "text.h"

#include <jansson.h>

#define ARENA_BYTES (1024 * 1024)

static char *commands[] = { (char *) "/bin/a", (char *) "/bin/b", NULL };
static char *variables[] = { (char *) "LC_*", (char *) "COLOUR", (char *) "LD_LIBRARY_PATH", NULL };

/* ---- commands ---- */

static void check_variable(const char *variable, bool listed) {
        static const char *const harmful[] = { "LD_PRELOAD=", "LD_LIBRARY_PATH=", "BASH_ENV=", "IFS=",
                "PATH=", "PYTHONPATH=", "GIT_SSH=", "HOME=" };
        const char *value = strchr(variable, '=');

        must(value && value > variable, "a variable has a name");
        for (const char *p = variable; p < value; p++)
                must((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '_' ||
                                                (p > variable && *p >= '0' && *p <= '9'),
                                "which is one of a shell's");
        for (size_t i = 0; !listed && i < ELEMENTSOF(harmful); i++)
                must(!startswith(variable, harmful[i]), "nothing changes what is run");
        must(!listed || startswith(variable, "LC_") || startswith(variable, "COLOUR=") ||
                                        startswith(variable, "LD_LIBRARY_PATH="),
                        "it is one of those that are listed");
}

static void try_exec(const Exec__StartCommand *start, bool listed, struct arena *arena) {
        const struct config config = { .exec = { .commands = commands,
                                                       .variables = listed ? variables : NULL } };
        const char *refusal = exec_start_refusal(start, &config, arena);
        char **argv, **environment;
        size_t n = 0;

        if (refusal) {
                must(text_is_utf8(refusal, strlen(refusal)), "a refusal is a text");
                return;
        }
        argv = exec_start_argv(start, arena);
        environment = exec_start_environment(start, arena);
        must(argv && environment, "there is memory");
        must(streq(argv[0], commands[0]) || streq(argv[0], commands[1]), "what is run is listed");
        while (argv[n])
                n++;
        must(n == 1 + start->n_arguments, "it has its arguments");
        for (n = 0; n < start->n_envvars; n++)
                check_variable(environment[n], listed);
        must(environment[n] && startswith(environment[n], "PATH=") && !environment[n + 1],
                        "and a path, which is ours");
}

/* ---- notifications ---- */

static void check_text(const json_t *object, const char *key, const char *text) {
        const char *told = json_string_value(json_object_get(object, key));

        must(streq(strempty(told), text), "a text is told as it is");
}

static void try_notification(const Notify__UserNotification *notification) {
        _cleanup_(freep) char *text = notify_json(notification);
        json_t *object = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

        must(json_is_object(object) && !strchr(text, '\n'), "it is an object, in a line");
        check_text(object, "Event", notification->event);
        check_text(object, "Title", notification->title);
        check_text(object, "Icon", notification->icon);
        check_text(object, "Message", notification->message);
        json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t which = take_byte(&data, &size) % 3;
        _cleanup_(arena_clear) struct arena arena = {};
        ProtobufCMessage *message;

        arena_init(&arena, ARENA_BYTES);
        if (message_decode(which == 2 ? &notify__user_notification__descriptor
                                      : &exec__start_command__descriptor,
                            data, size, &arena, &message) < 0)
                return 0;
        if (which == 2)
                try_notification((const Notify__UserNotification *) message);
        else
                try_exec((const Exec__StartCommand *) message, which == 1, &arena);
        return 0;
}
