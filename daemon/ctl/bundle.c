/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bundle.h"
#include "text.h"

#include "output.h"
#include "tar.h"

#include <stdarg.h>

int bundle_init(struct bundle *bundle, const char *directory, uint64_t seconds) {
        *bundle = (struct bundle){
                .directory = strdup(directory),
                .seconds = seconds,
                .missing = json_array(),
        };
        bundle->archive = open_memstream(&bundle->data, &bundle->n);
        return bundle->directory && bundle->archive && bundle->missing ? 0 : -ENOMEM;
}

void bundle_clear(struct bundle *bundle) {
        if (bundle->archive)
                fclose(bundle->archive);
        free(bundle->directory);
        free(bundle->data);
        json_decref(bundle->missing);
        *bundle = (struct bundle){};
}

int piece_open(struct piece *piece) {
        *piece = PIECE_NULL;
        piece->file = open_memstream(&piece->text, &piece->n);
        return piece->file ? 0 : -ENOMEM;
}

void piece_clear(struct piece *piece) {
        if (piece->file)
                fclose(piece->file);
        free(piece->text);
        *piece = PIECE_NULL;
}

static int add(struct bundle *bundle, const char *name, struct piece *piece, size_t max) {
        if (!piece->file || fflush(piece->file) != 0 || ferror(piece->file))
                return -ENOMEM;
        if (piece->n > max || (size_t) ftell(bundle->archive) > max - piece->n)
                return -E2BIG;
        return tar_add(bundle->archive, bundle->directory, name, piece->text, piece->n, bundle->seconds);
}

void bundle_add(struct bundle *bundle, const char *name, struct piece *piece) {
        int r = add(bundle, name, piece, BUNDLE_BYTES_MAX);

        piece_clear(piece);
        if (r == -E2BIG)
                bundle_miss(bundle, name, "the bundle is full, at %zu MiB", BUNDLE_BYTES_MAX >> 20);
        else if (r < 0)
                bundle_miss(bundle, name, "%s", strerror(-r));
}

void bundle_add_json(struct bundle *bundle, const char *name, json_t *value) {
        struct piece piece;
        int r = piece_open(&piece);

        if (r >= 0 && value)
                r = json_dumpf(value, piece.file, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        json_decref(value);
        if (r < 0 || !value) {
                piece_clear(&piece);
                bundle_miss(bundle, name, "%s", strerror(ENOMEM));
                return;
        }
        fputc('\n', piece.file);
        bundle_add(bundle, name, &piece);
}

void bundle_miss(struct bundle *bundle, const char *name, const char *format, ...) {
        _cleanup_(freep) char *reason = NULL;
        va_list ap;

        va_start(ap, format);
        reason = text_vprintf(format, ap);
        va_end(ap);
        json_array_append_new(bundle->missing,
                        json_pack("{s:o,s:o}", "piece", output_text_json(name), "reason",
                                        output_text_json(reason ?: strerror(ENOMEM))));
}

/* Not bounded: that little must not be missing. */
int bundle_finish(struct bundle *bundle) {
        struct piece piece;
        json_t *miss;
        size_t i;
        int r;

        r = piece_open(&piece);
        if (r < 0)
                return r;
        json_array_foreach(bundle->missing, i, miss) {
                output_text(piece.file, json_string_value(json_object_get(miss, "piece")));
                fputs(": ", piece.file);
                output_text(piece.file, json_string_value(json_object_get(miss, "reason")));
                fputc('\n', piece.file);
        }
        r = add(bundle, "errors.txt", &piece, SIZE_MAX);
        piece_clear(&piece);
        if (r < 0)
                return r;
        tar_end(bundle->archive);
        return fflush(bundle->archive) != 0 || ferror(bundle->archive) ? -ENOMEM : 0;
}
