"""Migrations of the store, applied by ``Database.migrate``. Shipped with the package."""
