"""Files on disk: written whole, hashed, and cached as memory maps."""
