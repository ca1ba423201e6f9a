"""Finds secrets and rows where they must not lie, however spelled: plant canaries, do everything, then look."""
