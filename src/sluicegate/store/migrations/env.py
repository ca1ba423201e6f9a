"""Alembic's entry: it works on the connection, and in the transaction, that ``Database.move`` hands in."""

from alembic import context

from sluicegate.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
