/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard.h"

#include "explain.h"
#include "file-watch.h"
#include "log.h"
#include "message-ids.h"
#include "peer-limit.h"
#include "rules.h"
#include "text.h"

/* Lines about calls of one peer, in a minute: every one of a peer that does what it is there for, or tries
 * something by hand; a flood is counted. */
#define AUDIT_LINES_PER_MINUTE 300

/* Where the rules are. */
struct source {
        char *rules, *entities; /* files, or NULL */
        struct file_watch *rules_watch, *entities_watch;
};

struct access_guard {
        sd_event *event;
        struct access_guard_config config; /* texts are ours */
        struct source source;
        struct access_rules *rules; /* NULL: every peer may make every call */
        uint64_t permits, denials;  /* by rules, since start */
        uint64_t failures;          /* of rules, in both */
        struct peer_limit refusals, audits;
        struct peer_limit permits_told;                                 /* which are not in the journal */
        void (*told)(Access__WatchDecisionsItem *item, void *userdata); /* NULL: nobody listens */
        bool tells_permits;
        void *userdata;
        sd_event_source *changed_source;
        void (*changed)(void *userdata); /* NULL: nobody asks */
        void *changed_userdata;
        uint64_t logged_id; /* the newest connection of which was said what is wrong with it */
};

/* ---- rules ---- */

static int read_rules(struct access_rules **ret, const char *file, const char *entities) {
        _cleanup_(freep) char *error = NULL;
        int r = access_rules_new(ret, file, entities, &error);

        if (r < 0)
                log_error("%s", error ?: strerror(-r));
        return r;
}

static void log_rules(const struct access_guard *guard) {
        const struct log_fields fields = { .message_id = GIVC_MESSAGE_RULES_LOADED };
        size_t n = access_rules_count(guard->rules);

        log_event(n > 0 ? LOG_INFO : LOG_WARNING, &fields, "%zu access rules of %s are in force%s.", n,
                        guard->source.rules, n > 0 ? "" : ": nobody may call anything");
}

static int on_tell_changed(sd_event_source *source _unused_, void *userdata) {
        struct access_guard *guard = userdata;

        if (guard->changed)
                guard->changed(guard->changed_userdata);
        return 0;
}

static void tell_changed(struct access_guard *guard) {
        (void) sd_event_source_set_enabled(guard->changed_source, SD_EVENT_ONESHOT);
}

static void on_changed(void *userdata) {
        const struct log_fields kept = { .message_id = GIVC_MESSAGE_RULES_KEPT };
        struct access_guard *guard = userdata;
        struct access_rules *rules = NULL;

        if (read_rules(&rules, guard->source.rules, guard->source.entities) < 0) {
                log_event(LOG_ERR, &kept, "The access rules that were in force stay so.");
                return;
        }
        access_rules_free(guard->rules);
        guard->rules = rules;
        log_rules(guard);
        tell_changed(guard);
}

/* A file that cannot be watched is read again when that is asked for. */
static struct file_watch *watch_file(struct access_guard *guard, const char *path) {
        struct file_watch *watch = NULL;
        int r = path ? file_watch_new(&watch, guard->event, path, on_changed, guard) : 0;

        if (r < 0)
                (void) log_warning_errno(
                                r, "Changes of %s are read at a reload alone: cannot watch it", path);
        return watch;
}

static void source_clear(struct source *source) {
        file_watch_free(source->rules_watch);
        file_watch_free(source->entities_watch);
        free(source->rules);
        free(source->entities);
        *source = (struct source){};
}

/* Before they are read: or what is written meanwhile would be missed. */
static int source_init(struct source *source, struct access_guard *guard,
                const struct access_guard_config *config) {
        if (!config->rules)
                return 0;
        source->rules = strdup(config->rules);
        source->entities = config->entities ? strdup(config->entities) : NULL;
        if (!source->rules || (config->entities && !source->entities))
                return log_error_errno(-ENOMEM, "Cannot read the access rules");
        source->rules_watch = watch_file(guard, source->rules);
        source->entities_watch = watch_file(guard, source->entities);
        return 0;
}

int access_guard_configure(struct access_guard *guard, const struct access_guard_config *config) {
        _cleanup_(access_rules_freep) struct access_rules *rules = NULL;
        _cleanup_(source_clear) struct source source = {};
        int r;

        if (config->rules && !config->tls) {
                log_error("Access control is asked for, but TLS is off: nobody could be told from anybody "
                          "else.");
                return -EINVAL;
        }
        r = source_init(&source, guard, config);
        if (r >= 0 && source.rules)
                r = read_rules(&rules, source.rules, source.entities);
        if (r < 0)
                return r;
        source_clear(&guard->source);
        access_rules_free(guard->rules);
        guard->config = *config;
        guard->source = source;
        source = (struct source){};
        guard->rules = TAKE_PTR(rules);
        if (guard->rules)
                log_rules(guard);
        tell_changed(guard);
        return 0;
}

