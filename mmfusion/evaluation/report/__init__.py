"""Content of the reports about leaks and about published numbers: sentences and tables."""
