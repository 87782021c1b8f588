"""How programs read their arguments: as data, as a command, or as text of another language (rule 5 of SECURITY.md 4).

Only author text is looked at. What is not known is taken for the worse: an argument behind ``-c`` or ``-e`` is code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

#: stands in a decoded word for what the shell would only know when it runs: expansions, substitutions
UNKNOWN: Final = "\ue000"
#: the same outside quotes, where a word of nothing else may vanish
LOOSE: Final = "\ue001"


class Reading(StrEnum):
    DATA = "data"
    OPTION = "option"  # data that a program may read in its own way: safe words only
    COMMAND = "command"  # the name of what is run
    CODE = "code"  # text of another language
    CLOSED = "closed"  # no word is safe


@dataclass(frozen=True)
class Argument:
    """How an argument is read. For CODE: its language, and the text of it that stands before the value."""

    reading: Reading
    language: str = ""
    text: str = ""


@dataclass(frozen=True)
class _Language:
    """A program that runs text. ``code``: options whose argument is text; ``glued``: the same with it attached."""

    name: str
    code: str = r"(?!)"
    glued: str = r"(?!)"
    taking: frozenset[str] = frozenset()  # further options with an argument
    operands: str = "script"  # what operands are: a script's path and its arguments, code first, data


def _options(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SHELL = _Language("shell", code=r"-[A-Za-z]*c[A-Za-z]*|--command", glued=r"--command=", taking=_options("-o +o"))
_SQL = _Language(
    "SQL",
    code=r"-[A-Za-z]*[ceqQ]|--(command|execute|eval|query)",
    glued=r"-[ceqQ]|--(command|execute|eval|query)=",
    operands="data",
)
_LANGUAGES: Final = {
    **dict.fromkeys(("sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "fish", "csh", "tcsh"), _SHELL),
    "python": _Language("python", code=r"-[A-Za-z]*c|-[A-Za-z]*m", glued=r"-[cm]", taking=_options("-W -X")),
    "pypy": _Language("python", code=r"-[A-Za-z]*c|-[A-Za-z]*m", glued=r"-[cm]", taking=_options("-W -X")),
    "perl": _Language("perl", code=r"-[acilnpswTtuUWX0-9]*[eE]", glued=r"-[acilnpswTtuUWX0-9]*[eE]"),
    "ruby": _Language("ruby", code=r"-[alnpsw0-9]*e", glued=r"-[alnpsw0-9]*e"),
    "node": _Language("javascript", code=r"-[ep]{1,2}|--eval|--print", glued=r"--(eval|print|import|require)="),
    "php": _Language("php", code=r"-[rBRE]|--run|--process-\w+", glued=r"-[rBRE]"),
    "lua": _Language("lua", code=r"-[el]", glued=r"-[el]"),
    "Rscript": _Language("r", code=r"-e", glued=r"-e"),
    "osascript": _Language("applescript", code=r"-e", glued=r"-e"),
    "powershell": _Language("powershell", code=r"-(?i:c\w*|e\w*)", operands="code"),
    "pwsh": _Language("powershell", code=r"-(?i:c\w*|e\w*)", operands="code"),
    "sed": _Language("sed", code=r"-[nErsuz]*e|--expression", glued=r"-[nErsuz]*e|--expression=", operands="code"),
    **dict.fromkeys(
        ("awk", "gawk", "mawk", "nawk"),
        _Language("awk", code=r"-e|--source", glued=r"-e|--source=", taking=_options("-F -v"), operands="code"),
    ),
    **dict.fromkeys(("jq", "yq", "gojq"), _Language("jq", taking=_options("-L --indent"), operands="code")),
    **dict.fromkeys(("psql", "mysql", "mariadb", "sqlcmd", "mongo", "mongosh", "clickhouse-client"), _SQL),
    "sqlite3": _Language("SQL", code=r"-cmd", taking=_options("-separator -nullvalue -init"), operands="code"),
}


@dataclass(frozen=True)
class _Wrapper:
    """A program that runs the program in its operands, after ``skip`` operands of its own."""

    taking: frozenset[str] = frozenset()
    skip: int = 0
    assignments: bool = False
    text: str = field(default=r"(?!)")  # options whose argument is a command line


_WRAPPERS: Final = {
    **dict.fromkeys(("nohup", "setsid", "exec", "command", "builtin", "time", "unbuffer", "busybox"), _Wrapper()),
    "sudo": _Wrapper(_options("-u -g -h -p -C -r -t -U -D -R -T"), assignments=True),
    "doas": _Wrapper(_options("-u -C")),
    "env": _Wrapper(_options("-u -C --unset --chdir"), assignments=True, text=r"-S|--split-string"),
    "nice": _Wrapper(_options("-n")),
    "ionice": _Wrapper(_options("-c -n")),
    "stdbuf": _Wrapper(_options("-i -o -e")),
    "timeout": _Wrapper(_options("-s -k"), skip=1),
    "flock": _Wrapper(_options("-w -E"), skip=1, text=r"-c|--command"),
    "chroot": _Wrapper(skip=1),
    "strace": _Wrapper(_options("-e -o -p -s")),
    "xargs": _Wrapper(_options("-I -n -P -d -E -L -s -a")),
}

#: they run text, files or whole command lines in ways that depend on more than their arguments
_CLOSED: Final = _options(
    "eval source . trap alias let bind complete compgen enable fc jobs coproc mapfile readarray getopts hash "
    "su runuser sg watch parallel script expect at batch crontab gdb ed ex vi vim nvim emacs tclsh wish screen tmux "
    "nsenter unshare systemd-run firejail cmd cmd.exe wsl rsh dialog make m4"
)
_EVALUATING: Final = _options("eval at batch parallel su crontab")
#: what they are piped is data: their program stands among the arguments
_READING_DATA: Final = _options("sed awk gawk mawk nawk jq yq gojq")
_CONTAINERS: Final = _options("docker podman nerdctl kubectl oc lxc")
#: a path or an address may name a command to them
_GUARDED: Final = _options("git scp sftp rsync svn hg")
_DECLARING: Final = _options("export declare typeset local readonly")
_NAMING: Final = _options("read unset test [ printf echo wait")
#: variables that decide what is run
_POWERFUL = re.compile(
    r"(LD_\w+|DYLD_\w+|PATH|ENV|BASH_\w+|IFS|PS[0-4]|PROMPT_COMMAND|SHELLOPTS|CDPATH|HISTFILE"
    r"|PYTHON\w+|PERL\w+|RUBY\w+|NODE_\w+|GIT_\w+|EDITOR|VISUAL|PAGER|LESSOPEN|SSH_\w+)\+?="
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_CODE_FLAG = re.compile(r"-[ceQ]|-(?i:command|encodedcommand)|--(eval|exec|execute|expression|command|code|run)")
_CODE_GLUED = re.compile(r"-[ce](?=.)|--(eval|exec|execute|expression|command|code|run)=", re.DOTALL)
#: programs whose -c or -e is known to be no code
_HARMLESS: Final = _options(
    "[[ "
    "grep egrep fgrep zgrep rg ping ping6 wc head tail cut sort uniq curl wget gzip gunzip bzip2 xz tar stat ls cp mv "
    "rm mkdir touch chmod chown ln cat tee nmap tcpdump tshark md5sum sha1sum sha224sum sha256sum sha384sum sha512sum "
    "shasum b2sum cksum diff cmp file id ps kill pkill pgrep netstat ss ip dig host nslookup whois date df du sleep "
    "systemctl journalctl service iptables ip6tables nft ufw useradd usermod userdel passwd logger ssh-keygen openssl"
)
_SSH_TAKING: Final = _options("-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w")
_VERSION = re.compile(r"(python|pypy|perl|ruby|lua|php|node)[0-9.]+")

#: text goes to a program that runs what it reads: `| sh`, `| python3 -`, `eval "$x"`, `| iex`
_HANDED_OVER = re.compile(
    r"\|&?\s*(?:(?:sudo|doas|env|nohup|exec|command)\s+(?:-\S+\s+)*)*(?:[^\s|;&]*/)?"
    r"(?:(?:ba|da|a|k|mk|z|fi|c|tc)?sh|(?:python|pypy|perl|ruby|node|php|lua)[0-9.]*|mysql|mariadb|psql|sqlite3"
    r"|at|batch|parallel|ssh\s+\S+|powershell(?:\.exe)?|pwsh|cmd(?:\.exe)?|xargs\s[^|;&]*\bsh\b[^|;&]*)"
    r"(?:\s+-s?(?=\s|\Z)|\s+/dev/stdin|\s*(?=\Z|[;&|)}\n]))"
    r"|(?:\A|[\s;&|({`])(?:eval|iex|invoke-expression)(?=\s|\Z|[;&|)}\n(])|scriptblock\]::create",
    re.IGNORECASE,
)

_DATA = Argument(Reading.DATA)
_OPTION = Argument(Reading.OPTION)
_COMMAND = Argument(Reading.COMMAND)
_CLOSED_ARGUMENT = Argument(Reading.CLOSED)


def argument(words: Sequence[str], word: str) -> Argument:
    """Tell how the program reads the argument that begins with ``word``, after finished ``words`` (one at least).

    What the shell would only know when it runs may be nothing: words are taken both ways, and the worse is told.
    """
    certain = _certain(words)
    if certain == list(words):
        return _argument(words, word)
    if not certain:
        return _COMMAND
    there, gone = _argument(words, word), _argument(certain, word)
    return there if gone.reading is Reading.DATA else gone


def runs_what_it_reads(words: Sequence[str]) -> bool:
    """Whether the command runs text that comes by a pipe, or that it puts together from variables."""
    words = _certain(words)
    if not words:
        return False
    program = _name(words[0])
    if program in _LANGUAGES and program not in _READING_DATA:
        scan = _scan(_LANGUAGES[program], words[1:])
        return not scan.has_code and not scan.needs_code and scan.operands == 0
    if program in _WRAPPERS:
        inner = _wrapped(_WRAPPERS[program], words[1:])
        return runs_what_it_reads(inner) or (program == "xargs" and bool(inner) and _name(inner[0]) in _LANGUAGES)
    return program in _EVALUATING or (program == "ssh" and _ssh_argument(words[1:], "").reading is Reading.CODE)


def evaluates(words: Sequence[str]) -> bool:
    """Whether the command is ``eval``, behind expansions that may be nothing too."""
    return _certain(words)[:1] == ["eval"]


def _certain(words: Sequence[str]) -> list[str]:
    """Return the words as they are when every expansion in them is empty."""
    return [current.replace(LOOSE, "").replace(UNKNOWN, "") for current in words if current.strip(LOOSE)]


def _argument(words: Sequence[str], word: str) -> Argument:
    program = _name(words[0])
    if program in _LANGUAGES:
        return _language_argument(_LANGUAGES[program], words[1:], word)
    if program in _WRAPPERS:
        return _wrapped_argument(_WRAPPERS[program], words[1:], word)
    if program == "find":
        return _find_argument(words[1:], word)
    if program == "ssh":
        return _ssh_argument(words[1:], word)
    if program in _CLOSED or (program in _CONTAINERS and {"exec", "run", "debug"} & set(words)):
        return _CLOSED_ARGUMENT
    if program in _CONTAINERS or program in _GUARDED:
        return _OPTION
    if program in _DECLARING:
        return _DATA if is_plain_assignment(word) and len(words) == 1 else _OPTION
    if program in _NAMING:
        return _naming_argument(program, words[1:], word)
    return _unknown_argument(words, word)


def reads_code(words: Sequence[str]) -> bool:
    """Whether one of the words names a program that runs what it reads from standard input."""
    names = {_name(word) for word in words}
    return bool(names & (_LANGUAGES.keys() | _CLOSED | _CONTAINERS | {"ssh"}))


def is_plain_assignment(word: str) -> bool:
    """Whether ``word`` is ``NAME=...`` of a variable that has no power over what is run."""
    return bool(_ASSIGNMENT.match(word)) and not _POWERFUL.match(word)


def hands_text_over(script: str) -> bool:
    """Whether the script gives text to an interpreter, so that quoting by place says nothing about what is run."""
    return _HANDED_OVER.search(script) is not None


def _name(word: str) -> str:
    base = word.rpartition("/")[2]
    return _VERSION.sub(r"\1", base) if _VERSION.fullmatch(base) else base


@dataclass
class _Scan:
    """What the finished arguments of a language's program amount to."""

    has_code: bool = False
    needs_code: bool = False  # the next argument is text of the language
    needs: Argument | None = None  # how the next argument is read, where an option asks for it
    operands: int = 0


