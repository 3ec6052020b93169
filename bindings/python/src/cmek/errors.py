# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, by kind (include/cmek/cmek.h has the kinds)."""

from __future__ import annotations

import os
from typing import Dict, Type


class Error(Exception):
    """Its text says what happened to which project, database or file, and what to do."""

    def __init__(self, text: str, may_pass: bool = False, request_id: str = ""):
        super().__init__(text)
        self.may_pass = may_pass
        """Whether the same call may succeed when it is tried again."""
        self.request_id = request_id
        """What to quote to AWS; "" where no KMS was asked."""

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return type(self), (str(self), self.may_pass, self.request_id)


class Denied(Error):
    """The KMS says no, the key is disabled or gone, or a PIN is missing or wrong: stop."""


class Unavailable(Error):
    """KMS, credentials or store are out of reach: try again later."""


class NotFound(Error):
    """There is no such project, database, key or module."""


class Refused(Error):
    """A rule: another zone than expected, a name that is missing or wrong, a limit, a bad argument."""


class Damaged(Error):
    """It was changed, cut short or extended; or a record or the store is damaged."""


class NotAnEnvelope(Error):
    """Plain data, nothing at all, or another program's."""


class Newer(Error):
    """A later release is needed to read it."""


class UntrustedRoot(Error):
    """It could be opened by a root key that no project here trusts."""


class Failed(Error):
    """No memory, a module that does not work, a fault of ours."""


IO = 9
KINDS: Dict[int, Type[Error]] = {
    1: Denied,
    2: Unavailable,
    3: NotFound,
    4: Refused,
    5: Damaged,
    6: NotAnEnvelope,
    7: Newer,
    8: UntrustedRoot,
    10: Failed,
}


def system_error(number: int, text: str) -> OSError:
    """As Python's own: FileNotFoundError, PermissionError and so on, by the number."""
    return OSError(number, text or os.strerror(number))
