"""Necks, which exchange features between the scales of a list of maps, and keep the sizes of the maps."""
