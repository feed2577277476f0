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
        const struct policy *policy; /* NULL: all of them */
        uint64_t poll_usec;
        char *directory;
        char *url;              /* POLICY_FETCH_URL=… */
        char **argv;            /* NULL-terminated; the texts are others' */
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
        free(source->url);
        free(source->argv);
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

static void arm_poll(struct source *source) {
        if (source->poll_usec > 0)
                arm(source, with_jitter(source->poll_usec));
        else
                (void) sd_event_source_set_enabled(source->timer, SD_EVENT_OFF);
}

/* ---- the end of one ---- */

/* As a line's beginning and, with the policy's name, its second part. */
static const char *subject(const struct source *source) {
        return source->policy ? "The policy " : "The policies";
}

static const char *subject_name(const struct source *source) {
        return source->policy ? source->policy->name : "";
}

/* The pauses grow, and with them those between the lines in the journal. */
static void failed(struct source *source, const char *reason) {
        const struct log_fields fields = { .message_id = GIVC_MESSAGE_POLICY_NOT_FETCHED };

        log_event(LOG_WARNING, &fields, "%s%s could not be fetched: %s. Trying again in %u s.",
                        subject(source), subject_name(source), reason,
                        (unsigned) (source->retry_usec / USEC_PER_SEC));
        arm(source, with_jitter(source->retry_usec));
        source->retry_usec = MIN(source->retry_usec * 2, RETRY_MAX_USEC);
}

/* note: of which version, or NULL. */
static void succeeded(struct source *source, bool changed, const char *note) {
        source->retry_usec = RETRY_MIN_USEC;
        arm_poll(source);
        if (!changed) {
                log_debug("%s%s fetched: nothing has changed.", subject(source), subject_name(source));
                return;
        }
        log_info("%s%s changed%s%s.", subject(source), subject_name(source), note ? ": " : "",
                        strempty(note));
        source->owner->fetched(source->policy, source->owner->userdata);
}

/* The line that it has written, fit for the journal, or NULL. */
static char *read_line(int fd) {
        char text[REASON_MAX];
        ssize_t n = pread(fd, text, sizeof(text), 0);

        while (n > 0 && text[n - 1] == '\n')
                n--;
        return n > 0 ? text_escape(text, (size_t) n, REASON_MAX) : NULL;
}

static void ended(struct source *source, int code, int status) {
        _cleanup_(freep) char *line = read_line(source->reason);

        source->reason = close_fd(source->reason);
        source->child = child_free(source->child);
        if (code == CLD_EXITED && (status == POLICY_FETCH_CHANGED || status == POLICY_FETCH_SAME))
                succeeded(source, status == POLICY_FETCH_CHANGED, line);
        else
                failed(source, line ?: "the program that fetches has died");
}

/* ---- the beginning of one ---- */

static void exited(struct child *child, int code, int status, void *userdata);

static int start(struct source *source) {
        char *environment[] = { source->url, NULL };
        struct child_spec spec = {
                .path = source->argv[0],
                .argv = source->argv,
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

/* directory: the source's from now on; NULL: there was no memory for it. The arguments are yet to come. */
static int add_source(struct source **ret, struct policy_fetch *fetch_all, char *directory,
                const char *program, size_t n_arguments, const char *url) {
        struct source *source;
        int r;

        source = calloc(1, sizeof(*source));
        if (!source) {
                free(directory);
                return -ENOMEM;
        }
        *source = (struct source){
                .owner = fetch_all, .directory = directory, .reason = -1, .retry_usec = RETRY_MIN_USEC
        };
        list_append(&fetch_all->sources, &source->sources);
        source->url = text_printf(POLICY_FETCH_URL "=%s", url);
        source->argv = calloc(n_arguments + 2, sizeof(char *));
        if (!directory || !source->url || !source->argv)
                return -ENOMEM;
        source->argv[0] = (char *) program;
        *ret = source;
        r = sd_event_add_time(fetch_all->event, &source->timer, CLOCK_MONOTONIC, 0, 0, on_timer, source);
        return r < 0 ? r : 0;
}

static int add_url(struct policy_fetch *fetch_all, const struct policies *policies,
                const struct policy *policy) {
        struct source *source;
        int r;

        r = add_source(&source, fetch_all, text_printf("%s/%s", policies->fetched_directory, policy->name),
                        POLICY_FETCH_PROGRAM, 1, policy->url);
        if (r < 0)
                return r;
        source->policy = policy;
        source->poll_usec = policy->poll_usec;
        source->argv[1] = source->directory;
        return 0;
}

static int add_repository(struct policy_fetch *fetch_all, const struct policies *policies) {
        struct source *source;
        int r;

        r = add_source(&source, fetch_all, strdup(policies->fetched_directory), POLICY_GIT_PROGRAM,
                        2 + policies->n_policies, policies->git_url);
        if (r < 0)
                return r;
        source->poll_usec = policies->git_poll_usec;
        source->argv[1] = policies->git_ref;
        source->argv[2] = source->directory;
        for (size_t i = 0; i < policies->n_policies; i++)
                source->argv[3 + i] = policies->policies[i].name;
        return 0;
}

static int add_sources(struct policy_fetch *fetch_all, const struct policies *policies) {
        int r = 0;

        if (policies->git_url && policies->n_policies > 0)
                return add_repository(fetch_all, policies);
        for (size_t i = 0; r >= 0 && i < policies->n_policies; i++)
                if (policies->policies[i].url)
                        r = add_url(fetch_all, policies, &policies->policies[i]);
        return r;
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
        r = add_sources(fetch_all, policies);
        if (r < 0)
                return r;
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
