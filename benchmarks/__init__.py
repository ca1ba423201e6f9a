"""The performance suite: what the project promises, measured on this machine, in one run."""
