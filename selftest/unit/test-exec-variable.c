/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exec-variable.h"

#include <criterion/criterion.h>

static void check(const char *name, const char *value, char *const *permitted, bool expected) {
        cr_expect_eq(exec_variable_is_permitted(name, value, permitted), expected, "%s=%s", name, value);
}

Test(exec_variable, what_others_are_known_to_act_on_is_refused) {
        /* clang-format off */
        static const char *const names[] = {
                /* ld.so(8): what is not let into set-user-ID programs */
                "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "HOSTALIASES", "LD_AUDIT", "LD_DEBUG_OUTPUT",
                "LD_LIBRARY_PATH", "LD_PRELOAD", "LOCALDOMAIN", "LOCPATH", "MALLOC_TRACE", "MALLOC_CHECK_",
                "NIS_PATH", "NLSPATH", "RESOLV_HOST_CONF", "RES_OPTIONS", "TMPDIR", "TZDIR",
                /* sudoers(5), env_delete */
                "IFS", "CDPATH", "TERMINFO", "TERMINFO_DIRS", "TERMPATH", "TERMCAP", "ENV", "BASH_ENV",
                "PS4", "GLOBIGNORE", "BASHOPTS", "SHELLOPTS", "JAVA_TOOL_OPTIONS", "PERLIO_DEBUG",
                "PERLLIB", "PERL5LIB", "PERL5OPT", "PERL5DB", "FPATH", "NULLCMD", "READNULLCMD", "ZDOTDIR",
                "TMPPREFIX", "PYTHONHOME", "PYTHONPATH", "PYTHONINSPECT", "PYTHONUSERBASE", "RUBYLIB",
                "RUBYOPT", "KRB5_CONFIG",
                /* and others */
                "PATH", "HOME", "SHELL", "BASH_FUNC_x", "PROMPT_COMMAND", "NODE_OPTIONS", "NODE_PATH",
                "npm_config_prefix", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "PYTHONSTARTUP",
                "PYTHONWARNINGS", "LUA_INIT", "LUA_INIT_5_4", "PHPRC", "PHP_INI_SCAN_DIR", "AWKLIBPATH",
                "GIT_SSH_COMMAND", "GIT_CONFIG_COUNT", "GIT_EXEC_PATH", "LESSOPEN", "MAKEFLAGS",
                "TAR_OPTIONS", "XZ_OPT", "NIX_CONFIG", "SYSTEMD_PAGER", "PAGER", "EDITOR", "VISUAL",
                "SSH_ASKPASS", "RSYNC_RSH", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_CONFIG_HOME", "GTK_MODULES",
                "GTK3_MODULES", "GIO_EXTRA_MODULES", "GDK_PIXBUF_MODULE_FILE", "QT_PLUGIN_PATH",
                "OPENSSL_CONF", "SSL_CERT_FILE", "SSLKEYLOGFILE", "DOTNET_STARTUP_HOOKS",
                "CREDENTIALS_DIRECTORY", "CONFIGURATION_DIRECTORY", "LOCALE_ARCHIVE", "LOCALE_ARCHIVE_2_27",
                "KUBECONFIG", "AWS_CONFIG_FILE", "ALSA_CONFIG_DIR", "FONTCONFIG", "NETRC", "ZIPOPT",
        };
        /* clang-format on */

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                check(names[i], "x", NULL, false);
}

Test(exec_variable, others_pass) {
        static const char *const names[] = { "CACHIX_AUTH_TOKEN", "FOO", "_x9", "LANG", "LC_ALL", "TZ",
                "TERM", "https_proxy", "DISPLAY", "XDG_RUNTIME_DIR", "USER", "PATHS", "LDX", "ENVIRONMENT",
                "HOMES" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                check(names[i], "x/y z", NULL, true);
}

Test(exec_variable, what_is_no_name_is_refused) {
        static const char *const names[] = { "", "A=B", "9A", "A B", "A-B", "a.b", "BASH_FUNC_x%%", "x()",
                "A\n", "\xc3\x84", "*", "A*" };
        char *permitted[] = { (char *) "A*", (char *) "BASH_FUNC_*", (char *) "x*", NULL };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                check(names[i], "x", NULL, false);
                check(names[i], "x", permitted, false);
        }
}

Test(exec_variable, languages_and_zones_are_names_and_not_files) {
        check("TZ", "Europe/Helsinki", NULL, true);
        check("TZ", "/tmp/zone", NULL, false);
        check("TZ", ":/tmp/zone", NULL, false);
        check("TZ", "Europe/../../../../tmp/zone", NULL, false);
        check("LANGUAGE", "fi:/tmp", NULL, false);
        check("LC_MESSAGES", "../tmp", NULL, false);
        check("TERM", "xterm-256color", NULL, true);
        check("OTHER", "/tmp", NULL, true);
}

Test(exec_variable, a_list_permits_what_is_in_it_and_nothing_else) {
        char *permitted[] = { (char *) "HOME", (char *) "LC_*", (char *) "GIT_SSL_CAINFO", NULL },
             *none[] = { NULL };

        check("HOME", "/root", permitted, true);
        check("GIT_SSL_CAINFO", "/etc/ca.pem", permitted, true);
        check("LC_", "x", permitted, true);
        check("LC_ALL", "/x", permitted, true);
        check("LC", "x", permitted, false);
        check("HOMES", "x", permitted, false);
        check("GIT_SSL", "x", permitted, false);
        check("FOO", "x", permitted, false);
        check("HOME", "/root", none, false);
}

Test(exec_variable, patterns) {
        static const char *const good[] = { "A", "_", "LC_*", "a9*", "__*" };
        static const char *const bad[] = { "", "*", "**", "*A", "A**", "A*B", "9", "A=", "A-*", "A B",
                "\xff" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                cr_expect(exec_variable_is_pattern(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_not(exec_variable_is_pattern(bad[i]), "%s", bad[i]);
}
