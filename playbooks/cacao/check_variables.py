"""Checks of variables: read before they are set, never read, written twice, mapped from nowhere.

Source: CACAO.md 9, 12.5 (D13), 12.10 and 15.
"""

from __future__ import annotations

from collections.abc import Iterator

from playbooks.cacao.check_effects import SHELLS
from playbooks.cacao.check_findings import quoted, quoted_all
from playbooks.cacao.check_model import Model, Slot, writes_of
from playbooks.cacao.check_paths import Branch
from playbooks.cacao.check_states import States
from playbooks.cacao.findings import Report, below, pointer
from playbooks.cacao.outputs import read_outputs
from playbooks.cacao.reading import Reading
from playbooks.cacao.types import Step, StepType
from playbooks.cacao.vocabularies import RESULT_VARIABLES

#: the constant that playbook lists show as the version
_LABEL = ("", "__version__")
#: Conflicts whose places are looked for; a playbook with more of them has one cause.
_MAX_CONFLICTS = 200


def check_variables(model: Model, states: States) -> None:
    _check_unset(model, states)
    _check_unused(model)
    _check_parallels(model)
    for step in model.workflow.steps.values():
        if step.type == StepType.ACTION:
            _check_outputs(model, step)
        _check_mappings(model, step)


def _check_unset(model: Model, states: States) -> None:
    places: dict[str, tuple[list[str], bool]] = {}
    for (_, use), only_after_failure in states.unset.items():
        names, is_late = places.get(use.at, ([], True))
        places[use.at] = (list(dict.fromkeys((*names, use.name))), is_late and only_after_failure)
    for at, (names, is_late) in places.items():
        when = "When an earlier step fails and `on_completion` goes on all the same, " if is_late else "On some path, "
        message = (
            f"{when}{quoted_all(names)} {'have' if len(names) > 1 else 'has'} no value here, and the step fails; "
            "declare a `value`, make it `external`, or let a step before return it on every path."
        )
        model.findings.add("variable-maybe-unset", at, message)


def _check_unused(model: Model) -> None:
    read = model.anywhere(model.read)
    for dictionary in (model.uses.agents, model.uses.targets, model.uses.logons):
        read |= {("", use.name) for uses in dictionary.values() for use in uses}
    written = model.anywhere(model.written)
    for at, slot in _declared(model):
        if slot in read or slot == _LABEL or (slot in written and slot[1] in RESULT_VARIABLES):
            continue
        if slot in written:
            message = f"{quoted(slot[1])} is written and never read; leave it out unless it is a result for the caller."
        else:
            message = (
                f"{quoted(slot[1])} is declared and never read; leave it out, or use it as `{slot[1][:100]}:value`."
            )
        model.findings.add("variable-unused", at, message)


def _declared(model: Model) -> Iterator[tuple[str, Slot]]:
    """Yield what the document declares. What the import added, or read as another's, is not among it."""
    given = model.document.get("playbook_variables")
    for name, variable in model.workflow.variables.items():
        if isinstance(given, dict) and name in given and not variable.optional:
            yield pointer("playbook_variables", name), ("", name)
    for key, step in model.workflow.steps.items():
        for name in step.variables:
            if name not in step.promoted:
                yield pointer("workflow", key, "step_variables", name), (key, name)


# -- parallel branches


def _check_parallels(model: Model) -> None:
    found = 0
    for branch in model.paths.branches:
        for key, inner in branch.inner.items():
            step = model.workflow.steps[key]
            if step.type == StepType.PARALLEL and found < _MAX_CONFLICTS:
                found += _check_parallel(model, step, branch, inner)


def _check_parallel(model: Model, step: Step, around: Branch, inner: list[Branch]) -> int:
    """Report what two branches write, and what one reads and another writes (D13); return how many."""
    outside = {"", step.id, *(opener.id for opener in around.openers())}
    everything, twice = 0, 0
    for branch in inner:
        twice |= everything & model.written_in[branch]
        everything |= model.written_in[branch]
    found = 0
    for number, branch in enumerate(inner):
        written, read = model.written_in[branch], model.read_in[branch]
        if number and (again := written & twice):
            found += _report_writes(model, step, branch, inner[:number], again, outside)
        if late := read & everything & ~written:
            found += _report_reads(model, step, branch, late, outside)
        if found > _MAX_CONFLICTS:
            break
    return found


