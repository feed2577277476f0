/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "generations.h"

#include <jansson.h>

/* A machine keeps some dozens. */
#define GENERATIONS_MAX     4096
#define SPECIALISATIONS_MAX 256

/* The text of a member in the arena; "" where it is absent or no text. NULL: out of memory. */
static char *read_text(const json_t *object, const char *key, struct arena *arena) {
        const char *text = json_string_value(json_object_get(object, key));

        return arena_strdup(arena, strempty(text));
}

static int read_specialisations(const json_t *object, struct arena *arena, Admin__Generation *generation) {
        const json_t *list = json_object_get(object, "specialisations");
        size_t n = MIN(json_array_size(list), (size_t) SPECIALISATIONS_MAX);

        if (n == 0)
                return 0;
        generation->specialisations = arena_alloc(arena, n * sizeof(char *));
        if (!generation->specialisations)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const char *name = json_string_value(json_array_get(list, i));
                char *copy = arena_strdup(arena, strempty(name));

                if (!copy)
                        return -ENOMEM;
                generation->specialisations[generation->n_specialisations++] = copy;
        }
        return 0;
}

static int read_one(const json_t *object, struct arena *arena, Admin__Generation **ret,
                const char **ret_problem) {
        const json_t *number = json_object_get(object, "generation");
        Admin__Generation *generation = arena_alloc(arena, sizeof(*generation));

        if (!generation)
                return -ENOMEM;
        if (!json_is_integer(number) || json_integer_value(number) < 0 ||
                        json_integer_value(number) > INT32_MAX) {
                *ret_problem = "an element has no number \"generation\"";
                return -EBADMSG;
        }
        admin__generation__init(generation);
        generation->generation = (int32_t) json_integer_value(number);
        generation->current = json_is_true(json_object_get(object, "current"));
        generation->date = read_text(object, "date", arena);
        generation->nixosversion = read_text(object, "nixosVersion", arena);
        generation->kernelversion = read_text(object, "kernelVersion", arena);
        generation->configurationrevision = read_text(object, "configurationRevision", arena);
        generation->storepath = read_text(object, "storePath", arena);
        if (!generation->date || !generation->nixosversion || !generation->kernelversion ||
                        !generation->configurationrevision || !generation->storepath)
                return -ENOMEM;
        *ret = generation;
        return read_specialisations(object, arena, generation);
}

int generations_read(const char *text, size_t n, struct arena *arena, Admin__ListGenerationsResponse *ret,
                const char **ret_problem) {
        json_error_t error;
        json_t *list = json_loadb(text, n, 0, &error);
        int r = 0;

        *ret_problem = NULL;
        if (!json_is_array(list) || json_array_size(list) > GENERATIONS_MAX) {
                *ret_problem = list ? "it is not a list, or too long a one" : "it is not JSON";
                json_decref(list);
                return -EBADMSG;
        }
        ret->list = arena_alloc(arena, (json_array_size(list) + 1) * sizeof(Admin__Generation *));
        if (!ret->list)
                r = -ENOMEM;
        for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
                r = read_one(json_array_get(list, i), arena, &ret->list[i], ret_problem);
                ret->n_list = i + 1;
        }
        json_decref(list);
        return r;
}
