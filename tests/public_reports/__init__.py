"""One small generated input for each public bug report of this field, with the right answer."""
