"""The one object that ``workspace.yaml`` loads: every vendor's definitions and the engine they share."""

import atexit
import gc

from sync_pipelines.opening import open_runtime
from sync_pipelines.orchestration import maintenance
from sync_pipelines.orchestration.engine import assemble
from sync_pipelines.registry import all_vendors, modules

gc.set_threshold(50_000)  # imports make no garbage worth looking for; looking after every 700 objects is a tenth of a run's start

defs = assemble([*(module.defs for module in modules("defs")), maintenance.definitions(all_vendors())], open_runtime)

atexit.register(gc.freeze)  # the interpreter of a single run looks through all objects again as it ends: half a second of nothing
