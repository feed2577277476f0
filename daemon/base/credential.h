/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Files that the service manager hands to a service when it starts it (systemd.exec(5), Credentials). */

#include "util.h"

#include <sys/stat.h>

/*
 * The path of a file of that name: the credential, where we were given one, else the file in directory;
 * which becomes the caller's. 0, -ENOMEM, or -ENOENT: no credential, and directory is NULL.
 */
int credential_find(const char *name, const char *directory, char **ret);

/*
 * Whether others than its owner and us may read or write what was opened at path. The service manager lets
 * the user of a service read a credential by an ACL, whose mask stands where the group's permissions would
 * (acl(5)): such a file counts as ours alone.
 */
bool credential_is_exposed(const char *path, const struct stat *st);

/* What a private key's file is to be told that is exposed. */
#define CREDENTIAL_EXPOSED                                                                                  \
        "others than its owner may read or write this private key: chmod 0600 it, and replace the key if "  \
        "they should not have it"

/*
 * The service manager does not care who else may read what it hands over. If path is a credential, and there
 * is a private key of that name in directory, where it comes from: that one must not be exposed. 0,
 * -EKEYREJECTED, with the reason as the caller's, or -ENOMEM.
 */
int credential_check_source(const char *path, const char *directory, char **ret_error);
