"""The parts of the Clips page."""
