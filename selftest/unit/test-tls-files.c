/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates and keys as they lie in files: which ones will do, and what they say. */
#include "stream-pair.h"
#include "text.h"
#include "tls-internal.h"

#include <fcntl.h>
#include <sys/stat.h>

static void check_files(int error, const char *text, const char *ca, const char *cert, const char *key) {
        _cleanup_(tls_context_unrefp) struct tls_context *tls = NULL;
        _cleanup_(freep) char *reason = NULL;

        cr_assert(tls_context_new(&tls, ca, cert, key, &reason) == error, "%s %s: %s", cert, key, reason);
        cr_assert(reason && strstr(reason, text), "%s", reason);
}

static const char *make_file(const char *name, const char *content, mode_t mode) {
        const char *path = cert_path(".", name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        cr_assert(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t) strlen(content));
        cr_assert(fchmod(fd, mode) == 0);
        close(fd);
        return path;
}

Test(tls_files, our_own_identity) {
        struct tls_context *tls = load_tls("admin-vm");

        cr_assert_str_eq(tls_context_identity(tls)->name, "admin-vm");
        cr_assert(tls_context_identity(tls)->n_ips == 2);
        tls_context_unref(tls);
        /* Expired is no reason not to start: the clock may be wrong. */
        tls_context_unref(load_tls("expired-vm"));
}

Test(tls_files, files_that_will_not_do) {
        const char *ca = cert_path("admin-vm", "ca-cert.pem"), *cert = cert_path("admin-vm", "cert.pem");
        const char *key = cert_path("admin-vm", "key.pem"), *junk = make_file("junk.pem", "junk\n", 0600);
        const char *empty = make_file("empty.pem", "", 0600);

        check_files(-ENOENT, "absent.pem: No such file", cert_path("admin-vm", "absent.pem"), cert, key);
        check_files(-ENOENT, "absent.pem: No such file", ca, cert_path("admin-vm", "absent.pem"), key);
        check_files(-ENOENT, "absent.pem: No such file", ca, cert, cert_path("admin-vm", "absent.pem"));
        check_files(-EBADMSG, "junk.pem: no usable CA", junk, cert, key);
        check_files(-EBADMSG, "empty.pem: no usable CA", empty, cert, key);
        check_files(-EBADMSG, "junk.pem: no usable certificate", ca, junk, key);
        check_files(-EBADMSG, "junk.pem: no usable private key", ca, cert, junk);
        check_files(-EBADMSG, "empty.pem: is empty", ca, cert, empty);
        check_files(-EBADMSG, "key.pem: is not the key of the certificate", ca, cert,
                        cert_path("expired-vm", "key.pem"));
        check_files(-EBADF, "is not a regular file", ca, cert, "/dev/null");
}

Test(tls_files, a_key_that_others_may_read) {
        static const mode_t modes[] = { 0640, 0604, 0660, 0620, 0444 };
        _cleanup_(freep) char *key = NULL;

        cr_assert(text_read_file(cert_path("admin-vm", "key.pem"), 65536, &key, NULL) == 0);
        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                check_files(-EKEYREJECTED, "others than its owner may read",
                                cert_path("admin-vm", "ca-cert.pem"), cert_path("admin-vm", "cert.pem"),
                                make_file("open.pem", key, modes[i]));
}

/* Of a credential, the group's permissions may be an ACL's mask: what others may do counts, and who may
 * write. */
Test(tls_files, a_key_that_the_service_manager_hands_over) {
        const char *ca = cert_path("admin-vm", "ca-cert.pem"), *cert = cert_path("admin-vm", "cert.pem");
        _cleanup_(freep) char *pem = NULL, *reason = NULL, *directory = NULL;
        struct tls_context *tls;
        const char *key;

        cr_assert(text_read_file(cert_path("admin-vm", "key.pem"), 65536, &pem, NULL) == 0);
        key = make_file("handed.pem", pem, 0440);
        cr_assert(setenv("CREDENTIALS_DIRECTORY", cert_path(".", "."), 1) == 0);
        check_files(-EKEYREJECTED, "others than its owner may read", ca, cert, key);
        cr_assert(setenv("CREDENTIALS_DIRECTORY", cert_path(".", ""), 1) == 0);
        check_files(-EKEYREJECTED, "others than its owner may read", ca, cert, key);

        directory = strndup(key, (size_t) (strrchr(key, '/') - key));
        cr_assert(setenv("CREDENTIALS_DIRECTORY", directory, 1) == 0);
        cr_assert(tls_context_new(&tls, ca, cert, key, &reason) == 0, "%s", reason);
        tls_context_unref(tls);
        check_files(-EKEYREJECTED, "others than its owner may read", ca, cert,
                        make_file("open.pem", pem, 0444));
        check_files(-EKEYREJECTED, "others than its owner may read", ca, cert,
                        make_file("open.pem", pem, 0460));
}

