"""The use cases, as one table. HTTP routes, OpenAPI, the command line and the security matrix are projections of it."""

from sluicegate.operations import (
    definitions,
    explore,
    factors,
    keys,
    people,
    roles,
    runs,
    secrets,
    session,
    support,
    system,
    tenancy,
    tenants,
)

OPERATIONS = (
    *session.OPERATIONS,
    *keys.OPERATIONS,
    *factors.OPERATIONS,
    *people.OPERATIONS,
    *roles.OPERATIONS,
    *tenants.OPERATIONS,
    *tenancy.OPERATIONS,
    *support.OPERATIONS,
    *definitions.OPERATIONS,
    *explore.OPERATIONS,
    *runs.OPERATIONS,
    *secrets.OPERATIONS,
    *system.OPERATIONS,
)
