"""Widgets that return values."""
