"""What actions declare, without a database: parameters, plans, and that each plan is a call its connector takes."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from connectors.registry import operations
from incidents.actions.base import Action, ParamsInvalid, Planner
from incidents.actions.registry import ACTIONS, SUGGESTS, ordered

PLANNER = Planner(stable="v1", previous="v0", percents={"v1": 90, "v2": 10})
NEEDED: dict[str, dict[str, Any]] = {
    "rerun_dbt": {"task_id": "task 123: again", "models": ["inbox_emails", "pkg.model"]},
    "clear_cache": {"index_name": "emails-2026.10"},
    "refresh_dbt_dependencies": {},
    "refresh_synonyms": {"index_name": ".emails"},
    "rollback_planner": {"from_version": "v2"},
    "adjust_canary_split": {"version": "v1.2.3-rc.1+7", "target_percent": 0},
    "deploy_planner": {"version": "v3"},
}
MORE: dict[str, dict[str, Any]] = {
    "rerun_dbt": {"full_refresh": True, "upstream": True, "threads": 64},
    "clear_cache": {"cache_types": ["fielddata", "query"]},
    "refresh_dbt_dependencies": {"task_id": "t"},
    "refresh_synonyms": {"synonym_filter": "words", "reindex": True},
    "rollback_planner": {"to_version": "v0", "immediate": True},
    "adjust_canary_split": {"gradual": False},
    "deploy_planner": {"canary_percent": 100},
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_plan_is_a_call_that_its_connector_takes(action: Action) -> None:
    for given in (NEEDED[action.action_type], NEEDED[action.action_type] | MORE[action.action_type]):
        plan = action.plan(action.checked(given), PLANNER)
        spec = operations()[plan.operation]

        jsonschema.validate(dict(plan.arguments), dict(spec.inputs), cls=jsonschema.Draft202012Validator)
        assert plan.changes
        assert plan.message
        assert plan.duration > 0


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_what_undoes_an_action_is_an_action_with_good_parameters(action: Action) -> None:
    plan = action.plan(action.checked(NEEDED[action.action_type]), PLANNER)

    if plan.compensation is not None:
        back = ACTIONS[plan.compensation["action_type"]]
        undone = back.plan(back.checked(plan.compensation["params"]), PLANNER)
        assert undone.operation.startswith("planner.")
        assert plan.compensation["to"] in undone.message


def test_only_the_planners_actions_are_undone() -> None:
    undone = {
        name for name, action in ACTIONS.items() if action.plan(action.checked(NEEDED[name]), PLANNER).compensation
    }
    assert undone == {"rollback_planner", "adjust_canary_split", "deploy_planner"}


def test_a_deployment_before_which_nothing_was_stable_cannot_be_undone() -> None:
    action = ACTIONS["deploy_planner"]
    planner = Planner(stable=None, previous=None, percents={})

    assert action.plan(action.checked({"version": "v1"}), planner).compensation is None


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_each_fault_of_the_parameters_is_named(action: Action) -> None:
    wrong = {param.name: None for param in action.params} | {"surprise": 1}
    with pytest.raises(ParamsInvalid) as caught:
        action.checked(wrong)

    assert {fault.path for fault in caught.value.fields} == wrong.keys()


def test_what_is_listed_as_needing_approval_needs_it_by_default() -> None:
    for name, action in ACTIONS.items():
        plan = action.plan(action.checked(NEEDED[name]), PLANNER)
        assert plan.requires_approval == action.requires_approval, name


def test_suggestions_name_actions_and_each_action_is_listed_once() -> None:
    assert set(SUGGESTS.values()) <= ACTIONS.keys()
    assert SUGGESTS.keys().isdisjoint(ACTIONS)
    assert [action.action_type for action in ordered([])] == list(ACTIONS)
    twice = ordered(["rerun_eval", "clear_cache", "rerun_dbt", "increase_budget"])
    assert [action.action_type for action in twice][:2] == ["rerun_dbt", "clear_cache"]
    assert len(twice) == len(ACTIONS)
