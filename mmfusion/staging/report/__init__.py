"""Contents of a staging report: its patients, models and results."""
