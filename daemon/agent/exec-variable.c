/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exec-variable.h"

/*
 * What lets whoever sets it choose which code runs, which files are read as configuration, or whom a program
 * trusts: the variables that glibc does not let pass into set-user-ID programs (ld.so(8)), those that sudo
 * removes (sudoers(5), env_delete), and what manuals of interpreters and of usual tools name. "*" stands for
 * any text, at one end. Such a list is never whole, so what has the same shape is taken for the same, and
 * who knows what the commands need lists that instead.
 */
/* clang-format off */
static const char *const harmful[] = {
        /* By their shape: where something is looked for, what is added to a command line, what is run. */
        "*PATH", "*_DIRS", "*_DIRECTORY", "*CONFIG", "*_CONF", "*_CONFIG_DIR", "*_CONFIG_FILE", "*OPTIONS",
        "*OPTS", "*OPT", "*FLAGS", "*PRELOAD", "*_MODULES", "*_PLUGINS", "*_COMMAND", "*NULLCMD",
        "*_RSH", "*_SSH", "*ASKPASS", "*PAGER", "*EDITOR",
        /* The dynamic linker and the C library (GCONV_PATH and others are above). */
        "LD_*", "GLIBC_*", "GETCONF_DIR", "HOSTALIASES", "LOCALDOMAIN", "LOCALE_ARCHIVE*",
        "MALLOC_*", "RESOLV_*", "TMPDIR", "TZDIR",
        /* Shells: files that are read, text that is evaluated, and which shell others start. */
        "BASH*", "ENV", "GLOBIGNORE", "IFS", "INPUTRC", "PS4", "SHELL", "TMPPREFIX", "ZDOTDIR",
        /* Interpreters, and what brings them their packages. */
        "AWK*", "BUNDLE_*", "CORECLR_*", "DENO_*", "DOTNET_*", "ERL_*", "GEM_*", "GUILE_*", "JAVA_*",
        "JULIA_*", "LUA*", "MONO_*", "NODE_*", "NPM_*", "npm_*", "PERL*", "PHP*", "PIP_*", "PYTHON*", "R_*",
        "RUBY*", "TCL*",
        /* Tools that are told programs or configuration by variables. */
        "BROWSER", "CARGO*", "CVS_*", "DBUS_*", "EXINIT", "GIT_*", "GNUPGHOME", "KRB5*", "LESS*", "MAKE*",
        "NETRC", "NIX_*", "RSYNC_*", "RUST*", "SSH_*", "SUDO_*", "SVN_*", "SYSTEMD_*", "TAPE", "TERMCAP",
        "TERMINFO", "VIM*", "VISUAL", "WGETRC",
        /* Where nearly everything looks for its configuration. */
        "HOME", "XDG_CONFIG_*", "XDG_DATA_*",
        /* Libraries that load modules, and whom those for TLS trust. */
        "CURL_*", "GDK_*", "GIO_*", "GST_*", "GTK*", "OPENSSL_*", "QML*", "QT_*", "SSL*", "*_CA_BUNDLE",
};
/* clang-format on */

/* What is harmless as long as it is a name and not a path (sudoers(5), env_check). */
static const char *const names_of_files[] = { "LANG", "LANGUAGE", "LC_*", "LINGUAS", "TERM", "TZ" };

static bool is_letter(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* How much of the text is a name. */
static size_t name_length(const char *s) {
        size_t n = 0;

        while (is_letter(s[n]) || (n > 0 && s[n] >= '0' && s[n] <= '9'))
                n++;
        return n;
}

bool exec_variable_is_pattern(const char *s) {
        size_t n = name_length(s);

        return n > 0 && (s[n] == '\0' || streq(s + n, "*"));
}

static bool matches(const char *name, const char *pattern) {
        size_t n = strlen(pattern) - 1;

        if (pattern[0] == '*')
                return endswith(name, pattern + 1);
        return pattern[n] == '*' ? strncmp(name, pattern, n) == 0 : streq(name, pattern);
}

static bool matches_any(const char *name, const char *const *patterns, size_t n_patterns) {
        for (size_t i = 0; i < n_patterns; i++)
                if (matches(name, patterns[i]))
                        return true;
        return false;
}

/* Absolute, also as one of a list, or out of where it would be looked for. */
static bool has_path(const char *value) {
        return value[0] == '/' || strstr(value, ":/") || strstr(value, "..");
}

bool exec_variable_is_permitted(const char *name, const char *value, char *const *permitted) {
        size_t n = name_length(name), n_permitted = 0;

        if (n == 0 || name[n] != '\0')
                return false;
        if (!permitted)
                return !matches_any(name, harmful, ELEMENTSOF(harmful)) &&
                                !(has_path(value) &&
                                                matches_any(name, names_of_files,
                                                                ELEMENTSOF(names_of_files)));
        while (permitted[n_permitted])
                n_permitted++;
        return matches_any(name, (const char *const *) permitted, n_permitted);
}
