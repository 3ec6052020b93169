# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates for servers of tests, made by the program openssl, which must be there."""

import os
import subprocess
import time

CURVE = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
NAMES = "IP:127.0.0.1,DNS:localhost,DNS:kms.localhost,DNS:kms.example"


def openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(words)}: {done.stderr}")


class Authority:
    """A CA in a folder: ca.path is its certificate."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.path, self.key = self.file("pem"), self.file("key")
        openssl("req", "-x509", "-newkey", *CURVE, "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.path)

    def file(self, end):
        return os.path.join(self.folder, f"{self.name}.{end}")

    def certify(self, title, names=NAMES, days=2):
        """(certificate, key) for a server of these names, from now on for some days; 0: it has just ended."""
        key, request, certificate, lines = (self.file(f"{title}.{end}") for end in ("key", "csr", "pem", "ext"))
        with open(lines, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={names}\n")
        openssl("req", "-newkey", *CURVE, "-subj", "/CN=server", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-CAcreateserial", "-days", str(days), "-extfile", lines,
                "-out", certificate)
        if days == 0:  # "-days -1" is refused by newer releases
            time.sleep(1.1)
        return certificate, key


def self_signed(folder):
    key, certificate = os.path.join(folder, "self.key"), os.path.join(folder, "self.pem")
    openssl("req", "-x509", "-newkey", *CURVE, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", f"subjectAltName={NAMES}", "-keyout", key,
            "-out", certificate)
    return certificate, key
