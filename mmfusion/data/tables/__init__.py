"""Reading of gene-expression and health-record tables: files, headers, cells and units."""
