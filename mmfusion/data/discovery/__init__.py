"""Make a manifest from a user's own folders."""
