"""Necks exchange features between the scales of a list of maps and keep their sizes."""
