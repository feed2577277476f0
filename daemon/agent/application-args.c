/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "application-args.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Not of <ctype.h>, whose answers depend on the locale. */
static bool is_alnum(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_hex(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool application_argument_is_flag(const char *s) {
        if (*s++ != '-')
                return false;
        if (*s == '-')
                s++;
        /* "-" is a program's standard input, "--" ends its flags. */
        if (!is_alnum(*s))
                return false;
        while (is_alnum(*s) || *s == '_' || *s == '-')
                s++;
        return *s == '\0';
}

/* --- URLs --- */

/* The part of s after the scheme, or NULL. RFC 3986 section 3.1: schemes are case-insensitive. */
static const char *skip_scheme(const char *s, bool *ret_needs_host) {
        static const struct {
                const char *scheme;
                bool needs_host;
        } schemes[] = {
                { "https:", true },
                { "http:", true },
                { "element:", false },
                { "io.element.desktop:", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(schemes); i++) {
                size_t n = strlen(schemes[i].scheme);

                if (strncasecmp(s, schemes[i].scheme, n) == 0) {
                        *ret_needs_host = schemes[i].needs_host;
                        return s + n;
                }
        }
        return NULL;
}

/* RFC 3986 section 3.2.2: a name or IPv4 address, or an IPv6 address in brackets. NULL: neither. */
static const char *skip_host(const char *s) {
        const char *begin = s;

        if (*s == '[') {
                for (s++; is_hex(*s) || *s == ':' || *s == '.';)
                        s++;
                return *s == ']' && s - begin > 2 ? s + 1 : NULL;
        }
        while (is_alnum(*s) || *s == '.' || *s == '-' || *s == '_')
                s++;
        return s > begin ? s : NULL;
}

/* "//host:port" (sections 3.2, 3.2.3). User information is what would need an "@" in here. */
static const char *skip_authority(const char *s) {
        if (s[0] != '/' || s[1] != '/')
                return NULL;
        s = skip_host(s + 2);
        if (s && *s == ':')
                for (s++; *s >= '0' && *s <= '9';)
                        s++;
        return s && (*s == '\0' || *s == '/' || *s == '?' || *s == '#') ? s : NULL;
}

/* Sections 2.1 to 2.3 and 3.3, without those that a shell acts upon: ! $ & ' ( ) * ; */
static const char *skip_characters(const char *s, const char *more) {
        while (*s) {
                if (*s == '%') {
                        if (!is_hex(s[1]) || !is_hex(s[2]))
                                return s;
                        s += 3;
                } else if (is_alnum(*s) || strchr("-._~:@/+,=", *s) || strchr(more, *s))
                        s++;
                else
                        return s;
        }
        return s;
}

bool application_argument_is_url(const char *s) {
        const char *begin;
        bool needs_host;

        begin = s = skip_scheme(s, &needs_host);
        if (s && (needs_host || startswith(s, "//")))
                s = skip_authority(s);
        if (!s)
                return false;
        s = skip_characters(s, "");
        if (*s == '?')
                s = skip_characters(s + 1, "?&");
        if (*s == '#')
                s = skip_characters(s + 1, "?");
        return *s == '\0' && s > begin;
}

/* --- files --- */

bool application_path_is_clean(const char *s) {
        if (s[0] != '/' || strlen(s) >= APPLICATION_ARGUMENT_MAX)
                return false;
        for (const char *p = s; *p; p++)
                if ((unsigned char) *p < ' ' || *p == '\x7f')
                        return false;
        if (s[1] == '\0')
                return true;
        while (*s) {
                size_t n = strcspn(++s, "/");

                if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
                        return false;
                s += n;
        }
        return true;
}

/* What of path is below directory, "." for directory itself; NULL: it is not in there. Both are clean. */
static const char *path_below(const char *path, const char *directory) {
        const char *rest = streq(directory, "/") ? path : startswith(path, directory);

        if (!rest || (*rest != '/' && *rest != '\0'))
                return NULL;
        return rest[0] == '\0' || rest[1] == '\0' ? "." : rest + 1;
}

/* O_PATH: what is looked at is not opened, and so not disturbed (a device, a pipe). */
static int check_below(const char *directory, const char *below) {
        struct open_how how = {
                .flags = O_PATH | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
        };
        _cleanup_(closep) int top = -1, fd = -1;
        struct stat st;

        top = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (top < 0)
                return -errno;
        fd = (int) syscall(SYS_openat2, top, below, &how, sizeof(how));
        if (fd < 0)
                return errno == EXDEV ? -EACCES : -errno; /* EXDEV: it leads out of there */
        if (fstat(fd, &st) < 0)
                return -errno;
        return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? 0 : -EBADF;
}

int application_argument_check_file(const char *path, char *const *directories) {
        int error = -EACCES;

        if (!application_path_is_clean(path))
                return -EINVAL;
        for (; *directories; directories++) {
                const char *below = path_below(path, *directories);
                int r;

                if (!below)
                        continue;
                r = check_below(*directories, below);
                if (r == 0)
                        return 0;
                error = r;
        }
        return error;
}

/* --- all kinds --- */

static const char *file_refusal(const char *s, char *const *directories) {
        switch (application_argument_check_file(s, directories)) {
        case 0:
                return NULL;
        case -EINVAL:
                return "is not a clean absolute path: no \"//\", \".\", \"..\" or control characters";
        case -EACCES:
                return "is not in a directory from which this application takes files";
        case -ENOENT:
        case -ENOTDIR:
                return "is not there";
        case -EBADF:
                return "is neither a file nor a directory";
        default:
                return "cannot be looked at";
        }
}

const char *application_argument_refusal(const char *s, unsigned kinds, char *const *directories) {
        if (strlen(s) >= APPLICATION_ARGUMENT_MAX)
                return "is too long";
        if (s[0] == '-') {
                if (!(kinds & APPLICATION_FLAG))
                        return "is a flag, and this application takes none";
                return application_argument_is_flag(s) ? NULL
                                                       : "is not a flag of letters, digits, \"_\" and \"-\"";
        }
        if (s[0] == '/') {
                if (!(kinds & APPLICATION_FILE))
                        return "is a path, and this application takes none";
                return file_refusal(s, directories);
        }
        if (!(kinds & APPLICATION_URL))
                return "is of a kind that this application does not take";
        return application_argument_is_url(s) ? NULL
                                              : "is not an URL (http, https, element) without user "
                                                "information and shell characters";
}
