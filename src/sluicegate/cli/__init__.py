"""The command line: projections of the operations table, and a few commands of its own."""
