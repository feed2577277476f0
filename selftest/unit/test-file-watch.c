/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whoever follows a file hears of what its path leads to, whichever name on the way has changed. */
#include "file-watch.h"

#include "text.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static char directory[] = "/tmp/test-file-watch-XXXXXX";
static sd_event *event;
static struct file_watch *watch;
static unsigned told;

static void changed(void *userdata _unused_) {
        told++;
}

static void make_file(const char *name, const char *text) {
        FILE *file = fopen(name, "we");

        cr_assert(file);
        cr_assert_geq(fputs(text, file), 0);
        cr_assert_eq(fclose(file), 0);
}

static void put_link(const char *target, const char *name) {
        cr_assert_eq(symlink(target, "new"), 0);
        cr_assert_eq(rename("new", name), 0);
}

static void set_up(void) {
        cr_assert(mkdtemp(directory));
        cr_assert_eq(chdir(directory), 0);
        cr_assert_geq(sd_event_new(&event), 0);
        told = 0;
}

static int remove_one(const char *path, const struct stat *st _unused_, int flag _unused_,
                struct FTW *ftw _unused_) {
        return remove(path);
}

static void tear_down(void) {
        watch = file_watch_free(watch);
        sd_event_unref(event);
        cr_assert_eq(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void follow(const char *path) {
        watch = file_watch_free(watch);
        cr_assert_eq(file_watch_new(&watch, event, path, changed, NULL), 0);
}

/* inotify has what was done before we ask. */
static bool is_told(void) {
        bool any;

        while (sd_event_run(event, 0) > 0)
                ;
        any = told > 0;
        told = 0;
        return any;
}

TestSuite(file_watch, .init = set_up, .fini = tear_down);

Test(file_watch, a_file_that_is_written_or_replaced) {
        follow("rules");
        make_file("rules", "1");
        cr_expect(is_told());
        make_file("other", "2");
        cr_expect_not(is_told());
        cr_assert_eq(rename("other", "rules"), 0);
        cr_expect(is_told());
        make_file("rules", "3");
        cr_expect(is_told());
        cr_assert_eq(unlink("rules"), 0);
        cr_expect_not(is_told());
}

Test(file_watch, a_link_that_leads_elsewhere) {
        make_file("a", "1");
        make_file("b", "2");
        put_link("a", "rules");
        follow("rules");
        make_file("a", "3");
        cr_expect(is_told(), "what it leads to is written");
        make_file("b", "4");
        cr_expect_not(is_told());
        put_link("b", "rules");
        cr_expect(is_told(), "it is another one");
        make_file("b", "5");
        cr_expect(is_told(), "what it leads to now is written");
        make_file("a", "6");
        cr_expect_not(is_told());
}

/* As configurations of NixOS are: a link in /etc to one through a link to one that is whole, and replaced
 * whole. */
Test(file_watch, a_link_of_a_directory_on_the_way) {
        _cleanup_(freep) char *path = text_printf("%s/etc/rules", directory);

        cr_assert(mkdir("one", 0700) == 0 && mkdir("two", 0700) == 0 && mkdir("etc", 0700) == 0);
        make_file("one/rules", "1");
        make_file("two/rules", "2");
        put_link("one", "static");
        put_link("../static/./rules", "etc/rules");
        follow(path);
        put_link("two", "static");
        cr_expect(is_told());
        make_file("two/rules", "3");
        cr_expect(is_told());
        make_file("one/rules", "4");
        cr_expect_not(is_told());
}

Test(file_watch, a_directory_that_is_replaced) {
        cr_assert(mkdir("etc", 0700) == 0 && mkdir("new", 0700) == 0);
        make_file("etc/rules", "1");
        make_file("new/rules", "2");
        follow("etc/rules");
        cr_assert(rename("etc", "old") == 0 && rename("new", "etc") == 0);
        cr_expect(is_told());
        cr_assert_eq(rename("etc", "gone"), 0);
        cr_expect_not(is_told());
        cr_assert_eq(mkdir("etc", 0700), 0);
        cr_expect_not(is_told(), "there is no file in it");
        make_file("etc/rules", "3");
        cr_expect(is_told());
}

Test(file_watch, links_that_lead_nowhere) {
        put_link("b", "a");
        put_link("a", "b");
        cr_expect_eq(file_watch_new(&watch, event, "a", changed, NULL), -ELOOP);
        cr_expect_eq(file_watch_new(&watch, event, "none/rules", changed, NULL), -ENOENT);
        put_link("nothing", "rules");
        follow("rules");
        cr_expect_not(is_told());
        make_file("nothing", "1");
        cr_expect(is_told());
}
