"""What the engine costs, measured side by side in one run: ``make bench``. See ``__main__``."""
