"""Finds columns that look personal, by what they are called and by what stands in them."""