def _report_writes(
    model: Model, step: Step, branch: Branch, earlier: list[Branch], bits: int, outside: set[str]
) -> int:
    for one in earlier:
        bits_of_both = bits & model.written_in[one]
        for writer, current in _visits_in(branch) if bits_of_both else ():
            names = [
                slot[1]
                for slot in model.written(model.workflow.steps[writer], current)
                if slot[0] in outside and bits_of_both >> model.numbers[slot] & 1
            ]
            if names:
                message = (
                    f"{quoted_all(names)} is written in another branch of {model.called(step.id)} too; at the join the "
                    "later branch wins. Let each branch write a variable of its own."
                )
                model.findings.add("parallel-write-conflict", _place_of_write(model, writer, names[0]), message)
                return 1
    return 0


def _report_reads(model: Model, step: Step, branch: Branch, bits: int, outside: set[str]) -> int:
    found = 0
    for reader, current in _visits_in(branch):
        for use in model.uses.of_steps[reader]:
            slot = model.slot(use.name, model.workflow.steps[reader], current)
            if slot is not None and slot[0] in outside and bits >> model.numbers[slot] & 1:
                message = (
                    f"{quoted(use.name)} is written in another branch of {model.called(step.id)}, and this branch sees "
                    "the value from before. Read it behind the parallel step, or put both into one branch."
                )
                model.findings.add("parallel-read-write", use.at, message)
                found += 1
    return found


def _visits_in(branch: Branch) -> Iterator[tuple[str, Branch]]:
    pending = [branch]
    while pending:
        current = pending.pop()
        for key in current.steps:
            yield key, current
            pending += current.inner.get(key, ())


def _place_of_write(model: Model, key: str, name: str) -> str:
    step, at = model.workflow.steps[key], pointer("workflow", key)
    if name in step.out_args and "out_args" in model.given(key):
        return below(at, "out_args", step.out_args.index(name))
    return below(at, "step_extensions") if "step_extensions" in model.given(key) else at


# -- outputs


def _check_outputs(model: Model, step: Step) -> None:
    if model.is_for_fin(step) or step.question is not None or not step.commands:
        return
    at = pointer("workflow", step.id, "out_args")
    mapped = {mapping.name for mapping in step.outputs}
    unsure = [name for name in step.out_args if name not in mapped and name not in RESULT_VARIABLES]
    last = step.commands[-1]
    if len(step.out_args) > 1 and unsure and last.type in SHELLS and "soarca:__" not in (last.text or ""):
        message = (
            f"The command prints plain text, and of several out-args none is sure to get it: {quoted_all(unsure)}. Map "
            "them with a `sallyport-output` extension, print lines `soarca:__name__=value`, or return one variable."
        )
        model.findings.add("output-unmapped", at, message)
    calls = len(step.commands) * max(1, len(step.targets))
    is_written = bool(step.out_args) or any(mapping.variable is None for mapping in step.outputs)
    if calls > 1 and is_written and writes_of(step):
        message = (
            f"The step runs {calls} commands, and only the output of the last, on the last target, reaches the "
            "variables; split the step where the others matter."
        )
        place = at if step.out_args else pointer("workflow", step.id, "step_extensions")
        model.findings.add("output-overwritten", place, message)


def _check_mappings(model: Model, step: Step) -> None:
    """Find expressions that are not read (12.10); the step fails when it comes to them."""
    if all(mapping.supported for mapping in step.outputs):
        return
    read = read_outputs(model.given(step.id), pointer("workflow", step.id), Reading(Report("lenient")))
    for mapping, at in read:
        if not mapping.supported:
            message = (
                f"Where {quoted(mapping.name)} is taken from is not understood, and the step fails. Of jq only paths "
                "such as `.a.b[0]` are read; a mapping names output, stderr, exit_code, status or header:NAME, and a "
                "JSON Pointer."
            )
            model.findings.add("assignment-unsupported", at, message)
