"""One file per command or group; each has ``register(app)``, which `cli.app` calls."""
