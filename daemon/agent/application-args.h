/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What peers may hand to an application on its command line. Each argument must be of one of the kinds that
 * the application takes; anything else never reaches a program.
 */

#include "util.h"

/* The longest argument: as long as a path can be. */
#define APPLICATION_ARGUMENT_MAX 4096

/* The kinds, as bits. They begin differently, so that none passes for another. */
enum application_argument {
        APPLICATION_FLAG = 1, /* "-x", "--xyz": letters, digits, "_" and "-" */
        APPLICATION_URL = 2,  /* http, https, element, io.element.desktop */
        APPLICATION_FILE =
                        4, /* the absolute path of what exists below one of the application's directories */
};

bool application_argument_is_flag(const char *s);

/*
 * Whether s is an URL as RFC 3986 writes them, with one of the schemes above; http and https name a host. No
 * user information, and nothing that a shell would act upon, should a program hand it to one: but "&" in the
 * query, which is what separates the fields of every form.
 */
bool application_argument_is_url(const char *s);

/* Whether s is an absolute path without empty components, "." and "..", and without control characters. A
 * "/" at the end is an empty component, but in "/". */
bool application_path_is_clean(const char *s);

/*
 * Whether path names a file or directory in one of the directories (NULL-terminated; each clean), or one of
 * those themselves. What counts is what the path leads to when it is opened: a symbolic link that leads out
 * of the directory does not pass, nor does a sibling whose name begins like the directory's. 0; -EINVAL: not
 * clean; -EACCES: not in them; -ENOENT: it is not there; -EBADF: neither file nor directory; or
 * another negative errno of openat2(2).
 */
int application_argument_check_file(const char *path, char *const *directories);

/* NULL: s is of one of the kinds; else why not, for people. directories is for files; it may be NULL
 * without. */
const char *application_argument_refusal(const char *s, unsigned kinds, char *const *directories);
