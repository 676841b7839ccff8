"""``accounts.yaml`` and the environment as typed settings; nothing else in the product reads ``os.environ``."""

from sync_pipelines.config.active import InForce, active_config, in_force, read_file
from sync_pipelines.config.alerts import AlertSettings
from sync_pipelines.config.database import available_database, embedded_server
from sync_pipelines.config.environment import Environment
from sync_pipelines.config.loading import load_config, parse_config
from sync_pipelines.config.models import Account, Config
from sync_pipelines.config.references import SecretLookup
from sync_pipelines.config.sealing import sealed

__all__ = [
    "Account",
    "AlertSettings",
    "Config",
    "Environment",
    "InForce",
    "SecretLookup",
    "active_config",
    "available_database",
    "embedded_server",
    "in_force",
    "load_config",
    "parse_config",
    "read_file",
    "sealed",
]