/* ---- what was too much to be told ---- */

static void tell_untold(
                const struct access_guard *guard, Access__Untold__Told kind, const char *peer, unsigned n) {
        Access__WatchDecisionsItem item = ACCESS__WATCH_DECISIONS_ITEM__INIT;
        Access__Untold untold = ACCESS__UNTOLD__INIT;

        if (!guard->told)
                return;
        untold.timeusec = now_usec(CLOCK_REALTIME);
        untold.kind = kind;
        untold.peer = (char *) strempty(peer);
        untold.count = n;
        item.item_case = ACCESS__WATCH_DECISIONS_ITEM__ITEM_UNTOLD;
        item.untold = &untold;
        guard->told(&item, guard->userdata);
}

void access_guard_refused_more(const char *host, unsigned n, struct access_guard *guard) {
        tell_untold(guard, ACCESS__UNTOLD__TOLD__REFUSALS, host, n);
}

static void on_more_refusals(const char *peer, unsigned n, void *userdata) {
        tell_untold(userdata, ACCESS__UNTOLD__TOLD__REFUSALS, peer, n);
}

static void on_more_decisions(const char *peer, unsigned n, void *userdata) {
        tell_untold(userdata, ACCESS__UNTOLD__TOLD__DECISIONS, peer, n);
}

static void on_more_permits(const char *peer, unsigned n, void *userdata) {
        tell_untold(userdata, ACCESS__UNTOLD__TOLD__PERMITS, peer, n);
}

static int watch_limits(struct access_guard *guard) {
        int r;

        r = peer_limit_watch(&guard->refusals, guard->event, on_more_refusals, guard);
        if (r >= 0)
                r = peer_limit_watch(&guard->audits, guard->event, on_more_decisions, guard);
        if (r >= 0)
                r = peer_limit_watch(&guard->permits_told, guard->event, on_more_permits, guard);
        return r;
}

/* ---- life ---- */

int access_guard_new(struct access_guard **ret, sd_event *event, const struct access_guard_config *config) {
        _cleanup_(access_guard_freep) struct access_guard *guard = malloc(sizeof(*guard));
        int r;

        if (!guard)
                return log_error_errno(-ENOMEM, "Cannot prepare for callers");
        *guard = (struct access_guard){
                .event = sd_event_ref(event),
                .refusals = {
                        .more = "refusals of certificate of",
                        .message_id = GIVC_MESSAGE_CERTIFICATE_REFUSED,
                        .priority = LOG_WARNING,
                },
                .audits = {
                        .burst = AUDIT_LINES_PER_MINUTE,
                        .more = "decisions on calls of",
                        .priority = LOG_WARNING,
                },
                .permits_told = { .burst = AUDIT_LINES_PER_MINUTE },
        };
        r = sd_event_add_defer(event, &guard->changed_source, on_tell_changed, guard);
        if (r >= 0)
                r = watch_limits(guard);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare for callers");
        r = access_guard_configure(guard, config);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(guard);
        return 0;
}

struct access_guard *access_guard_free(struct access_guard *guard) {
        if (!guard)
                return NULL;
        source_clear(&guard->source);
        access_rules_free(guard->rules);
        sd_event_source_disable_unref(guard->changed_source);
        peer_limit_clear(&guard->refusals);
        peer_limit_clear(&guard->audits);
        peer_limit_clear(&guard->permits_told);
        sd_event_unref(guard->event);
        free(guard);
        return NULL;
}

const struct access_rules *access_guard_rules(const struct access_guard *guard) {
        return guard->rules;
}

void access_guard_set_changed(struct access_guard *guard, void (*changed)(void *userdata), void *userdata) {
        guard->changed = changed;
        guard->changed_userdata = userdata;
}

void access_guard_listen(struct access_guard *guard,
                void (*told)(Access__WatchDecisionsItem *item, void *userdata), bool permits,
                void *userdata) {
        guard->told = told;
        guard->tells_permits = permits;
        guard->userdata = userdata;
}

