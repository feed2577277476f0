/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fleet is set to, in a file as an earlier run, or a person, has left it. The first byte says
 * which. */
#include "fuzz.h"

#include "locale-name.h"
#include "log.h"
#include "settings.h"
#include "text.h"

#include <fcntl.h>

static char directory[] = "/dev/shm/givc-fuzz-settings-XXXXXX";

static void leave(void) {
        (void) rmdir(directory);
}

static char *path_of(const char *name) {
        char *path = text_printf("%s/%s", directory, name);

        must(path != NULL, "there is memory");
        return path;
}

static void make_world(void) {
        log_set_max_level(-1);
        must(mkdtemp(directory) != NULL && atexit(leave) == 0, "there is a place for files");
}

static void set(struct settings *settings, enum setting setting) {
        Admin__TimezoneRequest zone = ADMIN__TIMEZONE_REQUEST__INIT;
        Admin__LocaleRequest locale = ADMIN__LOCALE_REQUEST__INIT;
        Locale__LocaleAssignment assignment = LOCALE__LOCALE_ASSIGNMENT__INIT,
                                 *assignments[] = { &assignment };

        assignment.key = LOCALE__LOCALE_MACRO_KEY__LC_TIME;
        assignment.value = (char *) "C.UTF-8";
        locale.assignments = assignments;
        locale.n_assignments = 1;
        zone.timezone = (char *) "Europe/Berlin";
        must((setting == SETTING_LOCALE ? settings_set_locale(settings, &locale)
                                        : settings_set_timezone(settings, &zone)) == 0,
                        "what is set is kept");
        must(settings_has(settings, setting), "and is set");
}

static char *read_back(const char *path, enum setting setting) {
        char *text, *rest, *line, *copy;

        must(text_read_file(path, 16384, &text, NULL) == 0, "it can be read back");
        copy = rest = strdup(text);
        while (setting == SETTING_LOCALE && (line = strsep(&rest, "\n"))) {
                const char *value = strchr(line, '=');

                must(line[0] == '\0' || (value && locale_name_is_valid(value + 1)), "we write what we read");
        }
        free(copy);
        return text;
}

/* What was read, and one more; read again, and the same once more: nothing else comes or goes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        enum setting setting = take_byte(&data, &size) % _SETTING_MAX;
        _cleanup_(settings_freep) struct settings *settings = NULL, *again = NULL;
        _cleanup_(freep) char *path = NULL, *once = NULL, *twice = NULL;
        int fd;

        if (endswith(directory, "XXXXXX"))
                make_world();
        path = path_of(setting == SETTING_LOCALE ? SETTINGS_LOCALE_FILE : SETTINGS_TIMEZONE_FILE);
        fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        must(fd >= 0 && write(fd, data, size) == (ssize_t) size, "a file can be written");
        close(fd);
        must(settings_new(&settings, directory) == 0, "what is there is read, or left");
        set(settings, setting);
        once = read_back(path, setting);
        must(settings_new(&again, directory) == 0 && settings_has(again, setting), "and read again");
        set(again, setting);
        twice = read_back(path, setting);
        must(streq(once, twice), "and is the same");
        (void) unlink(path);
        return 0;
}
