"""Templates with a placeholder, hostile values, and real shells that judge what becomes of them."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.base import Part, Trust

#: where the placeholder stands in a template
HOLE = "\u00a7"
#: commands run as nobody where the tests run as root: what is judged here may be anything
NOBODY = 65_534
IS_ROOT = os.geteuid() == 0
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


@contextlib.contextmanager
def arena() -> Iterator[Path]:
    """An empty folder for commands that may do anything, owned by the account that they run as."""
    folder = Path(tempfile.mkdtemp(prefix="sallyport-arena-"))
    try:
        if IS_ROOT:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder)


def run(shell: str, command: str, folder: Path) -> Ran:
    """Run ``command`` by a real shell in an arena: nothing on standard input, no rights, little of everything."""
    process = subprocess.Popen(
        [shell, "-c", command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder)},
        start_new_session=True,
        preexec_fn=_limited,
        user=NOBODY if IS_ROOT else None,
        group=NOBODY if IS_ROOT else None,
        extra_groups=[] if IS_ROOT else None,
    )
    try:
        output, _ = process.communicate(timeout=10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return Ran(output, frozenset(path.name for path in folder.iterdir()))


def _limited() -> None:
    for limit, most in ((resource.RLIMIT_FSIZE, 2**20), (resource.RLIMIT_AS, 2**30), (resource.RLIMIT_CPU, 5)):
        resource.setrlimit(limit, (most, most))
    if IS_ROOT:  # the processes of the account are counted; one that is used by people has more of them
        resource.setrlimit(resource.RLIMIT_NPROC, (256, 256))


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
