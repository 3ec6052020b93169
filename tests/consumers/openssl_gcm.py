# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""AES-GCM by OpenSSL's EVP in the provider pkcs11, in this process and in a forked child. Prints TAP; OPENSSL_CONF brings the provider."""
import ctypes
import os
import sys

INIT_LOAD_CONFIG, SET_TAG, GET_TAG = 0x40, 0x11, 0x10
TEXT, AAD, KEY, IV = b"what the file says", b"files/1", bytes(range(32)), bytes(12)

lib = ctypes.CDLL("libcrypto.so.3")
for name in ("EVP_CIPHER_fetch", "EVP_CIPHER_CTX_new", "EVP_CIPHER_get0_provider"):
    getattr(lib, name).restype = ctypes.c_void_p
lib.OSSL_PROVIDER_get0_name.restype = ctypes.c_char_p
count = failed = 0


def ok(good, sentence):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {sentence}", flush=True)


def crypt(cipher, sealing, data, tag):
    """None: refused. The provider opens at the first update, so that the tag comes before it."""
    context, length = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new()), ctypes.c_int()
    out, got = ctypes.create_string_buffer(len(data) + 32), 0
    good = lib.EVP_CipherInit_ex2(context, cipher, KEY, IV, sealing, None) == 1
    if not sealing:
        good = good and lib.EVP_CIPHER_CTX_ctrl(context, SET_TAG, 16, tag) == 1
    good = good and lib.EVP_CipherUpdate(context, None, ctypes.byref(length), AAD, len(AAD)) == 1
    good = good and lib.EVP_CipherUpdate(context, out, ctypes.byref(length), data, len(data)) == 1
    got += length.value
    good = good and lib.EVP_CipherFinal_ex(context, ctypes.byref(out, got), ctypes.byref(length)) == 1
    got += length.value
    if sealing:
        good = good and lib.EVP_CIPHER_CTX_ctrl(context, GET_TAG, 16, tag) == 1
    lib.EVP_CIPHER_CTX_free(context)
    return out.raw[:got] if good else None


def tries(where):
    cipher = ctypes.c_void_p(lib.EVP_CIPHER_fetch(None, b"AES-256-GCM", b"provider=pkcs11"))
    ok(cipher and lib.OSSL_PROVIDER_get0_name(ctypes.c_void_p(lib.EVP_CIPHER_get0_provider(cipher))) == b"pkcs11", f"the token has AES-256-GCM, {where}")
    tag = ctypes.create_string_buffer(16)
    sealed = crypt(cipher, 1, TEXT, tag)
    ok(sealed is not None and sealed != TEXT, f"it encrypts, {where}")
    ok(crypt(cipher, 0, sealed or b"", tag) == TEXT, f"and decrypts, {where}")
    tag[0] = bytes([tag.raw[0] ^ 1])
    ok(crypt(cipher, 0, sealed or b"", tag) is None, f"with another tag it is refused, {where}")
    lib.EVP_CIPHER_free(cipher)


def main():
    global count, failed
    lib.OPENSSL_init_crypto(ctypes.c_uint64(INIT_LOAD_CONFIG), None)
    tries("by EVP")
    pid = os.fork()
    if pid == 0:
        failed = 0
        tries("in a forked child")
        os._exit(failed)
    status = os.waitpid(pid, 0)[1]
    count += 4
    ok(status == 0, "the child ends well")
    print(f"1..{count}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
