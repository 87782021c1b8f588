"""What ``fin.job`` declares: a step that is left to a fin."""

from datetime import timedelta

from connectors.base import EffectClass, OperationSpec

JOB = OperationSpec(
    name="fin.job",
    title="Leave a step to a fin",
    effect=EffectClass.UNSAFE,
    call_limit=timedelta(seconds=60),
    unsafe_reason="What a fin does is known to its author only; a rule of the tenant may say more of a capability.",
)
OPERATIONS = (JOB,)
