"""Documents made here, and what is computed about a document."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from playbooks.cacao import schema, signing, writing
from playbooks.cacao.importing import import_document
from playbooks.cacao.markings import strictest_marking
from playbooks.cacao.summary import summary_of
from tests.cacao.documents import (
    CATALOGUE,
    END,
    MARKING,
    NOON,
    changed,
    clean,
    codes,
    imported,
    put,
)

RED = "marking-tlp--e828b379-4e03-4974-9ac4-e53a884c97c1"
OWN = "marking-tlp--00000000-0000-4000-8000-000000000401"


def test_equal_documents_are_written_as_equal_octets() -> None:
    backwards = dict(reversed(clean().items()))

    assert writing.dump(backwards) == writing.dump(clean())
    assert json.loads(writing.dump(clean())) == clean()


def test_properties_are_written_in_the_order_of_the_standard_without_what_is_empty() -> None:
    document = changed(put("labels", [])) | {"description": None, "x_own": 1}
    document["playbook_variables"]["__d__"] = {"value": {}, "type": "dictionary", "description": None}

    written = json.loads(writing.dump(document))

    assert list(written)[:4] == ["type", "spec_version", "id", "name"]
    assert list(written)[-1] == "x_own"
    assert "labels" not in written
    assert "description" not in written
    assert written["playbook_variables"]["__d__"] == {"type": "dictionary", "value": {}}


def test_what_is_written_is_imported_at_strict_level() -> None:
    result = import_document(writing.dump(clean()), level="strict", catalogue=CATALOGUE, now=NOON)

    assert result.findings == ()


def test_a_moment_is_written_in_utc_with_three_decimals() -> None:
    moment = datetime(2026, 3, 1, 13, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))

    assert writing.timestamp(moment) == "2026-03-01T12:00:00.123Z"
    assert writing.timestamp(NOON) == "2026-03-01T12:00:00.000Z"


def test_the_summary_is_computed() -> None:
    assert summary_of(clean()) == {
        "manual_playbook": False,
        "external_playbooks": True,
        "parallel_processing": True,
        "if_logic": True,
        "while_logic": True,
        "switch_logic": True,
        "temporal_logic": True,
        "data_markings": True,
        "digital_signatures": False,
        "countersigned_signatures": False,
        "extensions": True,
    }


@pytest.mark.parametrize(
    ("markings", "level"),
    [
        (None, None),
        ([MARKING], "TLP:GREEN"),
        ([MARKING, RED], "TLP:RED"),
        ([MARKING, OWN], "TLP:AMBER"),
        ([MARKING, "marking-statement--00000000-0000-4000-8000-000000000402"], "TLP:RED"),
    ],
)
def test_the_strictest_marking_counts_and_an_unknown_one_is_red(markings: list[str] | None, level: str | None) -> None:
    definition = {"type": "marking-tlp", "tlpv2_level": "TLP:AMBER"}

    assert strictest_marking({"markings": markings, "data_marking_definitions": {OWN: definition}}) == level


def test_signatures_are_judged_at_import() -> None:
    document = clean()
    about = {"id": "jss--00000000-0000-4000-8000-000000000501", "signee": "Security team"}
    times = {"created": document["modified"], "modified": document["modified"]}
    document["signatures"] = [signing.sign(document, key=Ed25519PrivateKey.generate(), signature=about | times)]
    tampered = document | {"name": "Another"}

    assert codes(imported(document)) == set()
    assert codes(imported(tampered)) == {"signature-invalid"}
    assert imported(tampered, level="strict").accepted


def test_only_so_many_signatures_are_judged() -> None:
    assert "signature-unchecked" in codes(imported(changed(put("signatures", [{"id": str(n)} for n in range(11)]))))


def test_the_schemas_are_part_of_the_project_with_their_licence() -> None:
    assert (Path(schema.SCHEMAS) / "LICENSE").read_text().startswith("                                 Apache License")
    assert schema.is_valid(json.dumps(clean()).encode())
    assert not schema.is_valid(json.dumps(changed(put("workflow", END, {}))).encode())


def test_validity_is_judged_where_the_time_is_given() -> None:
    octets = json.dumps(changed(put("valid_until", "2026-02-01T00:00:00.000Z"))).encode()

    assert codes(import_document(octets, level="lenient", catalogue=CATALOGUE)) == set()
    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert codes(import_document(octets, level="lenient", catalogue=CATALOGUE, now=later)) == {"outside-validity"}
