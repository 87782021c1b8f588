"""Which properties each object of CACAO has, in the order in which they are written.

Source: CACAO Security Playbooks 2.0, the property tables of sections 3 to 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Shape = tuple[str, ...]


def _shape(text: str) -> Shape:
    return tuple(text.split())


PLAYBOOK: Final = _shape(
    """
    type spec_version id name description playbook_types playbook_activities playbook_processing_summary created_by
    created modified revoked valid_from valid_until derived_from related_to priority severity impact
    industry_sectors labels external_references markings playbook_variables workflow_start workflow_exception
    workflow playbook_extensions authentication_info_definitions agent_definitions target_definitions
    extension_definitions data_marking_definitions signatures
    """
)

_STEP = _shape("type name description external_references delay timeout step_variables owner")
_NEXT = _shape("on_completion on_success on_failure")
_LAST = _shape("step_extensions")
_ARGUMENTS = _shape("in_args out_args")

STEPS: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "start": (*_STEP, *_NEXT, *_LAST),
        "end": (*_STEP, *_NEXT, *_LAST),
        "action": (*_STEP, "commands", "agent", "targets", *_ARGUMENTS, *_NEXT, *_LAST),
        "playbook-action": (*_STEP, "playbook_id", "playbook_version", *_ARGUMENTS, *_NEXT, *_LAST),
        "parallel": (*_STEP, "next_steps", *_NEXT, *_LAST),
        "if-condition": (*_STEP, "condition", "on_true", "on_false", *_NEXT, *_LAST),
        "while-condition": (*_STEP, "condition", "on_true", "on_false", *_NEXT, *_LAST),
        "switch-condition": (*_STEP, "switch", "cases", *_NEXT, *_LAST),
    }
)

_COMMAND = _shape("type description version playbook_activity external_references")
_TEXT_COMMAND = (*_COMMAND, "command", "command_b64")

COMMANDS: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "manual": _TEXT_COMMAND,
        "bash": _TEXT_COMMAND,
        "ssh": _TEXT_COMMAND,
        "powershell": _TEXT_COMMAND,
        "caldera-cmd": _TEXT_COMMAND,
        "http-api": (*_COMMAND, "command", "headers", "content", "content_b64"),
        "openc2-http": (*_COMMAND, "command", "headers", "content_b64"),
        "elastic": (*_COMMAND, "command_b64"),
        "jupyter": (*_COMMAND, "command_b64"),
        "kestrel": (*_COMMAND, "command_b64"),
        "sigma": (*_COMMAND, "command_b64"),
        "yara": (*_COMMAND, "command_b64"),
    }
)

_AGENT = _shape("type name description location")
_AGENT_LAST = _shape("agent_target_extensions")
#: the text accepts a port of a net-address too
_MACHINE = (*_AGENT, "address", "port", "authentication_info", "category", *_AGENT_LAST)
_PEOPLE = (*_AGENT, "contact", *_AGENT_LAST)

AGENTS: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "individual": _PEOPLE,
        "group": _PEOPLE,
        "organization": _PEOPLE,
        "location": (*_AGENT, "logical", *_AGENT_LAST),
        "sector": (*_AGENT, "sector", *_AGENT_LAST),
        "http-api": _MACHINE,
        "ssh": _MACHINE,
        "linux": _MACHINE,
        "net-address": _MACHINE,
        "security-category": (*_AGENT, "category", *_AGENT_LAST),
    }
)

_AUTHENTICATION = _shape("type name description")
_AUTHENTICATION_LAST = _shape("kms kms_key_identifier authentication_info_extensions")

AUTHENTICATION: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "http-basic": (*_AUTHENTICATION, "user_id", "password", *_AUTHENTICATION_LAST),
        "oauth2": (*_AUTHENTICATION, "oauth_header", "token", *_AUTHENTICATION_LAST),
        "user-auth": (*_AUTHENTICATION, "username", "password", *_AUTHENTICATION_LAST),
        "authentication-info": (*_AUTHENTICATION, "username", "password", *_AUTHENTICATION_LAST),
        "private-key": (*_AUTHENTICATION, "private_key", "password", "username", *_AUTHENTICATION_LAST),
    }
)

VARIABLE: Final = _shape("type description value constant external")
EXTERNAL_REFERENCE: Final = _shape("name description source url external_id reference_id")
CONTACT: Final = _shape("email phone contact_details")
ADDRESS: Final = _shape("dname ipv4 ipv6 l2mac vlan url")
LOCATION: Final = _shape(
    """
    name description building_details network_details region country administrative_area city street_address
    postal_code latitude longitude precision
    """
)
SUMMARY: Final = _shape(
    """
    manual_playbook external_playbooks parallel_processing if_logic while_logic switch_logic temporal_logic
    data_markings digital_signatures countersigned_signatures extensions
    """
)
SIGNATURE: Final = _shape(
    """
    type id created_by created modified revoked signee valid_from valid_until related_to related_version
    hash_algorithm algorithm public_key public_cert_chain cert_url thumbprint value signature
    """
)
EXTENSION: Final = _shape("type name description created_by schema version external_references")

_MARKING = _shape(
    "type id name description created_by created revoked valid_from valid_until labels external_references"
)
_MARKING_LAST = _shape("marking_extensions")

MARKINGS: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "marking-statement": (*_MARKING, "statement", *_MARKING_LAST),
        "marking-tlp": (*_MARKING, "tlpv2_level", *_MARKING_LAST),
        "marking-iep": (
            *_MARKING,
            *_shape(
                """
                tlp iep_version start_date end_date encrypt_in_transit permitted_actions
                affected_party_notifications attribution unmodified_resale
                """
            ),
            *_MARKING_LAST,
        ),
    }
)
