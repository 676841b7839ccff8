"""A look-alike of Grand Shooting's API."""
