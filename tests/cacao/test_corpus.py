"""Real playbooks by others, judged as their folder says (``expected/README.md`` there)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import strict_json
from playbooks.cacao import check, schema, stored
from playbooks.cacao.findings import RELAXED
from playbooks.cacao.importing import import_document
from playbooks.cacao.types import Imported, Severity
from playbooks.cacao.vocabularies import COMMAND_TYPES
from tests.cacao.documents import CATALOGUE

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "playbooks"
EXPECTED = FOLDER / "expected" / "import.json"

pytestmark = pytest.mark.skipif(not EXPECTED.exists(), reason="the playbooks of others are not at hand")


def _cases() -> list[Any]:
    if not EXPECTED.exists():
        return []
    files = json.loads(EXPECTED.read_bytes())["files"]
    return [pytest.param(name, expected, id=Path(name).stem) for name, expected in files.items()]


def _octets(name: str) -> bytes:
    return (EXPECTED.parent / name).read_bytes()


def _import(name: str, level: str) -> Imported:
    stored_ids = frozenset(
        json.loads(path.read_bytes())["id"] for path in FOLDER.glob("own/*[a-z].json") if ".trace" not in path.name
    )
    return import_document(_octets(name), level=level, catalogue=replace(CATALOGUE, playbooks=stored_ids))


def _errors(imported: Imported) -> set[str]:
    return {finding.code for finding in imported.findings if finding.severity == Severity.ERROR}


def _relaxations(imported: Imported) -> set[str]:
    return {finding.code for finding in imported.findings if finding.code in RELAXED}


@pytest.mark.parametrize(("name", "expected"), _cases())
def test_a_playbook_is_imported_as_expected(name: str, expected: dict[str, Any]) -> None:
    strict, lenient = _import(name, "strict"), _import(name, "lenient")

    assert strict.accepted is expected["strict"]["accepted"], _errors(strict)
    assert lenient.accepted is expected["lenient"]["accepted"], _errors(lenient)
    if lenient.accepted:
        assert _relaxations(lenient) == set(expected["lenient"]["relaxations"])
        assert _errors(strict) == _relaxations(lenient)
        assert lenient.jcs_sha256 == expected["jcs_sha256"]
        assert hashlib.sha256(strict_json.canonical(lenient.document)).hexdigest() == expected["jcs_sha256"]
    else:
        for imported in (strict, lenient):
            assert _errors(imported)
            assert _errors(imported) <= set(expected["strict"]["errors"])
        assert _errors(lenient) & set(expected["lenient"]["errors"])


@pytest.mark.parametrize(("name", "expected"), _cases())
def test_the_schemas_judge_a_playbook_as_expected(name: str, expected: dict[str, Any]) -> None:
    assert schema.is_valid(_octets(name)) is expected["schema_valid_draft07"]


@pytest.mark.parametrize(("name", "expected"), _cases())
def test_a_compiled_playbook_is_stored_and_read_back_unchanged(name: str, expected: dict[str, Any]) -> None:
    workflow = _import(name, "lenient").workflow
    if workflow is not None:
        assert stored.from_json(json.loads(json.dumps(stored.to_json(workflow)))) == workflow


@pytest.mark.parametrize(
    "name", [f"../own/{path.name}" for path in sorted(FOLDER.glob("own/*.json")) if "trace" not in path.name]
)
def test_our_own_playbooks_have_no_findings_of_the_import(name: str) -> None:
    assert [finding for finding in _import(name, "strict").findings if finding.code not in check.CODES] == []


def test_the_command_types_of_the_catalogue_are_those_of_the_vocabulary() -> None:
    assert CATALOGUE.command_types.keys() == COMMAND_TYPES
