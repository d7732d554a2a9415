"""The dashboard: pages and widgets on top of the library."""
