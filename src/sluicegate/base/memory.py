"""What keeps others out of the memory of a process that holds keys or secrets (SEC-V07)."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def close() -> None:
    """Leave no core, and let nobody but root look into this process: no debugger, no ``/proc/PID/mem`` (prctl(2)).

    What it starts is open again until it says so itself: executing a program resets it. Raises ``OSError``.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        fault = ctypes.get_errno()
        raise OSError(fault, os.strerror(fault), "prctl")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
