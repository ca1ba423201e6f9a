"""The HTTP side: routes made from the operations table, headers, and the built UI. No logic."""
