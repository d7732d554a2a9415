"""The sections of the Efficiency page."""
