"""Grand Shooting: one main catalogue fanned out to secondary accounts."""
