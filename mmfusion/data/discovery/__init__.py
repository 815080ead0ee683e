"""A manifest from a user's own folders."""
