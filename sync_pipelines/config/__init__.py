"""``accounts.yaml`` and the environment as typed settings; nothing else in the product reads ``os.environ``."""

from sync_pipelines.config.active import InForce, active_config, document_of, in_force
from sync_pipelines.config.alerts import AlertSettings
from sync_pipelines.config.database import available_database, embedded_server
from sync_pipelines.config.environment import Environment
from sync_pipelines.config.loading import load_config, parse_config
from sync_pipelines.config.models import Account, Config
from sync_pipelines.config.references import Reference, SecretLookup

__all__ = [
    "Account",
    "AlertSettings",
    "Config",
    "Environment",
    "InForce",
    "Reference",
    "SecretLookup",
    "active_config",
    "available_database",
    "document_of",
    "embedded_server",
    "in_force",
    "load_config",
    "parse_config",
]
