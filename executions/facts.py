"""The engine's facts, read from the rows of one locked execution."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from executions import statements
from executions.engine.facts import ROOT, ScopeFact
from executions.rows import ExecutionRow, scope_id
from executions.statements import StepOutput


class StoredFacts:
    """Facts of one execution; what was read once in a turn is not read again."""

    def __init__(self, execution: ExecutionRow) -> None:
        self.execution = execution
        self._scopes: dict[str, ScopeFact] = {}
        self._outputs: list[StepOutput] | None = None

    def in_turn(self, execution: ExecutionRow) -> StoredFacts:
        """The same scopes for a later turn; what other steps put out is read anew."""
        return self.with_scopes(execution, self._scopes.values())

    @classmethod
    def with_scopes(cls, execution: ExecutionRow, scopes: Iterable[ScopeFact]) -> StoredFacts:
        facts = cls(execution)
        facts._scopes = {scope.path: scope for scope in scopes}
        return facts

    def chain_and(self, execution: ExecutionRow, scope: ScopeFact) -> StoredFacts:
        """The same scopes and one more, as it was read from its row."""
        return self.with_scopes(execution, [*self._scopes.values(), scope])

    def load_chain(self, scope: UUID) -> None:
        for found in statements.scope_chain(scope):
            self._scopes.setdefault(found.path, found)

    def scope(self, path: str) -> ScopeFact | None:
        if path not in self._scopes:
            self.load_chain(scope_id(self.execution.id, path))
        return self._scopes.get(path)

    def branches(self, opener: str, parent: str) -> Sequence[ScopeFact]:
        return statements.branches(self.execution.id, opener, parent)

    def has_open_branch(self, opener: str, parent: str, *, besides: Collection[str]) -> bool:
        return statements.has_open_branch(self.execution.id, opener, parent, besides=besides)

    def template_context(self, path: str, step_id: str) -> Mapping[str, Any]:  # noqa: ARG002 (the engine's port)
        """The trigger's object, parameters, inputs and asset as stored at the start, and the steps so far.

        ``previous_step`` is the last one that ended in this branch or around it, so that it does not depend on what
        the other branches of a parallel have come to.
        """
        if self._outputs is None:
            self._outputs = statements.step_outputs(self.execution.id)
        around = _around(path)
        before = [visit.told for visit in self._outputs if visit.is_over and visit.scope_path in around]
        return {
            **self.execution.inputs,
            "steps": {visit.step_id: visit.told for visit in self._outputs},
            "previous_step": before[-1] if before else None,
        }


class NotKnown(Exception):
    """The engine asks for what only the rows can tell."""


class KnownFacts(StoredFacts):
    """What was read so far, and nothing more.

    Whether a sibling branch is open is not known either; the answer is yes, and whoever asks has to make sure of it.
    """

    @classmethod
    def of(cls, facts: StoredFacts) -> KnownFacts:
        known = cls(facts.execution)
        known._scopes = facts._scopes
        return known

    def load_chain(self, scope: UUID) -> None:  # noqa: ARG002
        raise NotKnown

    def branches(self, opener: str, parent: str) -> Sequence[ScopeFact]:  # noqa: ARG002
        raise NotKnown

    def has_open_branch(self, opener: str, parent: str, *, besides: Collection[str]) -> bool:  # noqa: ARG002
        return True

    def template_context(self, path: str, step_id: str) -> Mapping[str, Any]:  # noqa: ARG002
        raise NotKnown


def _around(path: str) -> set[str]:
    """A scope's path and those of the scopes around it; the separators are escaped in names."""
    parts = path.split("/")
    return {ROOT} | {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
