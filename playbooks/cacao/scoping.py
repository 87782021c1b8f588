"""Which variable each name means, and what a document leaves undeclared.

Source: CACAO.md 9 (D23, D25), 12.10 (D27) and ``variable-redeclared``, ``-promoted``, ``-undefined`` of 13.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from playbooks.cacao.findings import Report, pointer
from playbooks.cacao.flow import Flow
from playbooks.cacao.steps import Compiled
from playbooks.cacao.types import Step, Variable
from playbooks.cacao.vocabularies import RESERVED_PREFIX


@dataclass(frozen=True)
class Scoped:
    """The steps and the playbook's variables as the engine runs them."""

    steps: Mapping[str, Step]
    variables: Mapping[str, Variable]


def resolve(compiled: Mapping[str, Compiled], declared: Mapping[str, Variable], flow: Flow, report: Report) -> Scoped:
    """Find what every name means; report and mend what the document leaves open."""
    scopes = _Scopes({key: one.step for key, one in compiled.items()}, dict(declared), flow)
    for key, one in compiled.items():
        _drop_redeclared(key, one, scopes, report)
    missing = [
        _Missing(name, at, is_write)
        for key, one in compiled.items()
        for name, at, is_write in _uses(one)
        if not scopes.sees(key, name)
    ]
    _promote(missing, compiled, scopes, report)
    for use in missing:
        if use.name not in scopes.variables or scopes.variables[use.name].optional:
            _declare(use, scopes, report)
    _check_writes(compiled, scopes, report)
    return Scoped(scopes.steps, scopes.variables)


@dataclass(frozen=True)
class _Missing:
    """One use of a name that nothing in sight declares."""

    name: str
    at: str
    is_write: bool


class _Scopes:
    """The declarations, as far as they are mended."""

    def __init__(self, steps: dict[str, Step], variables: dict[str, Variable], flow: Flow) -> None:
        self.steps = steps
        self.variables = variables
        self._flow = flow
        self._of_openers = {name for step in steps.values() if step.is_opener for name in step.variables}

    def sees(self, key: str, name: str) -> bool:
        """Return whether the step sees a variable of that name, however it is reached."""
        return name in self.steps[key].variables or self.sees_outside(key, name)

    def sees_outside(self, key: str, name: str) -> bool:
        if name in self.variables:
            return True
        return name in self._of_openers and all(found is not None for found in self._around(key, name))

    def meant(self, key: str, name: str) -> Iterator[Variable]:
        """Yield the variables that ``name`` means in the step, one for each way in which it is reached."""
        if name in self.steps[key].variables:
            yield self.steps[key].variables[name]
            return
        found = list(self._around(key, name)) if name in self._of_openers else [None]
        yield from (one for one in found if one is not None)
        if None in found and name in self.variables:
            yield self.variables[name]

    def _around(self, key: str, name: str) -> Iterator[Variable | None]:
        for chain in self._flow.enclosing.get(key, (None,)):
            openers = (self.steps[opener].variables for opener in chain or ())
            yield next((variables[name] for variables in openers if name in variables), None)


def _uses(one: Compiled) -> Iterator[tuple[str, str, bool]]:
    """Yield (name, pointer, whether it is written) once for each name of a step; reserved names need no declaration."""
    for name, at in one.reads.items():
        if not name.startswith(RESERVED_PREFIX):
            yield name, at, False
    for name, at in one.writes.items():
        if name not in one.reads and not name.startswith(RESERVED_PREFIX):
            yield name, at, True


def _drop_redeclared(key: str, one: Compiled, scopes: _Scopes, report: Report) -> None:
    step = scopes.steps[key]
    redeclared = {
        name
        for name, variable in step.variables.items()
        if variable.value is None and name in one.reads and scopes.sees_outside(key, name)
    }
    if not redeclared:
        return
    for name in step.variables:
        if name in redeclared:
            at = pointer("workflow", key, "step_variables", name)
            message = f"`{name[:100]}` is declared without a value, which hides the one outside that the step reads."
            report.relax("variable-redeclared", at, message, "no new variable; the outer one is read and written")
    kept = {name: variable for name, variable in step.variables.items() if name not in redeclared}
    scopes.steps[key] = replace(step, variables=kept)


def _promote(missing: Sequence[_Missing], compiled: Mapping[str, Compiled], scopes: _Scopes, report: Report) -> None:
    """Let what one step returns in a variable of its own be read by the others."""
    wanted = {use.name for use in missing if not use.is_write}
    for key, one in compiled.items() if wanted else ():
        step = scopes.steps[key]
        promoted = {name for name in one.writes if name in wanted and name in step.variables}
        if not promoted:
            continue
        for name in sorted(promoted):
            own = step.variables[name]
            scopes.variables.setdefault(name, Variable(name, type=own.type, description=own.description))
            at = pointer("workflow", key, "step_variables", name)
            message = f"Other steps read `{name[:100]}`, which only this step sees; declare it in playbook_variables."
            report.relax("variable-promoted", at, message, "also a variable of the playbook, written together with it")
        scopes.steps[key] = replace(step, promoted=frozenset(promoted))


def _declare(use: _Missing, scopes: _Scopes, report: Report) -> None:
    scopes.variables[use.name] = Variable(use.name, external=True, optional=True)
    what = "written" if use.is_write else "read"
    message = f"`{use.name[:100]}` is {what} here and declared nowhere in sight; declare it in playbook_variables."
    report.relax("variable-undefined", use.at, message, "a playbook variable: string, null unless the start gives it")


def _check_writes(compiled: Mapping[str, Compiled], scopes: _Scopes, report: Report) -> None:
    for key, one in compiled.items():
        for name, at in one.writes.items():
            if name.startswith(RESERVED_PREFIX):
                message = f"`{name[:100]}` belongs to Sallyport and cannot be written."
                report.refuse("variable-reserved", at, message)
            elif any(variable.constant for variable in scopes.meant(key, name)):
                message = f"`{name[:100]}` is a constant; write to another variable, or declare it without `constant`."
                report.refuse("constant-written", at, message)
