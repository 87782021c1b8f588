"""A fin written with SOARCA's Python library (MQTT), unmodified: ``pong.py PORT FIN_ID CAPABILITY_ID``.

Runs in an environment of its own. It says on standard output what it was told, and ends when it is unregistered.
"""

import sys

from soarca_fin_python_library.models.agent_structure import AgentStructure  # type: ignore[import-not-found]
from soarca_fin_python_library.models.capability_structure import CapabilityStructure  # type: ignore[import-not-found]
from soarca_fin_python_library.models.command import Command  # type: ignore[import-not-found]
from soarca_fin_python_library.models.external_reference import ExternalReference  # type: ignore[import-not-found]
from soarca_fin_python_library.models.result_structure import ResultStructure  # type: ignore[import-not-found]
from soarca_fin_python_library.models.step_structure import StepStructure  # type: ignore[import-not-found]
from soarca_fin_python_library.models.variable import Variable  # type: ignore[import-not-found]
from soarca_fin_python_library.soarca_fin import SoarcaFin  # type: ignore[import-not-found]

port, fin_id, capability_id = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def pong(command: Command) -> ResultStructure:
    print(f"told {command.command.command}", flush=True)
    answer = Variable(
        type="string", name="__out__", description="", value=f"pong to {command.command.command}", constant=False,
        external=False,
    )  # fmt: skip
    return ResultStructure(state="success", context=command.command.context, variables={"__out__": answer})


fin = SoarcaFin(fin_id)
fin.set_config_MQTT_server("127.0.0.1", port, None, None)
step = StepStructure(
    name="ping", description="answers pong", command="ping", target=capability_id,
    external_references=[ExternalReference(name="none", description="none")],
)  # fmt: skip
capability = CapabilityStructure(
    capability_id=capability_id, type="action", name="pong", version="0.0.1", step={"action--1": step},
    agent={"soarca-fin--1": AgentStructure(name="soarca-fin-pong")},
)  # fmt: skip
fin.create_fin_capability(capability, pong)
fin.start_fin()
print("left", flush=True)
