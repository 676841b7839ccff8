"""``python -m sync_pipelines.cli``."""

from sync_pipelines.cli import main

main()