/* --- what certificates say --- */

Test(tls_files, a_certificate_is_told_to_people) {
        _cleanup_(tls_certificate_clear) struct tls_certificate certificate = TLS_CERTIFICATE_NULL;
        _cleanup_(freep) char *error = NULL;

        cr_assert_eq(tls_certificate_read(&certificate, cert_path("admin-vm", "cert.pem"), &error), 0);
        cr_assert_null(error);
        cr_assert_str_eq(certificate.subject, "/CN=admin-vm");
        cr_assert_str_eq(certificate.issuer, "/CN=GivcCA");
        cr_assert_lt(certificate.not_before, time(NULL));
        cr_assert_gt(certificate.not_after, time(NULL));
        cr_assert_str_eq(certificate.identity.name, "admin-vm");
        tls_certificate_clear(&certificate);
        cr_assert_eq(tls_certificate_read(&certificate, cert_path("expired-vm", "cert.pem"), &error), 0);
        cr_assert_lt(certificate.not_after, time(NULL));
}

static void check_no_certificate(const char *path, int expected, const char *text) {
        _cleanup_(tls_certificate_clear) struct tls_certificate certificate = TLS_CERTIFICATE_NULL;
        _cleanup_(freep) char *error = NULL;

        cr_assert_eq(tls_certificate_read(&certificate, path, &error), expected);
        cr_assert(error && strstr(error, text), "%s", error);
        cr_assert_null(certificate.subject);
}

Test(tls_files, what_is_no_certificate_is_not_told) {
        check_no_certificate(make_file("junk.pem", "junk\n", 0600), -EBADMSG, "junk.pem: no usable");
        check_no_certificate(make_file("empty.pem", "", 0600), -EBADMSG, "empty.pem: no usable");
        check_no_certificate(cert_path("admin-vm", "key.pem"), -EBADMSG, "key.pem: no usable");
        check_no_certificate(cert_path("admin-vm", "absent.pem"), -ENOENT, "absent.pem: No such file");
}

/* --- names in certificates --- */

Test(tls_files, no_byte_of_a_certificate_can_harm) {
        struct tls_identity identity;
        uint8_t der[4096], broken[4096];
        char command[1024];
        FILE *output;
        size_t n;

        snprintf(command, sizeof(command), "openssl x509 -in %s -outform DER",
                        cert_path("admin-vm", "cert.pem"));
        output = popen(command, "re");
        cr_assert(output);
        n = fread(der, 1, sizeof(der), output);
        cr_assert(pclose(output) == 0 && n > 200);
        cr_assert(tls_identity_from_der(&identity, der, n) == 0);
        cr_assert_str_eq(identity.name, "admin-vm");
        tls_identity_clear(&identity);

        /* Cut anywhere, and each byte changed: refused, or read, but never past its end (AddressSanitizer
         * watches). */
        for (size_t i = 0; i < n; i++) {
                _cleanup_(freep) uint8_t *exact = malloc(MAX(i, (size_t) 1));

                memcpy(exact, der, i);
                cr_assert(tls_identity_from_der(&identity, exact, i) == -EBADMSG);
                for (int change = 0; change < 3; change++) {
                        memcpy(broken, der, n);
                        broken[i] = (uint8_t) (change == 0 ? 0 : change == 1 ? 0xFF : broken[i] + 1);
                        if (tls_identity_from_der(&identity, broken, n) == 0)
                                tls_identity_clear(&identity);
                }
        }
}
