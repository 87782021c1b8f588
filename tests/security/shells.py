"""Templates with a placeholder, hostile values, and real shells that judge what becomes of them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from connectors.base import Part, Trust

#: where the placeholder stands in a template
HOLE = "\u00a7"
SHELLS = tuple(shell for shell in ("sh", "bash") if shutil.which(shell))


def parts(template: str, value: str, *, type: str = "string", trust: Trust = Trust.OUTSIDE) -> tuple[Part, ...]:
    """Return the template with the value in each hole."""
    made: list[Part] = []
    for index, text in enumerate(template.split(HOLE)):
        if index:
            made.append(Part(value, trust, type, "__x__"))
        made.append(Part(text))
    return tuple(made)


@dataclass(frozen=True)
class Ran:
    """What a command wrote, and the names of the files that stand where it ran."""

    output: bytes
    files: frozenset[str]


def run(shell: str, command: str, folder: Path) -> Ran:
    """Run ``command`` by a real shell in an own folder with nothing on standard input."""
    finished = subprocess.run(
        [shell, "-c", command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=10,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nowhere"},
    )
    return Ran(finished.stdout, frozenset(path.name for path in folder.iterdir()))


_CANARY = "touch canary"
PAYLOADS: dict[str, str] = {
    "empty": "",
    "word": "evil.example",
    "space": "a b  c",
    "blanks around": "  x  ",
    "single quote": "it's",
    "two single quotes": "''",
    "closing single quote": f"'; {_CANARY}; '",
    "double quote": 'say "x"',
    "closing double quote": f'"; {_CANARY}; "',
    "both quotes": f"""'"; {_CANARY}; "'""",
    "substitution": f"$({_CANARY})",
    "substitution in quotes": f'"$({_CANARY})"',
    "back-ticks": f"`{_CANARY}`",
    "nested": f"$(echo `{_CANARY}`)",
    "semicolon": f"; {_CANARY}",
    "semicolon without blanks": ";touch${IFS}canary;",
    "and": f"&& {_CANARY}",
    "or": f"|| {_CANARY}",
    "pipe": f"| {_CANARY}",
    "background": f"& {_CANARY} &",
    "newline": f"x\n{_CANARY}\n",
    "carriage return": f"x\r{_CANARY}\r\n",
    "tab": "a\tb",
    "newline at the end": "x\n",
    "only newlines": "\n\n",
    "glob": "*",
    "glob of all": "/*/* ?? [a-z]*",
    "tilde": "~",
    "tilde of root": "~root/x",
    "history": "!! !1 !x",
    "option": "-rf",
    "long option": "--opt=value",
    "dash": "-",
    "two dashes": "--",
    "file by @": "@/etc/passwd",
    "format": "%s%n%x%99999d",
    "backslash": "\\",
    "two backslashes": "\\\\",
    "backslash at the end": "x\\",
    "backslash and quote": "\\'",
    "backslash and double quote": '\\"',
    "backslash n": "\\n\\0101\\x41",
    "variable": "$HOME",
    "variable in braces": "${HOME:-x}",
    "arithmetic": "$((1+1))",
    "subscript": f"a[$({_CANARY})]",
    "assignment": "PATH=/tmp",
    "brace expansion": "{a,b}",
    "brace range": "{1..9}",
    "comment": "# x",
    "redirection": "> canary",
    "input": "< /etc/passwd",
    "descriptor": "2",
    "here-document": f"<<E\n{_CANARY}\nE\n",
    "end of here-document": f"E\n{_CANARY}",
    "process substitution": f"<({_CANARY})",
    "parentheses": f") ; {_CANARY} ; (",
    "braces": f"}}; {_CANARY}; {{",
    "reserved word": f"; then {_CANARY}; fi",
    "end of case": f";; esac; {_CANARY}",
    "ANSI quote": f"$'\\x27; {_CANARY}'",
    "typographic quotes": "\u2018a\u2019 \u201cb\u201d \u201e\u201a",
    "full-width": "\uff07; touch canary; \uff02",
    "combining": "e\u0301\u200d\u202e\U0001f469\u200d\U0001f680",
    "controls": "\x01\x1b[31m\x7f",
    "C1 and separators": "\u0085\u2028\u2029",
    "placeholder": "__b__:value {{ x }} ${x}",
}
#: as long as a value may be
LARGE = "it's " + "a" * (64 * 1024 - 5)
REFUSED_ANYWHERE: dict[str, str] = {
    "NUL": "a\0b",
    "over 64 KiB": "a" * (64 * 1024 + 1),
    "invalid UTF-8": b"a\xff".decode("utf-8", "surrogateescape"),
    "lone surrogate": "\ud800",
}
