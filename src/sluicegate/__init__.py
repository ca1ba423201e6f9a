"""Sluicegate: a self-hosted data-integration platform whose security is the product."""

__version__ = "0.1.0"
