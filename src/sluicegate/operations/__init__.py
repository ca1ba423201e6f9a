"""The use cases, as one table. HTTP routes, OpenAPI, the command line and the security matrix are projections of it."""

from sluicegate.operations import (
    definitions,
    explore,
    factors,
    keys,
    people,
    runs,
    secrets,
    session,
    sso,
    system,
    tenancy,
)

OPERATIONS = (
    *session.OPERATIONS,
    *keys.OPERATIONS,
    *factors.OPERATIONS,
    *people.OPERATIONS,
    *tenancy.OPERATIONS,
    *sso.OPERATIONS,
    *definitions.OPERATIONS,
    *explore.OPERATIONS,
    *runs.OPERATIONS,
    *secrets.OPERATIONS,
    *system.OPERATIONS,
)
