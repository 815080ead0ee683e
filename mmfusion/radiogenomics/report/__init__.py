"""Content of the report about genotype and expression: its patients, its models, and its sentences."""
