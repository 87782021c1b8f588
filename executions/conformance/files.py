"""Finds the playbooks and the expectations of a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import Invalid
from core.strict_json import loads


class FolderInvalid(Invalid):
    code = "folder_invalid"


@dataclass
class Folder:
    """What lies below a directory. ``imports``: playbook -> its entry in an import.json."""

    root: Path
    playbooks: list[Path] = field(default_factory=list)
    traces: list[Path] = field(default_factory=list)
    conditions: list[Path] = field(default_factory=list)
    vectors: list[Path] = field(default_factory=list)
    imports: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def name(self, path: Path) -> str:
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def read(path: Path) -> Any:
    """Read one of our own expectation files. Raises FolderInvalid."""
    try:
        return loads(path.read_bytes())
    except (OSError, Invalid) as error:
        raise FolderInvalid(f"{path}: {error}") from error


def look_through(root: Path) -> Folder:
    """Find everything below ``root``. Raises FolderInvalid where it is no directory or an expectation is unreadable."""
    root = root.resolve()
    if not root.is_dir():
        raise FolderInvalid(f"{root} is no directory.")
    folder = Folder(root)
    for path in sorted(root.rglob("*.json")):
        if path.name.endswith(".trace.json"):
            folder.traces.append(path)
        elif path.name == "import.json":
            for name, entry in read(path).get("files", {}).items():
                folder.imports[(path.parent / name).resolve()] = entry
        elif path.name == "conditions.json":
            folder.conditions.append(path)
        elif path.name == "vectors.json":
            folder.vectors.append(path)
        else:
            folder.playbooks.append(path)
    return folder
