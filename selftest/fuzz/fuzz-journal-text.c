/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What any process may write into the journal, made fit for the wire. The first byte is the bound. */
#include "fuzz.h"

#include "journal-text.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = NULL;
        size_t max, n;

        if (size == 0)
                return 0;
        max = data[0];
        text = journal_text(data + 1, size - 1, max);
        n = strlen(text);
        must(text_is_utf8(text, n), "what is sent is UTF-8");
        must(n <= max * 4 + 3, "what is sent has a bound");
        must(size - 1 > max || n >= size - 1, "what is short is whole");
        return 0;
}
