"""The command type ``manual``: a request to people. It is known here so that the catalogue is whole."""

from connectors.base import EffectClass, OperationSpec

OPERATIONS = (
    OperationSpec(
        name="manual",
        title="Ask a person",
        effect=EffectClass.READ,
        command_types=("manual",),
    ),
)
