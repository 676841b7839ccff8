"""The one object that ``workspace.yaml`` loads."""

from dagster import Definitions

defs = Definitions()
