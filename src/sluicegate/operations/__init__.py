"""The use cases, as one table. HTTP routes, OpenAPI, the command line and the security matrix are projections of it."""

from sluicegate.operations import (
    definitions,
    explore,
    factors,
    invitations,
    keys,
    mail,
    people,
    profile,
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
    *invitations.OPERATIONS,
    *profile.OPERATIONS,
    *mail.OPERATIONS,
    *tenancy.OPERATIONS,
    *definitions.OPERATIONS,
    *explore.OPERATIONS,
    *runs.OPERATIONS,
    *secrets.OPERATIONS,
    *system.OPERATIONS,
)
