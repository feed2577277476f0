/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the whole fleet is set to: locale and time zone. Kept in two small files, so that whoever registers
 * later, or after a restart of ours, is set to the same.
 */

#include "channel.h"

#include "admin.pb-c.h"

enum setting {
        SETTING_LOCALE,
        SETTING_TIMEZONE,
        _SETTING_MAX,
};

/* Names of the files, as the deployed admin has them in /etc. */
#define SETTINGS_LOCALE_FILE   "locale-givc.conf" /* lines of KEY=value */
#define SETTINGS_TIMEZONE_FILE "timezone.conf"    /* the name of the time zone */
/* Where what a deployed admin has left is looked for, too. */
#define SETTINGS_DEPLOYED "/etc"

struct settings;

/*
 * Reads what is stored in the directory (of a list, "a:b", in the first) or, where there is no such file,
 * below SETTINGS_DEPLOYED. What cannot be read is said in the journal, and counts as not set. 0 or -ENOMEM.
 */
int settings_new(struct settings **ret, const char *directory);
struct settings *settings_free(struct settings *settings);
DEFINE_CLEANUP(struct settings, settings_free)

/* For people: "locale". */
const char *settings_name(enum setting setting);
/* Where they are stored. */
const char *settings_directory(const struct settings *settings);
/* Whether it was ever set. */
bool settings_has(const struct settings *settings, enum setting setting);

/*
 * What is wrong with a request, or NULL: there must be an assignment, each key known and assigned once, each
 * value a name of a locale. Static text.
 */
const char *settings_check_locale(const Admin__LocaleRequest *request);
const char *settings_check_timezone(const Admin__TimezoneRequest *request);

/*
 * Store a request that was checked. What a request does not assign stays as it was, as systemd-localed(8)
 * has it; but LC_ALL, which outranks the others, lasts only until the next request. Done, it outlasts a
 * power cut; on a negative errno nothing has changed here, nor, as far as file_write_atomic() can tell, in
 * the file.
 */
int settings_set_locale(struct settings *settings, const Admin__LocaleRequest *request);
int settings_set_timezone(struct settings *settings, const Admin__TimezoneRequest *request);

/* Of the last store; 0: none since start. It is in doubt until it is settled or undone, whatever is stored
 * meanwhile; in force is the last store that is not undone. */
uint64_t settings_serial(const struct settings *settings, enum setting setting);
/* It stays; of those before it none is in doubt any more. */
void settings_settle(struct settings *settings, enum setting setting, uint64_t serial);
/* 0; -ESTALE: it is not in doubt; or another negative errno, and nothing has changed. */
int settings_undo(struct settings *settings, enum setting setting, uint64_t serial);

/*
 * Tells an agent one that is set: as rpc_channel_unary(). deadline_usec: CLOCK_MONOTONIC.
 */
int settings_send(const struct settings *settings, enum setting setting, struct rpc_channel *channel,
                uint64_t deadline_usec, rpc_unary_done_t done, void *userdata, struct rpc_client_call **ret);
