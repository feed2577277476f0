/* SPDX-License-Identifier: GPL-2.0-or-later */
/* is-online: whether a VM's agent answers, until it does, or each time that this changes. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "roster.h"
#include "session.h"
#include "text.h"
#include "unit-name.h"

struct look {
        struct session *session;
        const struct options *options;
        struct roster roster;
        const char *name; /* of the agent */
        bool waits;
        bool answered, online, registered; /* as was last shown */
        bool over;                         /* what comes until the loop has ended is not looked at */
};

static void look_clear(struct look *look) {
        session_clear_calls(look->session);
        roster_clear(&look->roster);
}

static const Admin__QueryListItem *find_agent(const struct look *look) {
        for (size_t i = 0; i < look->roster.n; i++)
                if (streq(look->roster.items[i]->name, look->name))
                        return look->roster.items[i];
        return NULL;
}

static bool is_online(const Admin__QueryListItem *agent) {
        return agent && (!agent->online_presence_case || agent->online);
}

static const char *state(const struct look *look) {
        return look->online ? "online" : look->registered ? "offline" : "not registered";
}

static void print(const struct look *look) {
        const char *vm = look->options->arguments[0];

        if (look->options->json)
                output_json(stdout, json_pack("{s:s,s:b}", "vm", vm, "online", look->online));
        else
                puts(state(look));
        session_flush(look->session);
}

/* Prints what is to be known of it; false: it is to go on. */
static bool judge(struct look *look) {
        const Admin__QueryListItem *agent = find_agent(look);
        bool changed = !look->answered || look->online != is_online(agent) || look->registered != !!agent;

        look->answered = true;
        look->online = is_online(agent);
        look->registered = agent;
        if (look->options->monitor) {
                if (changed)
                        print(look);
                return false;
        }
        if (!look->online && look->waits)
                return false;
        print(look);
        return true;
}

static void on_told(struct session *session, const ProtobufCMessage *message, void *userdata) {
        struct look *look = userdata;
        int r;

        if (look->over)
                return;
        r = roster_keep(&look->roster, (const Admin__WatchItem *) message);
        look->over = r < 0 || judge(look);
        if (r < 0)
                session_end(session, fail_errno(r, "cannot keep the list of entries"));
        else if (look->over)
                session_end(session, look->online ? EXIT_DONE : EXIT_FAILED);
}

/* That it took too long is no failure of the registry's. */
static int on_done(struct session *session, const struct rpc_status *status,
                const ProtobufCMessage *response _unused_, void *userdata) {
        const struct look *look = userdata;
        bool waited = status->code == RPC_DEADLINE_EXCEEDED && look->answered;
        _cleanup_(freep) char *what = NULL;

        if (waited)
                what = text_printf("cannot wait for %s", look->options->arguments[0]);
        session_fail_waiting(session, what ?: "cannot watch the registry", status,
                        waited ? state(look) : NULL, "online");
        return EXIT_DONE;
}

static int look_run(struct look *look) {
        int r = session_watch(look->session, on_told, on_done, look, look->options->monitor);

        return r == EXIT_DONE ? session_run(look->session) : r;
}

int verb_is_online(struct session *session, const struct options *options) {
        _cleanup_(freep) char *name = text_printf("givc-%s.service", options->arguments[0]);
        _cleanup_(look_clear) struct look look = {
                .session = session,
                .options = options,
                .name = name,
                .waits = options->wait || options->monitor,
        };
        int r = vm_name_check(options->arguments[0]);

        if (!name)
                return fail_errno(-ENOMEM, options->arguments[0]);
        session->watches_output = options->monitor;
        return r == EXIT_DONE ? look_run(&look) : r;
}
