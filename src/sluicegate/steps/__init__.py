"""Steps, one file each; the file's name is the type."""