def _scan(language: _Language, words: Sequence[str]) -> _Scan:
    scan, at = _Scan(), 0
    while at < len(words):
        current, left = words[at], len(words) - at - 1
        if re.fullmatch(language.code, current):
            scan.needs_code, scan.has_code, at = left == 0, left > 0 or scan.has_code, at + 2
        elif language.name == "jq" and current in ("--arg", "--argjson", "--slurpfile", "--rawfile"):
            if left < 2:
                scan.needs = _DATA if current == "--arg" and left == 1 else _OPTION
            at += 3
        elif current in language.taking:
            scan.needs, at = None if left else _OPTION, at + 2
        else:
            is_option = current.startswith(("-", "+")) or current == "/dev/stdin"
            scan.has_code = scan.has_code or re.match(language.glued, current) is not None
            scan.operands += not is_option
            at += 1
    return scan


def _language_argument(language: _Language, words: Sequence[str], word: str) -> Argument:
    scan = _scan(language, words)
    if scan.needs_code:
        return Argument(Reading.CODE, language.name, word)
    if scan.needs is not None:
        return scan.needs
    if glued := re.match(language.glued, word):
        return Argument(Reading.CODE, language.name, word[glued.end() :])
    if word.startswith("-"):
        return _OPTION
    if language.operands == "data" or scan.has_code:
        return _DATA
    return _language_operand(language, word, operands=scan.operands)


