"""What runs flows: plan (pure), worker and jobs in the server, task and stage in a child, jail inside that."""
