"""The words that CACAO Security Playbooks 2.0 knows, and which properties each object has.

Vocabularies are open (an unknown word is a warning) unless they are said to be closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PLAYBOOK_TYPES: Final = frozenset(
    "attack detection engagement investigation mitigation notification prevention remediation".split()
)

ACTIVITIES: Final = frozenset(
    """
    compose-content deliver-content identify-audience identify-channel scan-system match-indicator
    analyze-collected-data identify-indicators scan-vulnerabilities configure-systems restrict-access
    disconnect-system eliminate-risk revert-system restore-data restore-capabilities map-network identify-steps
    step-sequence prepare-engagement execute-operation analyze-engagement-results
    """.split()
)

COMMAND_TYPES: Final = frozenset(
    """
    manual bash ssh powershell caldera-cmd http-api openc2-http elastic jupyter kestrel sigma yara
    """.split()
)

#: words of other tools for a command type, and the type that is meant
COMMAND_ALIASES: Final[Mapping[str, str]] = MappingProxyType({"openc2": "openc2-http", "attack-cmd": "caldera-cmd"})

#: their command is the start line of a request
HTTP_COMMANDS: Final = frozenset({"http-api", "openc2-http"})

#: their command comes as base64 only
ENCODED_COMMANDS: Final = frozenset({"elastic", "jupyter", "kestrel", "sigma", "yara"})

PEOPLE_TYPES: Final = frozenset({"individual", "group", "organization", "location", "sector"})
MACHINE_TYPES: Final = frozenset({"http-api", "ssh", "linux", "net-address"})
AGENT_TYPES: Final = PEOPLE_TYPES | MACHINE_TYPES | {"security-category"}

AUTHENTICATION_TYPES: Final = frozenset({"http-basic", "oauth2", "user-auth"})

SECURITY_CATEGORIES: Final = frozenset(
    """
    aaa analytics caldera content-gateway desktop endpoint firewall handset ids ips kali manx orchestrator os-linux
    os-mac os-windows ragdoll redcanary-atomicred router sandcat server siem switch ticketing tip wireless
    """.split()
)

INDUSTRY_SECTORS: Final = frozenset(
    """
    aerospace agriculture automotive aviation biotechnology chemical commercial construction consulting cosmetics
    critical-infrastructure dams defense education electronics-hardware emergency-services energy financial food
    gambling government healthcare human-rights humanitarian-aid information-communications-technology
    legal-services local-government lodging logistics-shipping manufacturing maritime media metals mining
    national-government non-profit non-renewable-energy nuclear petroleum pharmaceuticals public-services
    regional-government renewable-energy research software telecommunications transportation utilities video-game
    water
    """.split()
)

SIGNATURE_ALGORITHMS: Final = frozenset(
    """
    RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512 Ed25519 Ed448 XMSS-SHA2_10_256 XMSS-SHA2_16_256
    XMSS-SHA2_20_256 LMS_SHA256_M32_H5 LMS_SHA256_M32_H10 LMS_SHA256_M32_H15 LMS_SHA256_M32_H20 LMS_SHA256_M32_H25
    """.split()
)

#: TLP levels, strictest first
TLP_LEVELS: Final = ("TLP:RED", "TLP:AMBER+STRICT", "TLP:AMBER", "TLP:GREEN", "TLP:CLEAR")

#: the five fixed objects of the standard, known without a definition
TLP_MARKINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "marking-tlp--e828b379-4e03-4974-9ac4-e53a884c97c1": "TLP:RED",
        "marking-tlp--939a9414-2ddd-4d32-a0cd-375ea402b003": "TLP:AMBER+STRICT",
        "marking-tlp--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "TLP:AMBER",
        "marking-tlp--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "TLP:GREEN",
        "marking-tlp--94868c89-83c2-464b-929b-a1a8aa3c8487": "TLP:CLEAR",
    }
)

#: Extensions read here, by the `type` inside them
OUTPUT_EXTENSION: Final = "sallyport-output"
OUTPUT_EXTENSION_ID: Final = "extension-definition--d4cf702b-682c-45dd-adda-829d0d5de258"
ASSIGNMENT_EXTENSION: Final = "soarca-assignment"
CHECK_EXTENSION: Final = "sallyport-check"
CHECK_EXTENSION_ID: Final = "extension-definition--e25df54f-aaeb-4716-b6a6-25297e71b454"
#: Extensions that are at home here, so nobody has to define them in the document
KNOWN_EXTENSIONS: Final = frozenset(
    {OUTPUT_EXTENSION_ID, CHECK_EXTENSION_ID, "extension-definition--418ee24c-9cb1-46d9-afa5-309e01aabc7f"}
)

#: Names that mean the output of the step that returns them (12.10), and where each is taken from
RESULT_VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "__soarca_ssh_result__": "output",
        "__soarca_http_api_result__": "output",
        "__soarca_openc2_http_result__": "output",
        "__soarca_powershell_result__": "output",
        "__soarca_powershell_error__": "stderr",
        "__soarca_caldera_cmd_result__": "output",
        "__soarca_manual_result__": "output",
        "__result__": "output",
        "__stderr__": "stderr",
        "__exit_code__": "exit_code",
        "__http_status__": "status",
    }
)

#: Names that begin so belong to the engine (D25)
RESERVED_PREFIX: Final = "__sallyport_"