def _language_operand(language: _Language, word: str, *, operands: int) -> Argument:
    if language.operands == "script":
        return _DATA if operands else _COMMAND
    # sed, awk, jq: the first operand is the program, the others are files; powershell, sqlite3: all is code.
    if operands and language.name in ("sed", "jq"):
        return _DATA
    if operands and language.name == "awk":
        return _OPTION
    return Argument(Reading.CODE, language.name, word)


def _wrapped_argument(wrapper: _Wrapper, words: Sequence[str], word: str) -> Argument:
    at, skip = _own_arguments(wrapper, words)
    if any(re.fullmatch(wrapper.text, current) for current in words[:at]):
        return _CLOSED_ARGUMENT
    if at < len(words):
        return argument(words[at:], word)
    if at > len(words):
        return _DATA
    if wrapper.assignments and _ASSIGNMENT.match(word):
        return _DATA if is_plain_assignment(word) else _CLOSED_ARGUMENT
    if word.startswith("-"):
        return _OPTION
    return _DATA if skip else _COMMAND


def _wrapped(wrapper: _Wrapper, words: Sequence[str]) -> Sequence[str]:
    """Return the command that is run, as far as it is there."""
    return words[_own_arguments(wrapper, words)[0] :]


def _own_arguments(wrapper: _Wrapper, words: Sequence[str]) -> tuple[int, int]:
    """Return how many words are the wrapper's own, and how many operands of its own are still to come."""
    at, skip = 0, wrapper.skip
    while at < len(words):
        current = words[at]
        if current in wrapper.taking:
            at += 2
        elif current.startswith("-") or (wrapper.assignments and _ASSIGNMENT.match(current)):
            at += 1
        elif skip:
            at, skip = at + 1, skip - 1
        else:
            break
    return at, skip


