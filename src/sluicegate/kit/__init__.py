"""What a plugin author imports. ``net`` and ``paths`` are the only ways out of the process."""
