"""Where an installation, or a person's sign-in, lives on disk."""

import os
from collections.abc import Mapping
from pathlib import Path


def home(variables: Mapping[str, str] = os.environ) -> Path:
    """Return ``SLUICE_HOME``, or ``~/.sluicegate``."""
    return Path(variables.get("SLUICE_HOME") or Path.home() / ".sluicegate").absolute()
