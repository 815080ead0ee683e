"""Tables of expression and health records: files, headers, cells and units."""
