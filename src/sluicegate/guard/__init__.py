"""The gate and what stands beside it: policy, login, tokens, vault, audit, limits."""
