/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "credential.h"

#include "text.h"

int credential_find(const char *name, const char *directory, char **ret) {
        const char *credentials = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_(freep) char *path = NULL;

        if (!isempty(credentials)) {
                path = text_printf("%s/%s", credentials, name);
                if (!path)
                        return -ENOMEM;
                if (access(path, F_OK) >= 0)
                        directory = NULL;
                else
                        free(TAKE_PTR(path));
        }
        if (!path && !directory)
                return -ENOENT;
        if (!path)
                path = text_printf("%s/%s", directory, name);
        if (!path)
                return -ENOMEM;
        *ret = TAKE_PTR(path);
        return 0;
}

/* Whether that path is one of a credential of ours. */
static bool is_credential(const char *path) {
        const char *credentials = getenv("CREDENTIALS_DIRECTORY"), *name;

        if (isempty(credentials))
                return false;
        name = startswith(path, credentials);
        return name && name[0] == '/' && name[1] != '\0' && !strchr(name + 1, '/');
}

bool credential_is_exposed(const char *path, const struct stat *st) {
        mode_t others = S_IRWXG | S_IRWXO;

        if (is_credential(path))
                others &= ~(mode_t) S_IRGRP;
        return (st->st_mode & others) != 0;
}

int credential_check_source(const char *path, const char *directory, char **ret_error) {
        _cleanup_(freep) char *source = NULL;
        struct stat st;

        if (!is_credential(path))
                return 0;
        source = text_printf("%s/%s", directory, strrchr(path, '/') + 1);
        if (!source)
                return -ENOMEM;
        if (stat(source, &st) < 0 || !credential_is_exposed(source, &st))
                return 0;
        *ret_error = text_printf("%s: " CREDENTIAL_EXPOSED, source);
        return *ret_error ? -EKEYREJECTED : -ENOMEM;
}