void access_guard_write_metrics(const struct access_guard *guard, struct openmetrics *metrics) {
        openmetrics_gauge(metrics, "access_rules", NULL,
                        "Access rules in force; 0, and no decisions: access control is off.",
                        guard->rules ? access_rules_count(guard->rules) : 0);
        openmetrics_family(metrics, OPENMETRICS_COUNTER, "decisions", NULL,
                        "Calls on which the access rules have decided.");
        openmetrics_uint(metrics, "_total", guard->permits, "decision", "permit", NULL);
        openmetrics_uint(metrics, "_total", guard->denials, "decision", "deny", NULL);
        openmetrics_counter(metrics, "access_rule_failures",
                        "Access rules that could not be evaluated, in those decisions.", guard->failures);
}

/* ---- who is it ---- */

/* RPC_OK, or why this peer is not accepted, with a text on the heap (NULL: ENOMEM). */
static enum rpc_code judge_peer(
                const struct access_guard *guard, const struct rpc_peer *peer, char **ret_reason) {
        uint8_t ip[16];
        size_t n;

        if (!guard->config.tls)
                return RPC_OK;

        if (!peer->identity || isempty(peer->identity->name)) {
                *ret_reason = text_printf("certificate has no DNS name");
                return RPC_UNAUTHENTICATED;
        }

        /* Unix sockets and vsock have no IP: there, the name alone is who it is. */
        n = rpc_address_ip(peer->address, ip);
        if (n > 0 && !tls_identity_has_ip(peer->identity, ip, n)) {
                *ret_reason = text_printf("IP %s not in certificate SAN", peer->host);
                return RPC_PERMISSION_DENIED;
        }
        return RPC_OK;
}

void access_guard_refused(const struct rpc_refused *refused, struct access_guard *guard) {
        Access__WatchDecisionsItem item = ACCESS__WATCH_DECISIONS_ITEM__INIT;
        Access__Refusal refusal = ACCESS__REFUSAL__INIT;

        if (!guard->told)
                return;
        refusal.timeusec = now_usec(CLOCK_REALTIME);
        refusal.address = (char *) refused->host;
        refusal.claimed = (char *) strempty(refused->claimed_name);
        refusal.serial = (char *) strempty(refused->claimed_serial);
        refusal.reason = (char *) strempty(refused->reason);
        item.item_case = ACCESS__WATCH_DECISIONS_ITEM__ITEM_REFUSAL;
        item.refusal = &refusal;
        guard->told(&item, guard->userdata);
}

static void log_refusal(struct access_guard *guard, const struct rpc_peer *peer, const char *method,
                enum rpc_code code, const char *reason) {
        struct log_fields fields = {
                .message_id = GIVC_MESSAGE_CERTIFICATE_REFUSED,
                .method = method,
                .peer = peer->name,
                .status = rpc_code_name(code),
        };
        struct rpc_refused refused = {
                .host = peer->host,
                .claimed_name = peer->identity ? peer->identity->name : NULL,
                .claimed_serial = peer->identity ? peer->identity->serial : NULL,
                .reason = reason,
        };

        /* Once a connection, however many calls it makes. Numbers of connections grow. */
        if (peer->id <= guard->logged_id)
                return;
        guard->logged_id = peer->id;
        if (!peer_limit_pass(&guard->refusals, peer->name))
                return;
        log_event(LOG_WARNING, &fields, "Refused certificate of %.253s from %s, serial %s: %s", peer->name,
                        peer->host, refused.claimed_serial ?: "none", strempty(reason));
        access_guard_refused(&refused, guard);
}

/* Whether the certificate is accepted; else the call has been ended. */
static bool permit_peer(struct rpc_call *call, struct access_guard *guard) {
        const struct rpc_peer *peer = rpc_call_peer(call);
        _cleanup_(freep) char *reason = NULL;
        enum rpc_code code;

        code = judge_peer(guard, peer, &reason);
        if (code == RPC_OK)
                return true;
        log_refusal(guard, peer, rpc_call_path(call) + 1, code, reason);
        rpc_call_fail(call, code, "%s", reason ?: "certificate refused");
        return false;
}

void access_guard_peer(const struct rpc_peer *peer, struct access_guard *guard) {
        _cleanup_(freep) char *reason = NULL;
        enum rpc_code code;

        code = judge_peer(guard, peer, &reason);
        if (code != RPC_OK)
                log_refusal(guard, peer, NULL, code, reason);
}

/* ---- may they ---- */

/* A call that is judged. */
struct trial {
        struct rpc_call *call;
        const ProtobufCMessage *request;
        struct arena *arena;
        bool is_review; /* it was permitted before */
        struct access_verdict verdict;
        enum rpc_code code;
};

