/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls-internal.h"

#include "log.h"

#include <gcrypt.h>
#include <unistd.h>

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

/*
 * AES-GCM by libgcrypt for a wolfSSL that was built without the processor's AES instructions (Debian's): 14
 * times as fast. libgcrypt is in the process anyway, by way of libsystemd.
 *
 * wolfSSL's crypto callback gets the key, not the connection, and setting up a key costs as much as several
 * small records. So the session says who it is before it calls wolfSSL, and keeps one handle for each
 * direction; the key is set again when it is another one: after the handshake, and on a KeyUpdate.
 */

#define TLS_AES_DEVICE 0x67637279 /* any number that no other device of wolfSSL's has */
#define GCM_IV_BYTES   12         /* RFC 5116 section 5.1 */
#define GCM_TAG_BYTES  16

static struct tls_aes *current;
static bool allow_tables;

void tls_aes_enter(struct tls_aes *aes) {
        current = aes;
}

void tls_aes_clear(struct tls_aes *aes) {
        for (size_t i = 0; i < ELEMENTSOF(aes->keys); i++)
                gcry_cipher_close(aes->keys[i].handle);
        explicit_bzero(aes, sizeof(*aes));
        if (current == aes)
                current = NULL;
}

static gcry_cipher_hd_t set_key(struct tls_aes_key *key, const Aes *aes) {
        uint32_t n = aes->keylen > 0 ? (uint32_t) aes->keylen : 0;
        int algorithm;

        if (n == key->n_key && memcmp(key->key, aes->devKey, n) == 0)
                return key->handle;
        if (n == 16)
                algorithm = GCRY_CIPHER_AES128;
        else if (n == 32)
                algorithm = GCRY_CIPHER_AES256;
        else
                return NULL;

        if (n != key->n_key) {
                gcry_cipher_close(key->handle);
                key->handle = NULL;
                key->n_key = 0;
                if (gcry_cipher_open(&key->handle, algorithm, GCRY_CIPHER_MODE_GCM, 0) != 0)
                        return NULL;
        }
        if (gcry_cipher_setkey(key->handle, aes->devKey, n) != 0) {
                gcry_cipher_close(key->handle);
                *key = (struct tls_aes_key){};
                return NULL;
        }
        memcpy(key->key, aes->devKey, n);
        key->n_key = n;
        return key->handle;
}

/* A handle ready for one message, or NULL where libgcrypt cannot do it. */
static gcry_cipher_hd_t begin(struct tls_aes_key *key, const Aes *aes, const byte *iv, word32 n_iv,
                const byte *extra, word32 n_extra) {
        gcry_cipher_hd_t handle;

        if (n_iv != GCM_IV_BYTES)
                return NULL;
        handle = set_key(key, aes);
        if (!handle || gcry_cipher_setiv(handle, iv, n_iv) != 0 ||
                        gcry_cipher_authenticate(handle, extra, n_extra) != 0 ||
                        gcry_cipher_final(handle) != 0)
                return NULL;
        return handle;
}

static int encrypt(wc_CryptoInfo *info) {
        const __typeof__(info->cipher.aesgcm_enc) *job = &info->cipher.aesgcm_enc;
        gcry_cipher_hd_t handle;

        if (job->sz == 0 || job->authTagSz != GCM_TAG_BYTES)
                return CRYPTOCB_UNAVAILABLE;
        handle = begin(&current->keys[1], job->aes, job->iv, job->ivSz, job->authIn, job->authInSz);
        if (!handle)
                return CRYPTOCB_UNAVAILABLE;
        if (gcry_cipher_encrypt(handle, job->out, job->sz, job->in, job->sz) != 0 ||
                        gcry_cipher_gettag(handle, job->authTag, job->authTagSz) != 0)
                return WC_HW_E;
        return 0;
}

static int decrypt(wc_CryptoInfo *info) {
        const __typeof__(info->cipher.aesgcm_dec) *job = &info->cipher.aesgcm_dec;
        gcry_cipher_hd_t handle;

        if (job->sz == 0 || job->authTagSz != GCM_TAG_BYTES)
                return CRYPTOCB_UNAVAILABLE;
        handle = begin(&current->keys[0], job->aes, job->iv, job->ivSz, job->authIn, job->authInSz);
        if (!handle)
                return CRYPTOCB_UNAVAILABLE;
        if (gcry_cipher_decrypt(handle, job->out, job->sz, job->in, job->sz) != 0)
                return WC_HW_E;
        if (gcry_cipher_checktag(handle, job->authTag, job->authTagSz) != 0) {
                /* RFC 5116 section 2.2: what is not authentic is not given out. */
                memset(job->out, 0, job->sz);
                return AES_GCM_AUTH_E;
        }
        return 0;
}

void tls_aes_allow_tables(bool allow) {
        allow_tables = allow;
}

static int on_crypto(int device, wc_CryptoInfo *info, void *context) {
        /* Before each operation with a public or private key: no point is ever used a second time. */
        if (info->algo_type == WC_ALGO_TYPE_PK && !allow_tables)
                wc_ecc_fp_free();
        if (!current || info->algo_type != WC_ALGO_TYPE_CIPHER || info->cipher.type != WC_CIPHER_AES_GCM)
                return CRYPTOCB_UNAVAILABLE;
        return info->cipher.enc ? encrypt(info) : decrypt(info);
}

/* Out of memory while it sets itself up, libgcrypt has no way to say so; its own answer, abort(), looks like
 * a bug of ours. */
static void on_fatal(void *userdata _unused_, int error _unused_, const char *text) {
        log_error("libgcrypt has failed: %s", strempty(text));
        _exit(EXIT_FAILURE);
}

int tls_aes_device(void) {
        if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) {
                gcry_set_fatalerror_handler(on_fatal, NULL);
                if (!gcry_check_version("1.10.0"))
                        return -EOPNOTSUPP;
                gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
        }
        if (wc_CryptoCb_RegisterDevice(TLS_AES_DEVICE, on_crypto, NULL) != 0)
                return -ENOMEM;
        return TLS_AES_DEVICE;
}
