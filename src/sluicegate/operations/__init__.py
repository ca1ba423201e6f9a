"""The use cases, as one table. HTTP routes, OpenAPI, the command line and the security matrix are projections of it."""

from sluicegate.operations import definitions, explore, keys, people, rules, runs, secrets, session, system

OPERATIONS = (
    *session.OPERATIONS,
    *keys.OPERATIONS,
    *people.OPERATIONS,
    *rules.OPERATIONS,
    *definitions.OPERATIONS,
    *explore.OPERATIONS,
    *runs.OPERATIONS,
    *secrets.OPERATIONS,
    *system.OPERATIONS,
)