static void log_decision(const struct trial *trial) {
        const struct access_verdict *verdict = &trial->verdict;
        const struct log_fields fields = {
                .message_id = verdict->allow ? GIVC_MESSAGE_CALL_PERMITTED : GIVC_MESSAGE_CALL_DENIED,
                .method = rpc_call_path(trial->call) + 1,
                .peer = rpc_call_peer(trial->call)->name,
                .rule = verdict->rule,
                .status = rpc_code_name(trial->code),
        };

        if (verdict->allow)
                log_event(LOG_INFO, &fields, "Permitted %s for %s: %s.", fields.method, fields.peer,
                                verdict->rule);
        else
                log_event(LOG_NOTICE, &fields, "Denied %s for %s%s: %s.", fields.method, fields.peer,
                                trial->is_review ? ", which was under way" : "", verdict->reason);
}

static void tell_decision(const struct access_guard *guard, const struct trial *trial) {
        const struct access_verdict *verdict = &trial->verdict;
        Access__WatchDecisionsItem item = ACCESS__WATCH_DECISIONS_ITEM__INIT;
        Access__Decision decision = ACCESS__DECISION__INIT;

        decision.timeusec = now_usec(CLOCK_REALTIME);
        decision.allowed = verdict->allow;
        decision.peer = (char *) rpc_call_peer(trial->call)->name;
        decision.method = (char *) rpc_call_path(trial->call) + 1;
        decision.resource = (char *) strempty(verdict->module);
        decision.reason = (char *) strempty(verdict->reason);
        if (verdict->policy)
                decision.rule = access_policy_message(
                                trial->arena, access_rules_policies(guard->rules), verdict->policy);
        item.item_case = ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION;
        item.decision = &decision;
        guard->told(&item, guard->userdata);
}

static void audit(struct access_guard *guard, const struct trial *trial) {
        bool is_logged = !trial->verdict.allow || guard->config.audit_permits;
        bool is_told = guard->told && (!trial->verdict.allow || guard->tells_permits);

        if (!is_logged && !is_told)
                return;
        if (!peer_limit_pass(is_logged ? &guard->audits : &guard->permits_told,
                            rpc_call_peer(trial->call)->name))
                return;
        if (is_logged)
                log_decision(trial);
        if (is_told)
                tell_decision(guard, trial);
}

static void judge(const struct access_guard *guard, struct trial *trial) {
        int r;

        r = access_rules_judge(guard->rules, rpc_call_peer(trial->call)->name, rpc_call_path(trial->call),
                        trial->request, trial->arena, &trial->verdict);
        /* What cannot be judged is denied, and told of as other denials are. */
        if (r < 0)
                trial->verdict = (struct access_verdict){
                        .reason = r == -E2BIG
                                        ? "the request has more fields than access rules are asked about"
                                        : "out of memory",
                };
        trial->code = trial->verdict.allow ? RPC_OK : r < 0 ? RPC_RESOURCE_EXHAUSTED : RPC_PERMISSION_DENIED;
}

static void note(struct access_guard *guard, const struct trial *trial) {
        guard->failures += trial->verdict.n_failures;
        if (trial->verdict.allow)
                guard->permits++;
        else
                guard->denials++;
        audit(guard, trial);
}

/* How the text of a denial begins. */
static const char *prefix(const struct access_guard *guard, const struct trial *trial) {
        return trial->code == RPC_PERMISSION_DENIED ? guard->config.denial : "the request cannot be judged";
}

bool access_guard_permit(
                struct rpc_call *call, const ProtobufCMessage *request, struct access_guard *guard) {
        struct trial trial = { .call = call, .request = request, .arena = rpc_call_arena(call) };

        if (!permit_peer(call, guard))
                return false;
        if (!guard->rules)
                return true;
        judge(guard, &trial);
        note(guard, &trial);
        if (!trial.verdict.allow)
                rpc_call_fail(call, trial.code, "%s: %s", prefix(guard, &trial), trial.verdict.reason);
        return trial.verdict.allow;
}

bool access_guard_review(
                struct rpc_call *call, const ProtobufCMessage *request, struct access_guard *guard) {
        /* Not the call's own, which would fill up with every change of the rules. */
        _cleanup_(arena_clear) struct arena arena = {};
        struct trial trial = { .call = call, .request = request, .arena = &arena, .is_review = true };

        if (!guard->rules)
                return true;
        arena_init(&arena, rpc_call_arena(call)->limit);
        judge(guard, &trial);
        if (trial.verdict.allow)
                return true;
        note(guard, &trial);
        rpc_call_cut(call);
        rpc_call_break_off(call, trial.code, "%s: %s", prefix(guard, &trial), trial.verdict.reason);
        return false;
}
