# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""rescue_many.py KEYS COUNT FOLDER...: COUNT envelopes of envelope_driver, spread over the folders, by tools/rescue.py,
loaded once, since starting Python costs more than opening them."""
import argparse
import importlib.util
import os
import sys

path = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "rescue.py")
spec = importlib.util.spec_from_file_location("rescue", path)
rescue = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rescue)

keys, count, folders = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
arguments = argparse.Namespace(local_keys=keys, region=None, root_key=None)
files = sorted(os.path.join(folder, name) for folder in folders for name in os.listdir(folder))
for file in files[:: len(files) // count][:count]:
    name = os.path.basename(file)
    with open(file, "rb") as opened:
        envelope = rescue.Envelope(opened)
        envelope.check_name(name if int(name) % 2 else None)
        text = b"".join(envelope.chunks(envelope.unlock(arguments)))
    assert text == name.encode(), file
    count -= 1
assert count == 0
