# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What servers of tests do until their socket is closed."""

import threading


def serve_each(listener, treat):
    """Calls treat(connection) in a thread for each connection; treat() closes it."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=treat, args=(connection,), daemon=True).start()
