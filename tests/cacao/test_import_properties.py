"""What holds for every document, however odd (CACAO.md 13, 19)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import strict_json
from playbooks.cacao import schema, stored
from playbooks.cacao.findings import RELAXED
from playbooks.cacao.importing import import_document
from playbooks.cacao.names import texts_in
from playbooks.cacao.types import Imported, Severity
from tests.cacao.documents import CATALOGUE, NOON, clean

CALM = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

#: words that mean something somewhere, so that odd documents are not merely nonsense
WORDS = sorted(
    {str(word) for step in clean()["workflow"].values() for word in step} | set(clean()) | set(clean()["workflow"])
)
texts = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(["", "__host__", "__host__:value", "$$a$$", "GET / HTTP/1.1", "bHM=", "x--y", "/", "~"]),
    st.text(max_size=8),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**20), st.floats(allow_nan=False, allow_infinity=False), texts
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def places_in(document: Any) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document."""
    found: list[tuple[Any, ...]] = []
    pending: list[tuple[Any, tuple[Any, ...]]] = [(document, ())]
    while pending:
        value, path = pending.pop()
        found.append(path)
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        pending.extend((member, (*path, name)) for name, member in members)
    return sorted(found, key=str)[1:]


PLACES = places_in(clean())


@st.composite
def mutants(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a clean playbook with up to three members replaced, added or taken away."""
    document = clean()
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PLACES))
        place: Any = document
        try:
            for token in path[:-1]:
                place = place[token]
            if draw(st.booleans()):
                place[path[-1]] = draw(values)
            elif isinstance(place, dict) and draw(st.booleans()):
                place[draw(texts)] = draw(values)
            else:
                del place[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return document


def at_both_levels(octets: bytes) -> tuple[Imported, Imported]:
    strict = import_document(octets, level="strict", catalogue=CATALOGUE, now=NOON)
    return strict, import_document(octets, level="lenient", catalogue=CATALOGUE, now=NOON)


def check(octets: bytes) -> None:
    """What holds whatever the octets are."""
    strict, lenient = at_both_levels(octets)
    for result in (strict, lenient):
        errors = [finding for finding in result.findings if finding.severity == Severity.ERROR]
        assert result.accepted is not bool(errors)
        assert (result.workflow is not None) is result.accepted
        for finding in result.findings:
            assert finding.message
            assert_points_into(result.document, finding.pointer)
    if strict.accepted:
        assert lenient.accepted
        assert strict.workflow == lenient.workflow
        assert strict.strict
    if lenient.workflow is not None:
        plain = stored.to_json(lenient.workflow)
        assert not any("\x00" in text for text in [*texts_in(plain), *names_in(plain)])
        as_json = json.dumps(plain, cls=strict_json.ExactEncoder)
        assert stored.from_json(json.loads(as_json, cls=strict_json.ExactDecoder)) == lenient.workflow
        assert strict_json.digest(strict_json.loads(octets, allow_nul=True)) == lenient.jcs_sha256


def names_in(value: Any) -> list[str]:
    places = places_in(value)
    return [name for path in places for name in path if isinstance(name, str)]


def assert_points_into(document: Any, pointer: str) -> None:
    """The place of a finding is there, or is a member that is missing from an object that is there."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    for depth, token in enumerate(tokens):
        if isinstance(document, dict) and token in document:
            document = document[token]
        elif isinstance(document, list):
            document = document[int(token)]
        else:
            assert depth == len(tokens) - 1, pointer
            assert isinstance(document, dict), pointer


@CALM
@given(octets=st.binary(max_size=40))
def test_octets_of_any_kind_are_answered_with_findings(octets: bytes) -> None:
    check(octets)


@CALM
@given(value=values)
def test_any_json_is_answered_with_findings(value: Any) -> None:
    check(json.dumps(value).encode())


@settings(CALM, max_examples=200)
@given(document=mutants())
def test_a_playbook_changed_at_random_is_answered_with_findings(document: dict[str, Any]) -> None:
    check(json.dumps(document).encode())


@settings(CALM, max_examples=200)
@given(document=mutants())
def test_what_strict_import_accepts_obeys_the_schemas(document: dict[str, Any]) -> None:
    octets = json.dumps(document).encode()
    strict, lenient = at_both_levels(octets)

    if strict.accepted and not schema.is_valid(octets):
        assert has_fault_of_the_schemas(document)
    if not schema.is_valid(octets) and lenient.accepted:
        assert {finding.code for finding in lenient.findings} & RELAXED or has_fault_of_the_schemas(document)


def has_fault_of_the_schemas(document: dict[str, Any]) -> bool:
    """Return whether the document holds what 13.1 lists as the schemas' own faults."""
    variables = [document.get("playbook_variables"), *(s.get("step_variables") for s in document["workflow"].values())]
    objects = [v.get("value") for owner in variables if isinstance(owner, dict) for v in owner.values()]
    no_delay = any(step.get("delay") in (0, 0.0) for step in document["workflow"].values())
    return no_delay or any(isinstance(value, dict) for value in objects) or has_reference_in_an_address(document)


def has_reference_in_an_address(document: dict[str, Any]) -> bool:
    for name in ("agent_definitions", "target_definitions"):
        for agent in document.get(name, {}).values():
            addresses = agent.get("address")
            for kind, listed in addresses.items() if isinstance(addresses, dict) else ():
                if kind != "dname" and "__host__:value" in listed:
                    return True
    return False
