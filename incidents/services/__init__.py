"""Everything that is written about incidents. Each service is one transaction."""

from incidents.services.answers import KeyUsed, keep_answer, take_key
from incidents.services.ingesting import FLOOD_CAP, FLOOD_WINDOW, Reported, report_incidents
from incidents.services.issues import set_outside_token
from incidents.services.lifecycle import CannotMove, assign_incident, edit_incident, move_incident, name_of

__all__ = [
    "FLOOD_CAP",
    "FLOOD_WINDOW",
    "CannotMove",
    "KeyUsed",
    "Reported",
    "assign_incident",
    "edit_incident",
    "keep_answer",
    "move_incident",
    "name_of",
    "report_incidents",
    "set_outside_token",
    "take_key",
]
