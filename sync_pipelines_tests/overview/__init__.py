"""The picture that page, JSON, metrics and command line share."""
