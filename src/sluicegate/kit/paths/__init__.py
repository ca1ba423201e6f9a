"""The only way to files: everything opens beneath a directory handle, through no link, whatever the name says.

Names are checked before the system sees them; files are published whole or not at all.
"""

from sluicegate.kit.paths.draft import Draft
from sluicegate.kit.paths.names import PART_BYTES, PATH_BYTES, check, check_file, is_companion
from sluicegate.kit.paths.root import Entry, Root

__all__ = ["PART_BYTES", "PATH_BYTES", "Draft", "Entry", "Root", "check", "check_file", "is_companion"]