def _find_argument(words: Sequence[str], word: str) -> Argument:
    for at in range(len(words) - 1, -1, -1):
        if words[at] in (";", "+"):
            break
        if words[at] in ("-exec", "-execdir", "-ok", "-okdir"):
            inner = words[at + 1 :]
            return argument(inner, word) if inner else _COMMAND
    return _DATA


def _ssh_argument(words: Sequence[str], word: str) -> Argument:
    """What stands behind the destination is joined with spaces and read by the far shell."""
    at = 0
    while at < len(words):
        if words[at] in _SSH_TAKING:
            if at + 1 == len(words):
                return _CLOSED_ARGUMENT if words[at] in ("-o", "-F", "-J") else _OPTION
            at += 2
        elif words[at].startswith("-"):
            at += 1
        else:
            return Argument(Reading.CODE, "shell", " ".join([*words[at + 1 :], word]))
    return _OPTION


def _naming_argument(program: str, words: Sequence[str], word: str) -> Argument:
    if program in ("read", "unset", "wait"):
        return _OPTION
    if program == "echo":
        return Argument(Reading.CODE, "echo", word) if words and re.fullmatch(r"-[nE]*e[neE]*", words[0]) else _DATA
    if program == "printf":
        if "-v" in words:
            return _CLOSED_ARGUMENT
        operands = [current for current in words if current != "--"]
        return _DATA if operands else Argument(Reading.CODE, "printf", word)
    return _OPTION if {"-v", "-R"} & set(words) else _DATA


def _unknown_argument(words: Sequence[str], word: str) -> Argument:
    program = words[0]
    is_script = "/" in program and not {UNKNOWN, LOOSE} & set(program)
    if is_script or program in _HARMLESS:
        return _DATA
    if len(words) > 1 and _CODE_FLAG.fullmatch(words[-1]):
        return Argument(Reading.CODE, "unknown", word)
    if glued := _CODE_GLUED.match(word):
        return Argument(Reading.CODE, "unknown", word[glued.end() :])
    return _DATA
