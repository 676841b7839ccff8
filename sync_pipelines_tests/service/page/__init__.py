"""The status page over HTTP."""
