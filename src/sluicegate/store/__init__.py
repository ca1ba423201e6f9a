"""What is kept: tenants, people, definitions, sealed secrets, runs and the audit trail, in SQLite or PostgreSQL.

``scope.Scope`` is the only way to a tenant's rows, ``scope.System`` to what belongs to no tenant;
``database.Database`` is the only file that knows which database it is. Importing this package loads no driver.
"""
