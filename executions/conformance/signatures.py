"""Compares signature checking with the vectors of a `vectors.json`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import DomainError
from core.strict_json import loads
from executions.conformance.files import read
from executions.conformance.verdicts import Verdict
from playbooks.cacao import signing


def judge(path: Path, name: str) -> list[Verdict]:
    """Return a verdict for every vector, and one for the version 5 id."""
    vectors = read(path)
    now = datetime.fromisoformat(vectors["now"])
    verdicts = [_vector(vector, name, now) for vector in vectors.get("vectors", [])]
    if "uuid5" in vectors:
        verdicts.append(_identifier(vectors["uuid5"], name))
    return verdicts


def _vector(vector: dict[str, Any], name: str, now: datetime) -> Verdict:
    text = vector.get("playbook_text")
    document = loads(text.encode(), allow_nul=True) if text is not None else vector["playbook"]
    status = signing.verify(document, signature_id=vector["signature_id"], now=now).status
    problems = [] if status == vector["result"] else [f"expected {vector['result']}, found {status}"]
    signature = next(s for s in signing.signatures_of(document) if s.get("id") == vector["signature_id"])
    try:
        digest = signing.digest(document, signature)
    except (DomainError, KeyError) as error:
        digest = f"none ({error})"
    if vector["result"] != "unsupported" and digest != vector["digest"]:
        problems.append(f"digest: expected {vector['digest']}, found {digest}")
    return Verdict("signature", f"{name}: {vector['name']}", tuple(problems))


def _identifier(vector: dict[str, Any], name: str) -> Verdict:
    given = loads(vector["name_text"].encode())
    found = signing.playbook_id(name=given["name"], playbook_types=given["playbook_types"])
    problems = () if found == vector["id"] else (f"expected {vector['id']}, found {found}",)
    return Verdict("signature", f"{name}: version 5 id", problems)
