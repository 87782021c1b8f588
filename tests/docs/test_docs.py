"""Commands, paths, links, variables and images that the documents name are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from config.home import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("api/**/*.md")])
OWN_APPS = ("accounts", "config", "connectors", "executions", "manual", "playbooks")
LARGEST_IMAGE = 200 * 1024
#: read from the environment by the operating system's conventions, or by us to pass them on
NOT_OURS = {"PATH", "PYTHONPATH", "SUDO_USER"}
#: the documents name what the project holds, not what it was written with or on
FOREIGN = re.compile(r"\.\./shared|/(?:work|tmp|root)/|RULINGS")

_FENCE = re.compile(r"^```\w*\n(.*?)^```|((?:^    \S.*\n)+)", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"manage\.py ([a-z_]+)((?: +[^`|\n]*)?)")
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_PATH = re.compile(
    r"`((?:api|accounts|config|connectors|core|docs|executions|manual|playbooks|tests|benchmarks)/[\w./-]*)`"
)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[str]:
    for found in _FENCE.finditer(page.read_text()):
        yield found.group(1) or found.group(2)


def commands_of_ours() -> set[str]:
    return {name for name, app in get_commands().items() if app in OWN_APPS}


def variables_read() -> set[str]:
    """Return every variable that the code of the project reads, secrets under their plain name."""
    reader = re.compile(r"\benv\.[a-z_]+\(\s*\"([A-Z][A-Z_]+)\"|os\.environ\.get\(\"([A-Z][A-Z_]+)\"")
    files = (path for path in ROOT.glob("config/**/*.py") if path.name != "env.py")
    return {one or other for path in files for one, other in reader.findall(path.read_text())} - NOT_OURS


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, _ in _LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{named(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_that_is_named_exists(page: Path) -> None:
    for path in _PATH.findall(page.read_text()):
        assert (ROOT / path).exists(), f"{named(page)} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_is_named_exists(page: Path) -> None:
    for name, _ in _COMMAND.findall(page.read_text()):
        assert name in get_commands(), f"{named(page)} names `manage.py {name}`"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_documents_name_nothing_from_outside_the_project(page: Path) -> None:
    assert not FOREIGN.findall(page.read_text())


def test_the_options_of_shown_commands_exist() -> None:
    shown = [
        (page, name, shlex.split(rest.split("#")[0]))
        for page in PAGES
        for block in blocks(page)
        for name, rest in _COMMAND.findall(block)
        if name in commands_of_ours()
    ]
    assert len(shown) >= 10
    for page, name, words in shown:
        known = options_of(name)
        for word in words:
            option = word.strip("[]").partition("=")[0]
            assert not re.match("--[a-z]", option) or option in known, f"{named(page)}: manage.py {name} {option}"


def options_of(name: str) -> str:
    """Return the text in which the command's options stand: its parser, or for those without one its source."""
    command = load_command_class(get_commands()[name], name)
    text = command.create_parser("manage.py", name).format_help()
    source = {"bench": "benchmarks/steps.py", "conformance": "config/conformance.py", "up": "config/up.py"}.get(name)
    return text + ((ROOT / source).read_text() if source else "")


def test_the_readme_lists_every_command_of_ours() -> None:
    readme = (ROOT / "README.md").read_text()

    assert {name for name in commands_of_ours() if f"{name}`" not in readme} == set()


def test_the_operations_page_lists_the_variables_that_are_read_and_no_others() -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE))

    assert listed == variables_read()


def test_the_operations_page_gives_the_defaults_of_the_code() -> None:
    """Only plain numbers: what is computed is told in words."""
    page = (ROOT / "docs/operations.md").read_text()
    settings = (ROOT / "config/settings.py").read_text()
    numbers = re.findall(r"env\.(?:integer|seconds)\(\"([A-Z_]+)\", ([\d_ *.]+)[,)]", settings)
    assert len(numbers) >= 8
    for name, written in numbers:
        value = 1
        for factor in written.split("*"):
            value *= int(factor.replace("_", ""))
        row = re.search(rf"^\| `{name}` \| ([^|]+) \|", page, re.MULTILINE)
        assert row is not None, name
        assert row.group(1).strip() == str(value), name


def test_the_commands_of_the_compose_file_are_described() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    for service in re.findall(r"^  ([a-z]+):$", (ROOT / "docker-compose.yml").read_text().split("services:")[1], re.M):
        assert service in page.lower() or service in ("postgres", "redis", "stores", "outside")


def test_images_are_small_and_used() -> None:
    images = sorted((ROOT / "docs/images").glob("*.png"))
    text = "".join(page.read_text() for page in PAGES)

    assert images
    for image in images:
        assert image.stat().st_size <= LARGEST_IMAGE
        assert image.name in text, f"{image.name} is shown nowhere"


def test_every_decision_is_listed_and_has_the_three_parts() -> None:
    folder = ROOT / "docs/decisions"
    listed = set(re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text()))

    assert listed == {path.name for path in folder.glob("[0-9]*.md")}
    for name in listed:
        headings = re.findall(r"^## (.+)$", (folder / name).read_text(), re.MULTILINE)
        assert headings == ["What we faced", "What we chose", "What it costs"], name


def test_every_rule_that_a_comment_names_is_on_the_security_page() -> None:
    page = (ROOT / "docs/security.md").read_text()
    files = [path for app in (*OWN_APPS, "api", "core") for path in (ROOT / app).glob("**/*.py")]
    rules = {rule for path in files for rule in re.findall(r"\bSEC-\d{2}\b", path.read_text())}

    assert {rule for rule in rules if rule not in page} == set()


def test_every_decision_about_cacao_that_a_comment_names_is_on_its_page() -> None:
    page = (ROOT / "docs/cacao.md").read_text()

    assert re.findall(r"^\| (D\d+) \|", page, re.MULTILINE) == [f"D{number}" for number in range(1, 40)]


def test_the_cacao_page_names_every_code_that_refuses_or_is_relaxed() -> None:
    from playbooks.cacao.findings import REFUSED, RELAXED

    named_codes = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", (ROOT / "docs/cacao.md").read_text()))

    assert (REFUSED | RELAXED) - named_codes == set()


def test_the_execution_page_shows_exactly_the_legal_moves() -> None:
    """A move of the tables in the code stands on the page, and each move on the page is legal."""
    from executions.engine import statuses

    page = (ROOT / "docs/execution.md").read_text()
    for letter, moves, live in (
        ("E", statuses.EXECUTION_MOVES, statuses.LIVE_EXECUTION),
        ("S", statuses.STEP_MOVES, statuses.LIVE_STEP),
    ):
        shown: set[tuple[str, str]] = set()
        for _, olds, news in re.findall(rf"^\| ({letter}\d[^|]*) \| ([^|]+) \| ([^|]+) \|", page, re.MULTILINE):
            if olds.strip() != "-":
                shown |= {(old, new) for old in _states(olds, live) for new in _states(news, live)}
        assert shown == {(str(old), str(new)) for old, several in moves.items() for new in several}


def _states(words: str, live: frozenset[str]) -> set[str]:
    text = words.strip()
    if text == "live":
        return {str(state) for state in live}
    if text == "live but running":
        return {str(state) for state in live} - {"running"}
    return set(re.split(r"[,;] ", text))
