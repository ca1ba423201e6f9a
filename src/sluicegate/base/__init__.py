"""Values that every floor shares. Nothing here does input or output, but for settings and log."""
