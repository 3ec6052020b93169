# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Data sealed under a database's key, which a KMS key of one's own is above: messages, files, streams and ranges.

    zone = cmek.open().zone("prod/orders")
    sealed = zone.seal(b"row 1", name="orders/1")
    zone.unseal(sealed, name="orders/1")

Clients and zones may be used by many threads; a child of fork goes on with both, and with files that it reads by `Client.open` or
`Client.range`. A writer or reader that was begun before the fork stays the parent's."""

from __future__ import annotations

from typing import Optional

from ._native import library as _library
from .client import ALL_PROCESSORS, Client, Name, Path, Zone
from .errors import Damaged, Denied, Error, Failed, Newer, NotAnEnvelope, NotFound, Refused, Unavailable, UntrustedRoot
from .streams import Range, Reader, Writer

__all__ = ["open", "Client", "Zone", "Writer", "Reader", "Range", "Error", "Denied", "Unavailable", "NotFound", "Refused", "Damaged",
           "NotAnEnvelope", "Newer", "UntrustedRoot", "Failed", "Name", "Path", "library_version", "ALL_PROCESSORS"]

library_version: str = _library.cmek_version().decode()


def open(module: Optional[Path] = None, configuration: Optional[Path] = None, project: Optional[str] = None,  # noqa: A001
         pin: Optional[str] = None) -> Client:
    """A client. Without arguments: the module where it was installed ($CMEK_PKCS11_MODULE), its configuration where that is
    ($CMEK_PKCS11_CONF), all projects. Asks no KMS."""
    return Client(module, configuration, project, pin)
