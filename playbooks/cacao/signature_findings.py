"""Tells at import what the signatures of a playbook are worth.

Source: CACAO.md 11 (D32). Whom a tenant trusts and whether it requires signatures is decided where that is known.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

from playbooks.cacao import signing
from playbooks.cacao.findings import Report, below
from playbooks.cacao.reading import Json

#: Each one takes a canonical form of the whole document; a playbook that carries more has them checked on demand.
MAX_CHECKED: Final = 10


def check_signatures(document: Json, report: Report, now: datetime) -> None:
    """Warn of each signature that is not valid at ``now``, as ``signature-invalid``, ``signature-expired``, ..."""
    given = document.get("signatures")
    signatures = given if isinstance(given, list) else []
    identifiers = [signature.get("id") if isinstance(signature, dict) else None for signature in signatures]
    count = Counter(identifier for identifier in identifiers if isinstance(identifier, str))
    for index, identifier in enumerate(identifiers[:MAX_CHECKED]):
        at = below("/signatures", index)
        if not isinstance(identifier, str) or count[identifier] > 1:
            report.warn("signature-invalid", at, "A signature is a JSON object with an `id` of its own.")
            continue
        found = signing.verify(document, signature_id=identifier, now=now)
        if found.status != "valid":
            code = f"signature-{found.status.replace('_', '-')}"
            report.warn(code, at, found.reason or f"The signature is {found.status.replace('_', ' ')}.")
    if len(signatures) > MAX_CHECKED:
        message = f"The playbook carries {len(signatures)} signatures; the first {MAX_CHECKED} were checked."
        report.warn("signature-unchecked", "/signatures", message)
