/* SPDX-License-Identifier: GPL-2.0-or-later */
/* update query, list and cachix: the host's system generations. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"

#define DEFAULT_CACHE "ghaf-dev"

static json_t *generation_json(const Admin__Generation *generation) {
        json_t *names = json_array();

        for (size_t i = 0; i < generation->n_specialisations; i++)
                json_array_append_new(names, output_text_json(generation->specialisations[i]));
        return json_pack("{s:i,s:b,s:o*,s:o*,s:o*,s:o*,s:o*,s:o*}", "generation", generation->generation,
                        "current", generation->current, "date", output_text_json(generation->date),
                        "store_path", output_text_json(generation->storepath), "nixos_version",
                        output_text_json(generation->nixosversion), "kernel_version",
                        output_text_json(generation->kernelversion), "configuration_revision",
                        output_text_json(generation->configurationrevision), "specialisations", names);
}

static int print_json(const Admin__ListGenerationsResponse *response) {
        json_t *list = json_array();

        for (size_t i = 0; i < response->n_list; i++) {
                if (json_array_append_new(list, generation_json(response->list[i])) < 0) {
                        json_decref(list);
                        return -ENOMEM;
                }
        }
        return output_json(stdout, list);
}

static int print_table(const Admin__ListGenerationsResponse *response) {
        static const struct output_column heads[] = {
                { "GENERATION", true },
                { "CURRENT" },
                { "DATE", .terminal = 70 },
                { "NIXOS", .is_cut = true },
                { "KERNEL", .terminal = 60 },
                { "REVISION", .is_cut = true, .terminal = 140 },
                { "STORE PATH" },
        };
        size_t n = response->n_list;
        _cleanup_(freep) const char **cells = calloc(n * ELEMENTSOF(heads) + 1, sizeof(*cells));
        _cleanup_(freep) char(*numbers)[16] = calloc(n + 1, sizeof(*numbers));

        if (!cells || !numbers)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const Admin__Generation *generation = response->list[i];
                const char **row = cells + i * ELEMENTSOF(heads);

                snprintf(numbers[i], sizeof(numbers[i]), "%d", generation->generation);
                row[0] = numbers[i];
                row[1] = generation->current ? "yes" : "";
                row[2] = generation->date;
                row[3] = generation->nixosversion;
                row[4] = generation->kernelversion;
                row[5] = generation->configurationrevision;
                row[6] = generation->storepath;
        }
        return output_cells(stdout, heads, ELEMENTSOF(heads), cells, n);
}

static int show_generations(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Admin__ListGenerationsResponse *list = (const Admin__ListGenerationsResponse *) response;
        int r = 0;

        if (session->options->json)
                r = print_json(list);
        else if (session->options->compatible)
                output_messages_deployed(stdout, (const ProtobufCMessage *const *) list->list, list->n_list);
        else
                r = print_table(list);

        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

int verb_update_list(struct session *session, const struct options *options) {
        const Admin__Empty message = ADMIN__EMPTY__INIT;
        int r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "ListGenerations",
                                        .message = &message.base,
                                        .what = "cannot list the host's generations",
                                        .show = show_generations,
                        });

        return r == EXIT_DONE ? session_run(session) : r;
}

/* What a server offers is no business of the admin's, and libcurl's. */
int verb_update_query(struct session *session, const struct options *options) {
        if (!options->source && (options->pin_name || options->raw || options->current))
                return fail_usage("--pin-name, --raw and --current are for what a server offers: give "
                                  "--source");
        if (!options->source)
                return verb_update_list(session, options);
        execv(UPDATE_QUERY_PROGRAM, options->argv);
        return fail_errno(-errno, UPDATE_QUERY_PROGRAM);
}

struct update {
        bool finished;
        bool failed; /* and said why */
};

/* What the update prints is lines for people: each is shown without what a terminal would obey. */
static void print_output(const char *output) {
        while (*output) {
                size_t n = strcspn(output, "\n");
                _cleanup_(freep) char *line = strndup(output, n);

                if (line)
                        output_text(stdout, line);
                output += n;
                if (*output == '\n') {
                        fputc('\n', stdout);
                        output++;
                }
        }
}

static void on_told(struct session *session, const ProtobufCMessage *message, void *userdata) {
        const Admin__SetGenerationResponse *response = (const Admin__SetGenerationResponse *) message;
        struct update *update = userdata;

        if (response->output_presence_case && session->options->json)
                output_json(stdout, json_pack("{s:o}", "output", output_text_json(response->output)));
        else if (response->output_presence_case)
                print_output(response->output);
        if (response->error_presence_case) {
                complain("the update has failed: %s", response->error);
                update->failed = true;
        }
        update->finished = update->finished || response->finished;
        session_flush(session);
}

static int on_done(struct session *session, const struct rpc_status *status,
                const ProtobufCMessage *response, void *userdata) {
        const struct update *update = userdata;

        if (status->code != RPC_OK) {
                session_fail(session, "cannot update the host", status);
                return EXIT_DONE;
        }
        if (update->failed)
                return EXIT_FAILED;
        if (!update->finished) {
                complain("the update has ended without saying that it has finished");
                return EXIT_FAILED;
        }
        return EXIT_DONE;
}

int verb_update_cachix(struct session *session, const struct options *options) {
        const char *token = options->token ?: getenv("CACHIX_TOKEN");
        Admin__SetGenerationRequest message = ADMIN__SET_GENERATION_REQUEST__INIT;
        Admin__Cachix cachix = ADMIN__CACHIX__INIT;
        struct update update = {};
        int r;

        cachix.pin = (char *) options->arguments[0];
        cachix.cache = (char *) (options->cache ?: DEFAULT_CACHE);
        if (!isempty(token)) {
                cachix.token_presence_case = ADMIN__CACHIX__TOKEN_PRESENCE_TOKEN;
                cachix.token = (char *) token;
        }
        if (options->cachix_host) {
                cachix.cachix_host_presence_case = ADMIN__CACHIX__CACHIX_HOST_PRESENCE_CACHIX_HOST;
                cachix.cachixhost = (char *) options->cachix_host;
        }
        message.update_case = ADMIN__SET_GENERATION_REQUEST__UPDATE_CACHIX;
        message.cachix = &cachix;
        r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "SetGeneration",
                                        .message = &message.base,
                                        .what = "cannot update the host",
                                        .done = on_done,
                                        .told = on_told,
                                        .userdata = &update,
                                        .unlimited = true, /* downloads take what they take */
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}
