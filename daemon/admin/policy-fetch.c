/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-fetch.h"

#include "child.h"
#include "list.h"
#include "log.h"
#include "message-ids.h"
#include "text.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

/* What a server may take; the program gives up by itself a little earlier, and says why. */
#define FETCH_USEC (120 * USEC_PER_SEC)
/* The pauses after failures. */
#define RETRY_MIN_USEC (5 * USEC_PER_SEC)
#define RETRY_MAX_USEC (3600 * USEC_PER_SEC)
/* What is told of why one failed. */
#define REASON_MAX 512

struct source {
        struct list sources;
        struct policy_fetch *owner;
        const struct policy *policy;
        char *directory;
        struct child *child;    /* NULL: none is under way */
        int reason;             /* what it writes on standard error */
        sd_event_source *timer; /* the next attempt or, while one is under way, its end */
        uint64_t retry_usec;    /* the next pause after a failure */
        bool again;             /* asked for while one is under way */
};

struct policy_fetch {
        sd_event *event;
        struct list sources;
        policy_fetched_t fetched;
        void *userdata;
};

static void source_free(struct source *source) {
        list_remove(&source->sources);
        child_free(source->child);
        close_fd(source->reason);
        sd_event_source_disable_unref(source->timer);
        free(source->directory);
        free(source);
}

static void arm(struct source *source, uint64_t usec) {
        (void) sd_event_source_set_time_relative(source->timer, usec);
        (void) sd_event_source_set_enabled(source->timer, SD_EVENT_ONESHOT);
}

/* Up to a tenth longer, so that not all machines of the world come at the same moment. */
static uint64_t with_jitter(uint64_t usec) {
        uint32_t random = 0;

        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
                random = 0;
        return usec + usec / 10 * (random % 1000) / 1000;
}

/* ---- the end of one ---- */

/* The pauses grow, and with them those between the lines in the journal. */
static void failed(struct source *source, const char *reason) {
        const struct log_fields fields = { .message_id = GIVC_MESSAGE_POLICY_NOT_FETCHED };

        log_event(LOG_WARNING, &fields, "The policy %s could not be fetched: %s. Trying again in %u s.",
                        source->policy->name, reason, (unsigned) (source->retry_usec / USEC_PER_SEC));
        arm(source, with_jitter(source->retry_usec));
        source->retry_usec = MIN(source->retry_usec * 2, RETRY_MAX_USEC);
}

static void ended(struct source *source, int code, int status) {
        char text[REASON_MAX];
        _cleanup_(freep) char *shown = NULL;
        ssize_t n;

        n = pread(source->reason, text, sizeof(text), 0);
        source->reason = close_fd(source->reason);
        source->child = child_free(source->child);
        if (code == CLD_EXITED && (status == POLICY_FETCH_CHANGED || status == POLICY_FETCH_SAME)) {
                source->retry_usec = RETRY_MIN_USEC;
                arm(source, with_jitter(source->policy->poll_usec));
                log_debug("The policy %s was fetched: %s.", source->policy->name,
                                status == POLICY_FETCH_SAME ? "it is what it was" : "it is another");
                if (status == POLICY_FETCH_CHANGED)
                        source->owner->fetched(source->policy, source->owner->userdata);
                return;
        }
        while (n > 0 && text[n - 1] == '\n')
                n--;
        shown = n > 0 ? text_escape(text, (size_t) n, REASON_MAX) : NULL;
        failed(source, shown ?: "the program that fetches has died");
}

/* ---- the beginning of one ---- */

static void exited(struct child *child, int code, int status, void *userdata);

static int start(struct source *source) {
        char *environment[] = { NULL };
        char *argv[] = { (char *) POLICY_FETCH_PROGRAM, source->policy->url, source->directory, NULL };
        struct child_spec spec = {
                .path = POLICY_FETCH_PROGRAM,
                .argv = argv,
                .environment = environment,
                .stdin_fd = -1,
                .stdout_fd = -1,
        };
        int r;

        if (mkdir(source->directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        source->reason = memfd_create("givc-policy-fetch", MFD_CLOEXEC);
        if (source->reason < 0)
                return -errno;
        spec.stderr_fd = source->reason;
        r = child_new(&source->child, source->owner->event, &spec, exited, source);
        if (r < 0)
                source->reason = close_fd(source->reason);
        return r;
}

static void fetch(struct source *source) {
        int r;

        r = start(source);
        if (r < 0)
                failed(source, strerror(-r));
        else
                arm(source, FETCH_USEC);
}

/* What was asked for meanwhile may be newer than what has come. */
static void fetch_again(struct source *source) {
        if (!source->again)
                return;
        source->again = false;
        fetch(source);
}

static void exited(struct child *child, int code, int status, void *userdata) {
        struct source *source = userdata;

        ended(source, code, status);
        fetch_again(source);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata) {
        struct source *source = userdata;

        if (!source->child) {
                fetch(source);
                return 0;
        }
        source->child = child_free(source->child);
        source->reason = close_fd(source->reason);
        failed(source, "it takes too long");
        fetch_again(source);
        return 0;
}

void policy_fetch_now(struct policy_fetch *fetch_all) {
        struct source *source;

        if (!fetch_all)
                return;
        LIST_FOREACH(source, &fetch_all->sources, sources) {
                source->retry_usec = RETRY_MIN_USEC;
                if (source->child)
                        source->again = true;
                else
                        fetch(source);
        }
}

/* ---- life ---- */

static int add_source(struct policy_fetch *fetch_all, const struct policies *policies,
                const struct policy *policy) {
        struct source *source;
        int r;

        source = calloc(1, sizeof(*source));
        if (!source)
                return -ENOMEM;
        *source = (struct source){
                .owner = fetch_all, .policy = policy, .reason = -1, .retry_usec = RETRY_MIN_USEC
        };
        list_append(&fetch_all->sources, &source->sources);
        source->directory = text_printf("%s/%s", policies->fetched_directory, policy->name);
        if (!source->directory)
                return -ENOMEM;
        r = sd_event_add_time(fetch_all->event, &source->timer, CLOCK_MONOTONIC, 0, 0, on_timer, source);
        return r < 0 ? r : 0;
}

int policy_fetch_new(struct policy_fetch **ret, sd_event *event, const struct policies *policies,
                policy_fetched_t fetched, void *userdata) {
        _cleanup_(policy_fetch_freep) struct policy_fetch *fetch_all = NULL;
        int r;

        fetch_all = calloc(1, sizeof(*fetch_all));
        if (!fetch_all)
                return -ENOMEM;
        *fetch_all = (struct policy_fetch){ .event = event, .fetched = fetched, .userdata = userdata };
        list_init(&fetch_all->sources);
        if (mkdir(policies->fetched_directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        for (size_t i = 0; i < policies->n_policies; i++) {
                if (!policies->policies[i].url)
                        continue;
                r = add_source(fetch_all, policies, &policies->policies[i]);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(fetch_all);
        return 0;
}

struct policy_fetch *policy_fetch_free(struct policy_fetch *fetch_all) {
        struct source *source, *next;

        if (!fetch_all)
                return NULL;
        LIST_FOREACH_SAFE(source, next, &fetch_all->sources, sources)
                source_free(source);
        free(fetch_all);
        return NULL;
}
