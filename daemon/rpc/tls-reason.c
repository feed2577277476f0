/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls-internal.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

/* What went wrong, in words for the journal: each says what an operator would look at next. */
static const struct {
        int wolfssl;
        int error;
        const char *text;
} reasons[] = {
        { NO_PEER_CERT, -EKEYREJECTED, "peer sent no certificate" },
        { NO_PEER_VERIFY, -EKEYREJECTED, "peer did not prove that it holds its certificate's key" },
        { ASN_AFTER_DATE_E, -EKEYEXPIRED, "peer's certificate has expired" },
        { ASN_BEFORE_DATE_E, -EKEYREJECTED,
                        "peer's certificate is not yet valid (or the clock here is slow)" },
        { ASN_NO_SIGNER_E, -EKEYREJECTED, "peer's certificate is of an unknown CA" },
        { ASN_SELF_SIGNED_E, -EKEYREJECTED, "peer's certificate is self-signed, not of our CA" },
        { ASN_SIG_CONFIRM_E, -EKEYREJECTED, "peer's certificate bears a false signature" },
        { ASN_PATHLEN_INV_E, -EKEYREJECTED, "peer's certificate chain is longer than its CA permits" },
        { ASN_NAME_INVALID_E, -EKEYREJECTED, "peer's certificate has a name that its CA may not certify" },
        { ASN_CRIT_EXT_E, -EKEYREJECTED,
                        "peer's certificate has a critical extension that is not known here" },
        { NOT_CA_ERROR, -EKEYREJECTED, "peer's certificate was issued by one that is no CA" },
        { MAX_CHAIN_ERROR, -EKEYREJECTED, "peer's certificate chain is too long" },
        { KEYUSE_SIGNATURE_E, -EKEYREJECTED, "peer's certificate is not for signatures (key usage)" },
        { EXTKEYUSE_AUTH_E, -EKEYREJECTED,
                        "peer's certificate is not for this side of TLS (extended key usage)" },
        { VERIFY_CERT_ERROR, -EKEYREJECTED, "peer's certificate was refused" },
        { VERIFY_SIGN_ERROR, -EKEYREJECTED, "peer did not prove that it holds its certificate's key" },
        { SIG_VERIFY_E, -EKEYREJECTED, "peer did not prove that it holds its certificate's key" },
        { VERIFY_FINISHED_ERROR, -EPROTO, "the handshake was tampered with (Finished)" },
        { VERSION_ERROR, -EPROTONOSUPPORT, "peer offers no TLS 1.3 (protocol version)" },
        { UNSUPPORTED_PROTO_VERSION, -EPROTONOSUPPORT, "peer offers no TLS 1.3 (protocol version)" },
        { UNKNOWN_ALPN_PROTOCOL_NAME_E, -EPROTO, "peer does not offer h2 (ALPN)" },
        { MATCH_SUITE_ERROR, -EPROTO, "no cipher suite in common" },
        { UNSUPPORTED_SUITE, -EPROTO, "no cipher suite in common" },
        { KEY_SHARE_ERROR, -EPROTO, "no key exchange group in common" },
        { BAD_KEY_SHARE_DATA, -EPROTO, "no key exchange group in common" },
        { UNKNOWN_RECORD_TYPE, -EPROTO, "peer sent what is no TLS record" },
        { PARSE_ERROR, -EPROTO, "peer sent a malformed record" },
        { DECRYPT_ERROR, -EBADMSG, "a record is not authentic" },
        { VERIFY_MAC_ERROR, -EBADMSG, "a record is not authentic" },
        { AES_GCM_AUTH_E, -EBADMSG, "a record is not authentic" },
        { MAC_CMP_FAILED_E, -EBADMSG, "a record is not authentic" },
        { MEMORY_E, -ENOMEM, "out of memory" },
        { MEMORY_ERROR, -ENOMEM, "out of memory" },
};

const char *tls_reason(int wolfssl_error, int *ret_error) {
        for (size_t i = 0; i < ELEMENTSOF(reasons); i++) {
                if (reasons[i].wolfssl != wolfssl_error)
                        continue;
                *ret_error = reasons[i].error;
                return reasons[i].text;
        }
        *ret_error = -EPROTO;
        return NULL;
}

const char *tls_alert_name(int alert) {
        switch (alert) {
        case 0:
                return "close_notify";
        case 10:
                return "unexpected_message";
        case 20:
                return "bad_record_mac";
        case 22:
                return "record_overflow";
        case 40:
                return "handshake_failure";
        case 42:
                return "bad_certificate";
        case 43:
                return "unsupported_certificate";
        case 44:
                return "certificate_revoked";
        case 45:
                return "certificate_expired";
        case 46:
                return "certificate_unknown";
        case 47:
                return "illegal_parameter";
        case 48:
                return "unknown_ca";
        case 49:
                return "access_denied";
        case 50:
                return "decode_error";
        case 51:
                return "decrypt_error";
        case 70:
                return "protocol_version";
        case 71:
                return "insufficient_security";
        case 80:
                return "internal_error";
        case 86:
                return "inappropriate_fallback";
        case 90:
                return "user_canceled";
        case 109:
                return "missing_extension";
        case 110:
                return "unsupported_extension";
        case 112:
                return "unrecognized_name";
        case 113:
                return "bad_certificate_status_response";
        case 115:
                return "unknown_psk_identity";
        case 116:
                return "certificate_required";
        case 120:
                return "no_application_protocol";
        default:
                return "unknown";
        }
}
