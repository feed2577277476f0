/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "authorize.h"

#include "list.h"

/* People who reload at once. */
#define QUESTIONS_MAX 16
/* For the bus daemon, and polkit, which may have to be started. */
#define ANSWER_USEC (25 * USEC_PER_SEC)
/* Where the caller lets polkit ask somebody for a password. */
#define INTERACTIVE_USEC (120 * USEC_PER_SEC)

#define ALLOW_USER_INTERACTION 1 /* CheckAuthorizationFlags of polkit's interface */

struct authorizer {
        struct bus *bus;
        struct list questions;
        size_t n_questions;
};

struct question {
        struct authorizer *authorizer;
        struct list questions;
        sd_bus_message *call;
        sd_bus_slot *slot; /* of what is asked at present */
        const char *action;
        uint32_t uid;
        void (*allowed)(sd_bus_message *call, uint32_t uid, void *userdata);
        void *userdata;
};

int authorizer_new(struct authorizer **ret, struct bus *bus) {
        struct authorizer *authorizer = calloc(1, sizeof(*authorizer));

        if (!authorizer)
                return -ENOMEM;
        authorizer->bus = bus;
        list_init(&authorizer->questions);
        *ret = authorizer;
        return 0;
}

static void question_free(struct question *question) {
        list_remove(&question->questions);
        question->authorizer->n_questions--;
        sd_bus_slot_unref(question->slot);
        sd_bus_message_unref(question->call);
        free(question);
}

void authorizer_drop(struct authorizer *authorizer) {
        while (!list_is_empty(&authorizer->questions))
                question_free(LIST_FIRST(&authorizer->questions, struct question, questions));
}

struct authorizer *authorizer_free(struct authorizer *authorizer) {
        if (!authorizer)
                return NULL;
        authorizer_drop(authorizer);
        free(authorizer);
        return NULL;
}

static void allow(struct question *question) {
        question->allowed(question->call, question->uid, question->userdata);
        question_free(question);
}

static void deny(struct question *question, const char *name, const char *why) {
        (void) sd_bus_reply_method_errorf(
                        question->call, name, "Not permitted (%s): %s.", question->action, why);
        question_free(question);
}

static int on_polkit(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error) {
        struct question *question = userdata;
        int authorized, challenge;

        if (sd_bus_message_is_method_error(answer, NULL)) {
                deny(question, SD_BUS_ERROR_ACCESS_DENIED, "polkit, which would know, does not say");
                return 0;
        }
        if (sd_bus_message_enter_container(answer, 'r', "bba{ss}") < 0 ||
                        sd_bus_message_read(answer, "bb", &authorized, &challenge) < 0)
                deny(question, SD_BUS_ERROR_ACCESS_DENIED, "polkit's answer makes no sense");
        else if (authorized)
                allow(question);
        else if (challenge && !sd_bus_message_get_allow_interactive_authorization(question->call))
                deny(question, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                "somebody would have to authenticate");
        else
                deny(question, SD_BUS_ERROR_ACCESS_DENIED, "polkit denies it");
        return 0;
}

/* As the subject, who calls: a name of the bus, which cannot become another's. */
static int ask_polkit(struct question *question) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        bool interactive = sd_bus_message_get_allow_interactive_authorization(question->call) > 0;
        sd_bus *connection = bus_connection(question->authorizer->bus);
        int r;

        if (!connection)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(connection, &m, "org.freedesktop.PolicyKit1",
                        "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority",
                        "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                        sd_bus_message_get_sender(question->call), question->action, 0,
                        interactive ? ALLOW_USER_INTERACTION : 0, "");
        if (r < 0)
                return r;
        question->slot = sd_bus_slot_unref(question->slot);
        return sd_bus_call_async(connection, &question->slot, m, on_polkit, question,
                        interactive ? INTERACTIVE_USEC : ANSWER_USEC);
}

static int on_uid(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error) {
        struct question *question = userdata;

        if (sd_bus_message_is_method_error(answer, NULL) ||
                        sd_bus_message_read(answer, "u", &question->uid) < 0)
                deny(question, SD_BUS_ERROR_ACCESS_DENIED, "the bus does not say who calls");
        else if (question->uid == 0 || question->uid == geteuid())
                allow(question);
        else if (ask_polkit(question) < 0)
                deny(question, SD_BUS_ERROR_ACCESS_DENIED, "polkit cannot be asked");
        return 0;
}

int authorizer_ask(struct authorizer *authorizer, sd_bus_message *call, const char *action,
                void (*allowed)(sd_bus_message *call, uint32_t uid, void *userdata), void *userdata) {
        sd_bus *connection = bus_connection(authorizer->bus);
        struct question *question;
        int r;

        if (!connection)
                return -ENOTCONN;
        if (authorizer->n_questions >= QUESTIONS_MAX)
                return -EBUSY;
        question = malloc(sizeof(*question));
        if (!question)
                return -ENOMEM;
        *question = (struct question){
                .authorizer = authorizer,
                .call = sd_bus_message_ref(call),
                .action = action,
                .allowed = allowed,
                .userdata = userdata,
        };
        list_append(&authorizer->questions, &question->questions);
        authorizer->n_questions++;
        r = sd_bus_call_method_async(connection, &question->slot, "org.freedesktop.DBus",
                        "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixUser", on_uid,
                        question, "s", sd_bus_message_get_sender(call));
        if (r < 0) {
                question_free(question);
                return r;
        }
        return 1;
}
