"""Which variable a name means, and where a write goes (CACAO.md D13, D23, D25)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from executions.engine.apart import whole
from executions.engine.facts import ROOT, Facts, ScopeFact, ScopeStatus
from playbooks.cacao.types import Step, Value, Variable, Workflow

FAILED_STEP = "__sallyport_failed_step__"
FAILURE_REASON = "__sallyport_failure_reason__"
RESERVED = (FAILED_STEP, FAILURE_REASON)


class Scopes:
    """The scopes as stored, and over them what this decision has changed so far."""

    def __init__(self, workflow: Workflow, facts: Facts) -> None:
        self.workflow = workflow
        self.facts = facts
        self.changed: dict[str, ScopeFact] = {}

    def get(self, path: str) -> ScopeFact:
        found = self.changed.get(path) or self.facts.scope(path)
        if found is None:
            raise LookupError(f"no scope {path!r}")
        return found

    def put(self, scope: ScopeFact) -> None:
        self.changed[scope.path] = scope

    def exists(self, path: str) -> bool:
        return path in self.changed or self.facts.scope(path) is not None

    def branches(self, opener: str, parent: str) -> list[ScopeFact]:
        """All branches of an opener as they are now, in the order of the document."""
        found = {branch.path: branch for branch in self.facts.branches(opener, parent)}
        found.update({p: s for p, s in self.changed.items() if s.opener == opener and s.parent == parent})
        return sorted(found.values(), key=lambda branch: branch.position)

    def has_open_branch(self, opener: str, parent: str) -> bool:
        changed = [scope for scope in self.changed.values() if scope.opener == opener and scope.parent == parent]
        if any(scope.status == ScopeStatus.OPEN for scope in changed):
            return True
        return self.facts.has_open_branch(opener, parent, besides=[scope.path for scope in changed])

    def chain(self, path: str) -> Iterator[ScopeFact]:
        """This scope and those around it, innermost first; the last is the execution's own."""
        current: str | None = path
        while current is not None:
            scope = self.get(current)
            yield scope
            current = scope.parent

    def declared(self, path: str, own: Step | None = None) -> Collection[str]:
        """Every name that is visible here."""
        names = set(self.workflow.variables) | set(RESERVED)
        for scope in self.chain(path):
            names.update(self._variables_of(scope))
        if own is not None:
            names.update(own.variables)
        return names

    def _variables_of(self, scope: ScopeFact) -> Mapping[str, Variable]:
        if scope.path == ROOT:
            return self.workflow.variables
        opener = self.workflow.steps.get(scope.opener)
        return opener.variables if opener else {}

    def read(
        self, name: str, path: str, own: Step | None = None, frame: Mapping[str, Value] | None = None
    ) -> tuple[Variable, Value] | None:
        """Return the declaration and value that ``name`` has here, or None where nothing has that name.

        ``own`` is the step that asks: its variables come first, with the values of ``frame`` where given.
        Raises Damaged for a value that is stored apart and cannot be read.
        """
        found = self.find(name, path, own, frame)
        return (found[0], whole(found[1])) if found else None

    def find(
        self, name: str, path: str, own: Step | None = None, frame: Mapping[str, Value] | None = None
    ) -> tuple[Variable, Any] | None:
        """As ``read``, with the value left where it is: an Apart where it is stored apart."""
        if own is not None and name in own.variables:
            declaration = own.variables[name]
            return declaration, (frame or {}).get(name, declaration.value)
        isolated: Value = None
        is_written = False
        for scope in self.chain(path):
            declared = self._variables_of(scope)
            if name in scope.variables:
                declaration = declared.get(name, Variable(name=name))
                return declaration, isolated if is_written else scope.variables[name]
            if name in declared:
                return declared[name], isolated if is_written else declared[name].value
            if not is_written and scope.is_isolated and name in scope.writes:
                isolated, is_written = scope.writes[name], True
        return None

    def write(self, name: str, value: Value, path: str) -> None:
        """Write to the innermost variable of that name; inside a parallel, to the branch until the join."""
        for scope in self.chain(path):
            if scope.path == ROOT or name in self._variables_of(scope):
                self.put(scope.with_variable(name, value))
                return
            if scope.is_isolated:
                self.put(scope.with_write(name, value))
                return

    def note_failure(self, step: str, reason: str, path: str) -> None:
        """Tell the steps that follow which step failed, and why (D25)."""
        scope = self.get(path)
        told = "ACTION_TIMEOUT" if reason == "timed_out" else reason
        self.put(replace(scope, variables={**scope.variables, FAILED_STEP: step, FAILURE_REASON: told}))


def public(variables: Mapping[str, Value]) -> dict[str, Value]:
    """The playbook's own variables, without what the engine notes beside them."""
    return {name: value for name, value in variables.items() if name not in RESERVED}


def first_values(variables: Mapping[str, Variable]) -> dict[str, Value]:
    return {name: variable.value for name, variable in variables.items()}
