# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A fake of AWS for tests: KMS as the real one answers (tests/fake_kms/README.md), the services that hand out credentials,
and faults to order. Standard library only; it shares no code with the module."""

from .server import FakeAws  # noqa: F401
