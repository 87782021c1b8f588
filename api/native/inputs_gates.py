from api.fields import Choice, Flag, Input, Text, WholeNumber
from executions.gate_models import CapKind, SwitchKind
from executions.services.capping import MOST
from executions.services.switching import LONGEST_REASON


class SwitchInput(Input):
    kind = Choice(SwitchKind.choices, help_text="What is stopped.")
    value = Text(
        max_length=300,
        required=False,
        help_text="A connector's name, an effect class, or the name or id of a connection or playbook.",
    )
    reason = Text(max_length=LONGEST_REASON)
    blocks_reads = Flag(required=False, help_text="Calls that only read stop too. Default false.")
    everywhere = Flag(
        required=False, help_text="For all tenants: global, connector, effect_class; takes tenant:write. Default false."
    )


class LiftInput(Input):
    reason = Text(max_length=LONGEST_REASON)


class CapInput(Input):
    kind = Choice(CapKind.choices, help_text="What is counted.")
    value = Text(max_length=300, required=False, help_text="Name or id of a connection or playbook.")
    limit = WholeNumber(min_value=1, max_value=MOST, help_text="How many step runs may run at once.")
