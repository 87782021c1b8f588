"""What the ``fake`` connector declares: each operation completes at once and reaches nothing."""

from datetime import timedelta

from connectors.base import EffectClass, OperationSpec

_INPUTS = {
    "type": "object",
    "properties": {"output": {"description": "Given back as the output."}},
    "additionalProperties": False,
}

OPERATIONS = (
    OperationSpec(
        name="fake.run",
        title="Do nothing, and say so",
        effect=EffectClass.UNSAFE,
        reference="act-fake",
        command_types=("fake",),
        inputs=_INPUTS,
        outputs={},
        unsafe_reason="It stands for any connector, so it is treated as the weakest of them.",
    ),
    OperationSpec(
        name="fake.read",
        title="Do nothing, as what only reads",
        effect=EffectClass.READ,
        reference="act-fake-read",
        inputs=_INPUTS,
        outputs={},
    ),
    OperationSpec(
        name="fake.keyed",
        title="Do nothing, as what may be repeated by its key",
        effect=EffectClass.KEYED,
        reference="act-fake-keyed",
        inputs=_INPUTS,
        outputs={},
        key_valid_for=timedelta(hours=24),
    ),
)
