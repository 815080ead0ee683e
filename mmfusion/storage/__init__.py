"""Storage of files: atomic writing, hashes, locks, fingerprints of scans, and a cache of arrays."""
