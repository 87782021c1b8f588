"""What ``fake.run`` declares: it completes at once and reaches nothing."""

from connectors.base import EffectClass, OperationSpec

OPERATIONS = (
    OperationSpec(
        name="fake.run",
        title="Do nothing, and say so",
        effect=EffectClass.UNSAFE,
        reference="act-fake",
        command_types=("fake",),
        inputs={
            "type": "object",
            "properties": {"output": {"description": "Given back as the output."}},
            "additionalProperties": False,
        },
        outputs={},
        unsafe_reason="It stands for any connector, so it is treated as the weakest of them.",
    ),
)
