/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of givcctl, a word a line; and its words as spans and moments of time. */
#include "fuzz.h"

#include "options.h"
#include "output.h"
#include "text.h"
#include "timespan.h"

#define WORDS_MAX 32

/* What two spans are together is what they are one behind the other. */
static void try_spans(const char *a, const char *b) {
        _cleanup_(freep) char *both = text_printf("%s %s", a, b);
        uint64_t first, second, sum, together;
        char text[TIMESPAN_TEXT];

        if (timespan_parse(a, &first) < 0 || first == USEC_INFINITY)
                return;
        must(strlen(timespan_format(first, text)) < sizeof(text), "a span can be shown");
        if (timespan_parse(b, &second) < 0 || second == USEC_INFINITY)
                return;
        if (__builtin_add_overflow(first, second, &sum))
                must(timespan_parse(both, &together) == -ERANGE, "what is too long is refused");
        else
                must(timespan_parse(both, &together) == 0 && together == sum, "spans are added up");
}

#define A_NOW (UINT64_C(1767323045) * USEC_PER_SEC + 123456)

/* What is shown of a moment says the same, to the second; how long ago something was and when it was are the
 * same. */
static void try_moment(const char *text) {
        _cleanup_(freep) char *ago = text_printf("%s ago", text);
        uint64_t moment, span, again;
        char date[OUTPUT_TIME];

        if (timestamp_parse(text, A_NOW, &moment) == 0) {
                must(moment / USEC_PER_SEC < UINT64_C(1) << 62, "a moment is one of the clock's");
                must(moment / USEC_PER_SEC > UINT32_MAX ||
                                                (timestamp_parse(output_time(moment, date), A_NOW, &again) ==
                                                                                0 &&
                                                                again == moment - moment % USEC_PER_SEC),
                                "a moment that is shown can be read");
        }
        if (timespan_parse(text, &span) < 0 || span >= A_NOW || strlen(text) > 32)
                return;
        must(timestamp_parse(ago, A_NOW, &again) == 0 && again == A_NOW - span, "it was so long ago");
}

static void check(const struct options *options) {
        must(options->verb || options->help || options->version, "something is to be done");
        must(options->by_name.n <= OPTIONS_TEXTS_MAX, "there is a bound");
        if (!options->verb || options->help || options->version)
                return;
        must(options->timeout_usec > 0, "a call has time");
        must(options->n_arguments >= options->verb->min_arguments &&
                                        options->n_arguments <= options->verb->max_arguments,
                        "a verb has the arguments that it wants");
        must(options->n_own <= options->n_arguments, "its own are some of them");
        must(!(options->verb_options & ~options->verb->options), "and options that it knows");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *) data, size), *error = NULL;
        _cleanup_(options_clear) struct options options = OPTIONS_NULL;
        char *argv[WORDS_MAX + 2] = { (char *) "givcctl" }, *rest = text, *word;
        int argc = 1, r;

        clearenv();
        while (argc <= WORDS_MAX && (word = strsep(&rest, "\n")))
                argv[argc++] = word;
        for (int i = 1; i < argc; i++)
                try_moment(argv[i]);
        if (argc > 2)
                try_spans(argv[1], argv[2]);
        r = options_parse(&options, argc, argv, &error);
        must((r < 0) == (error != NULL), "an error has a text, and success has none");
        if (r == 0)
                check(&options);
        return 0;
}
