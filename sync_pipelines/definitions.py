"""The one object that ``workspace.yaml`` loads: every vendor's definitions and the engine they share."""

from dagster import Definitions, in_process_executor

from sync_pipelines.opening import open_runtime
from sync_pipelines.orchestration import maintenance
from sync_pipelines.orchestration.engine import Engine, use_runtime
from sync_pipelines.registry import modules

use_runtime(open_runtime)

defs = Definitions.merge(
    *(module.defs for module in modules("defs")),
    maintenance.defs,
    Definitions(resources={"engine": Engine()}, executor=in_process_executor),
)
