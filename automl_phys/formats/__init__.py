"""Formats that a finished run is exported to: one file, one word that a user writes."""
