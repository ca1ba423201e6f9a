"""Every attack on a token, against an installation that runs: ``python -m sluicegate.conformance.tokens https://…``."""
