/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The applications that the configuration lists: what may be started for peers, and with which arguments. */

#include "application-args.h"

struct config_reader;
struct config_section;

/* A VM is there for one or a few. */
#define APPLICATIONS_MAX 64
/* systemd takes no longer names of units, and an instance's number and ".service" follow. */
#define APPLICATION_NAME_MAX 200

struct application {
        char *name;         /* letters, digits, "_" and "-" */
        char **command;     /* program and first arguments; never empty */
        unsigned arguments; /* kinds of arguments: enum application_argument */
        char **directories; /* from which files may be given; NULL: none */
};

struct applications {
        struct application *list;
        size_t n;
};

/* Reads capabilities.applications. 0, or -EINVAL, recorded, or -ENOMEM. */
int applications_read(struct applications *applications, struct config_reader *reader,
                const struct config_section *capabilities);
void applications_clear(struct applications *applications);

/* Of which application NAME@INSTANCE.service is one; INSTANCE is of letters, digits, "_" and "-". NULL: of
 * none. */
const struct application *applications_find_unit(const struct applications *applications, const char *unit);
/* The same, where INSTANCE is a number: such units peers may see and move. */
const struct application *applications_find_instance(
                const struct applications *applications, const char *unit);
/* Whether two such names are of one application. */
bool application_unit_is_sibling(const char *a, const char *b);
