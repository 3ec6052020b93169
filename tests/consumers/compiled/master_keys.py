# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""OpenStack Barbican's plugin p11_crypto: master keys in the token, a key for each project wrapped by them, secrets encrypted by that
key. What configures it is also in docs/consumers.md. Prints TAP."""
import os
import subprocess
import sys
import traceback

from barbican.common import exception
from barbican.plugin.crypto import base, p11_crypto, pkcs11
from oslo_config import cfg

SETTINGS = """
[p11_crypto_plugin]
library_path = %s
token_labels = acme
login = %s
mkek_label = prod/mkek
mkek_length = 32
hmac_label = prod/mkek/hmac
hmac_key_type = CKK_GENERIC_SECRET
hmac_mechanism = CKM_SHA256_HMAC
encryption_mechanism = CKM_AES_GCM
key_wrap_mechanism = %s
key_wrap_generate_iv = %s
"""
PIN = os.environ.get("CMEK_TEST_PIN")  # where the token wants a login; Barbican always does
LOGIN = PIN or "1234"
SECRET = b"what a tenant keeps"
count = failed = 0


def test(sentence, check):
    global count, failed
    count += 1
    try:
        check()
        print(f"ok {count} - {sentence}", flush=True)
    except Exception:  # whatever it is, it is counted
        failed += 1
        print(f"not ok {count} - {sentence}")
        print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)


def refused(check):
    try:
        check()
    except exception.BarbicanException:
        return
    raise AssertionError("this was not refused")


def same(one, other):
    assert one == other, "the texts differ"


def configured(folder, module, wrap, generate_iv):
    path = os.path.join(folder, f"{wrap}.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(SETTINGS % (module, LOGIN, wrap, generate_iv))
    conf = cfg.ConfigOpts()
    conf.register_group(p11_crypto.p11_crypto_plugin_group)
    conf.register_opts(p11_crypto.p11_crypto_plugin_opts, group=p11_crypto.p11_crypto_plugin_group)
    conf(["--config-file", path])
    return conf


def make_master_keys(module):
    """As `barbican-manage hsm gen_mkek` and `gen_hmac` do."""
    lib = pkcs11.PKCS11(library_path=module, login_passphrase=LOGIN, token_labels=["acme"], rw_session=True, slot_id=1,
                        encryption_mechanism="CKM_AES_GCM", hmac_mechanism="CKM_SHA256_HMAC", key_wrap_mechanism="CKM_AES_KEY_WRAP_KWP")
    session = lib.get_session()
    for label in ("prod/mkek", "prod/other"):
        lib.generate_key("CKK_AES", 32, "CKM_AES_KEY_GEN", session, label, master_key=True, encrypt=True, wrap=True)
    lib.generate_key("CKK_GENERIC_SECRET", 32, "CKM_GENERIC_SECRET_KEY_GEN", session, "prod/mkek/hmac", master_key=True, sign=True)
    lib.return_session(session)
    lib.finalize()


def kek(name):
    return base.KEKMetaDTO(type("Kek", (), {"plugin_name": "x", "kek_label": name, "plugin_meta": None, "algorithm": None, "bit_length": None, "mode": None}))


def tries(conf, wrap):
    """A project's key is wrapped; another process, that is to say a plugin started anew, unwraps it."""
    plugin = p11_crypto.P11CryptoPlugin(conf=conf)
    meta = kek(f"tenant-{wrap}")
    test(f"a project's key is made and wrapped by {wrap}", lambda: plugin.bind_kek_metadata(meta))
    sealed = plugin.encrypt(base.EncryptDTO(SECRET), meta, "tenant")
    test(f"it encrypts a secret, after {wrap}", lambda: same(SECRET in sealed.cypher_text, False))
    plugin.pkcs11.finalize()
    plugin = p11_crypto.P11CryptoPlugin(conf=conf)

    def opened(label=None):
        meta_then = kek(meta.kek_label)
        meta_then.plugin_meta = meta.plugin_meta if label is None else meta.plugin_meta.replace("prod/mkek\"", f"{label}\"")
        return plugin.decrypt(base.DecryptDTO(sealed.cypher_text), meta_then, sealed.kek_meta_extended, "tenant")

    if wrap != "CKM_AES_CBC_PAD":  # whose padding a wrong key meets once in 256 times
        test(f"another zone does not unwrap the key, after {wrap}", lambda: refused(lambda: opened("prod/other")))
    test(f"after a restart the key is unwrapped and decrypts the secret, after {wrap}", lambda: same(opened(), SECRET))
    plugin.pkcs11.finalize()


def main(module, folder):
    version = subprocess.run([sys.executable, "-m", "pip", "show", "barbican"], capture_output=True, text=True, check=True).stdout
    if PIN is None:
        print(f"# consumer: OpenStack Barbican's p11_crypto | {version.split('Version: ')[1].split()[0]} | whole hierarchy")
    test("the master keys are made in the token", lambda: make_master_keys(module))
    for wrap, generate_iv in (("CKM_AES_KEY_WRAP_KWP", False), ("CKM_AES_CBC_PAD", True)):
        tries(configured(folder, module, wrap, generate_iv), wrap)


if __name__ == "__main__":
    main(*sys.argv[1:])
    print(f"1..{count}")
    sys.exit(failed > 0)
