"""Sealed archives, a kind a file: age, OpenPGP, ZIP (AES-256). Each is written and read as a stream in constant memory.

What is used everywhere for data of our own (quarantine) is age; its functions stand here under their short names.
"""

from sluicegate.crypto.seal.age import check_recipient, new_identity, open_sealed, seal_to

__all__ = ["check_recipient", "new_identity", "open_sealed", "seal_to"]
