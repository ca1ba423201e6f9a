"""The use cases, as one table. HTTP routes, OpenAPI, the command line and the security matrix are projections of it."""

from sluicegate.operations import (
    definitions,
    downloads,
    explore,
    factors,
    keys,
    people,
    runs,
    secrets,
    session,
    system,
    tenancy,
)

OPERATIONS = (
    *session.OPERATIONS,
    *keys.OPERATIONS,
    *factors.OPERATIONS,
    *people.OPERATIONS,
    *tenancy.OPERATIONS,
    *definitions.OPERATIONS,
    *explore.OPERATIONS,
    *runs.OPERATIONS,
    *downloads.OPERATIONS,
    *secrets.OPERATIONS,
    *system.OPERATIONS,
)
