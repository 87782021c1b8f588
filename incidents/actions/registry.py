"""Every remediation action, in the order in which they are listed, and which of them an incident's names suggest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from incidents.actions.base import Action
from incidents.actions.dbt import REFRESH_DBT_DEPENDENCIES, RERUN_DBT
from incidents.actions.planner import ADJUST_CANARY_SPLIT, DEPLOY_PLANNER, ROLLBACK_PLANNER
from incidents.actions.search import CLEAR_CACHE, REFRESH_SYNONYMS

ACTIONS: Final[Mapping[str, Action]] = {
    action.action_type: action
    for action in (
        RERUN_DBT,
        CLEAR_CACHE,
        REFRESH_DBT_DEPENDENCIES,
        REFRESH_SYNONYMS,
        ROLLBACK_PLANNER,
        ADJUST_CANARY_SPLIT,
        DEPLOY_PLANNER,
    )
}
#: names of playbooks that are no actions, and the action each suggests
SUGGESTS: Final[Mapping[str, str]] = {
    "rerun_eval": "rerun_dbt",
    "reduce_traffic": "adjust_canary_split",
    "pause_agent": "adjust_canary_split",
}


def ordered(suggested: Iterable[str]) -> list[Action]:
    """Return every action, those that ``suggested`` names first and in its order."""
    named = [SUGGESTS.get(name, name) for name in suggested]
    return [ACTIONS[name] for name in dict.fromkeys([*named, *ACTIONS]) if name in ACTIONS]
