"""Outside values in commands of sh and bash, judged by the real shells (SECURITY.md 4)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.base import Part, Trust
from core.quoting import UnsafePlaceholder, join_shell, places, render_shell
from core.quoting.places import SAFE_WORD
from tests.security.shells import HOLE, LARGE, PAYLOADS, REFUSED_ANYWHERE, SHELLS, arena, parts, run

#: a command that prints its arguments, each behind a NUL
SHOW = "/usr/bin/printf '\\0%s'"
Words = Callable[[str], list[str]]

#: places where any value can stand, and the arguments that must arrive
OPEN_PLACES: dict[str, tuple[str, Words]] = {
    "bare word": ("@ §", lambda v: [v]),
    "single quotes": ("@ '§'", lambda v: [v]),
    "double quotes": ('@ "§"', lambda v: [v]),
    "behind --": ("@ -- §", lambda v: ["--", v]),
    "in the middle of a word": ("@ a§b", lambda v: [f"a{v}b"]),
    "in the middle of quotes": ("@ 'a §' \"§ b\"", lambda v: [f"a {v}", f"{v} b"]),
    "quotes of all kinds in one word": ("@ x'§'\"§\"§", lambda v: [f"x{v}{v}{v}"]),
    "behind an escaped quote": ("@ 'it'\\''s §' \\'§", lambda v: [f"it's {v}", f"'{v}"]),
    "behind a variable": ('A=1; @ $A§ "$A/§"', lambda v: [f"1{v}", f"1/{v}"]),
    "twice in a word": ("@ x§§", lambda v: [f"x{v}{v}"]),
    "value of an option": ("@ --name=§ -n x§", lambda v: [f"--name={v}", "-n", f"x{v}"]),
    "before a redirection": ("@ x§>out; cat out", lambda v: [f"x{v}"]),
    "before a redirection, without a blank": ("@ x 2§>/dev/null || true; @ 2§>/dev/null; @ end", lambda _: ["end"]),
    "behind a comma in braces": ("@ {x§,y}", lambda _: []),
    "assignment": ('X=§; @ "$X"', lambda v: [v]),
    "assignment in quotes": ("X='§' Y=\"§\"; @ \"$X\" \"$Y\"", lambda v: [v, v]),
    "assignment for one command": ('X=§ sh -c \'/usr/bin/printf "\\0%s" "$X"\'', lambda v: [v]),
    "export": ('export X=§; sh -c \'/usr/bin/printf "\\0%s" "$X"\'', lambda v: [v]),
    "argument of a script": ("sh -c '/usr/bin/printf \"\\0%s\" \"$1\"' name §", lambda v: [v]),
    "in a subshell": ("( @ § )", lambda v: [v]),
    "in braces": ("{ @ x; @ §; }", lambda v: ["x", v]),
    "in a condition": ("if [ -n x§ ]; then @ §; fi", lambda v: [v]),
    "in a loop": ('for i in x § y; do @ "$i"; done', lambda v: ["x", v, "y"]),
    "behind other commands": ("true && ! false; @ a | cat; @ §", lambda v: ["a", v]),
    "on the second line": ("true\n@ §\n", lambda v: [v]),
    "behind a comment": ("true # it's \" ` $( \n@ §", lambda v: [v]),
    "behind a here-document": ("cat <<'E' >/dev/null\n'\" `$( \nE\n@ §", lambda v: [v]),
    "behind a continued line": ("@ \\\n §", lambda v: [v]),
    "behind substitutions": ("@ $(echo a) `echo b` $((1+2)) ${X:-c} §", lambda v: ["a", "b", "3", "c", v]),
    "behind substitutions in quotes": ('@ "$(echo ")")" "${X:-"}"}" §', lambda v: [")", "}", v]),
    "run by another program": ("env -u A A=1 nice -n 1 /usr/bin/printf '\\0%s' §", lambda v: [v]),
    "run by sudo's like": ("timeout 5 nohup /usr/bin/printf '\\0%s' §", lambda v: [v]),
}  # fmt: skip

CORE_PLACES = ("bare word", "single quotes", "double quotes", "in the middle of quotes", "assignment")

#: places where nothing but safe words, or nothing at all, can stand
CLOSED_PLACES = {
    "command position": "§",
    "command position behind a separator": "true; § x",
    "command position behind a pipe": "true |§",
    "command position behind a reserved word": "if true; then § x; fi",
    "command position behind an assignment": "A=1 § x",
    "command position behind a redirection": "</dev/null § x",
    "part of the command's name": "/usr/bin/§ x",
    "command position in a subshell": "(§)",
    "command of sudo": "sudo §",
    "command of env": "env A=1 §",
    "command of xargs": "xargs -n 1 §",
    "command of find": "find . -exec § ;",
    "script of sh": "sh §",
    "command substitution": "@ $(@ §)",
    "command substitution in quotes": '@ "$(@ "§")"',
    "back-ticks": "@ `@ §`",
    "back-ticks in quotes": '@ "`@ \'§\'`"',
    "arithmetic": "@ $((1 + §))",
    "old arithmetic": "@ $[1 + §]",
    "arithmetic command": "((x = §))",
    "parameter": "@ ${x:-§}",
    "parameter in quotes": '@ "${x:-§}"',
    "name of a parameter": "@ ${§}",
    "rest of a parameter's name": "@ ${x§}",
    "expansion that may be a command": "${x:-eval} §",
    "name of a variable": "@ $§",
    "name of a variable in quotes": '@ "$§"',
    "rest of a variable's name": '@ "$HOME§"',
    "ANSI quotes": "@ $'§'",
    "comment": "true # §\ntrue",
    "here-document": "cat <<E\n§\nE",
    "quoted here-document": "cat <<'E'\n§\nE",
    "end of a here-document": "cat <<§\nx",
    "eval": "eval @ '§'",
    "eval of a variable": "X='§'; eval \"@ $X\"",
    "eval behind an expansion": "$(true)eval '§'",
    "[[ that is an ordinary command": "[[ & command §",
    "command that may be nothing": "$X §",
    "code behind an option that may be nothing": "sh -c $X §",
    "dot": ". §",
    "trap": "trap '§' EXIT",
    "alias": "alias a='§'",
    "let": "let 'x=§'",
    "declared integer": "declare -i x; x=§",
    "test of a variable": "[ -v '§' ]",
    "[[": "[[ 1 -eq '§' ]]",
    "second operand of [[": "[[ a == b && 1 -eq '§' ]]",
    "shell text": "sh -c '@ §'",
    "shell text in double quotes": 'bash -ec "@ \'§\'"',
    "shell text of ssh": "ssh host @ '§'",
    "python text": "python3 -c \"print('§')\"",
    "perl text": "perl -ne 'print \"§\"' /dev/null",
    "awk text": "awk 'BEGIN { print \"§\" }'",
    "sed text": "sed 's/x/§/' /dev/null",
    "sed flags": "sed 's/x/y/§' /dev/null",
    "jq text": "jq '.x == \"§\"' /dev/null",
    "SQL text": "psql -c \"select '§'\"",
    "text of a program we do not know": "frobnicate -e '§'",
    "format of printf": "printf '§'",
    "powerful variable": "PATH=§ true",
    "piped into a shell": "echo '§' | sh",
    "here-string of a shell": "sh <<< '§'",
    "here-document of a shell": "sh <<'E'\n@ '§'\nE",
    "case": "case § in x) true;; esac",
    "function": "f() { @ §; }",
    "array": "a=(x §)",
    "file descriptor": "true >&§",
}  # fmt: skip


def _command(template: str) -> str:
    return template.replace("@", SHOW).replace("\u00a7", HOLE)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("place", OPEN_PLACES)
def test_a_value_arrives_octet_for_octet_or_is_refused(place: str, shell: str) -> None:
    template, words = OPEN_PLACES[place]
    refused = 0
    # Every payload in the places that commands are made of; every third one in each of the others.
    payloads = list(PAYLOADS.items())[len(place) % 3 :: 1 if place in CORE_PLACES else 3]
    for name, value in payloads:
        try:
            command = join_shell(parts(_command(template), value), "bash" if shell == "bash" else "sh")
        except UnsafePlaceholder:
            is_known = value.startswith(("-", "@", "$")) or place.startswith("behind a variable")
            assert is_known, f"{name} is refused"
            refused += 1
            continue
        with arena() as folder:
            ran = run(shell, command, folder)
        expected = words(value)
        if expected:
            assert ran.output == b"".join(b"\0" + word.encode() for word in expected), name
        assert ran.files <= {"out"}, name
    assert refused < len(payloads) / 2


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("place", CORE_PLACES[:3])
def test_a_value_of_64_kib_arrives(place: str, shell: str) -> None:
    command = join_shell(parts(_command(OPEN_PLACES[place][0]), LARGE), "sh")
    with arena() as folder:
        assert run(shell, command, folder).output == b"\0" + LARGE.encode()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("place", CLOSED_PLACES)
def test_in_a_closed_place_only_words_that_mean_nothing_are_let_in(place: str, shell: str) -> None:
    for name, value in PAYLOADS.items():
        try:
            command = join_shell(parts(_command(CLOSED_PLACES[place]), value), "bash" if shell == "bash" else "sh")
        except UnsafePlaceholder:
            continue
        assert SAFE_WORD.fullmatch(value), (name, command)
        with arena() as folder:
            assert "canary" not in run(shell, command, folder).files


def test_a_refusal_names_the_variable_and_the_place() -> None:
    with pytest.raises(UnsafePlaceholder, match=r"__x__.*inside a command substitution") as caught:
        join_shell(parts(f"echo $(cat {HOLE})", "$(touch x)"), "sh")
    assert (caught.value.code, caught.value.name) == ("unsafe_placeholder", "__x__")
    assert caught.value.place == "inside a command substitution"


@pytest.mark.parametrize("dialect", ["sh", "bash", "powershell"])
@pytest.mark.parametrize("value", REFUSED_ANYWHERE.values(), ids=REFUSED_ANYWHERE.keys())
@pytest.mark.parametrize("template", ["echo §", "echo '§'", 'echo "§"'])
def test_some_values_are_refused_anywhere(value: str, dialect: str, template: str) -> None:
    with pytest.raises(UnsafePlaceholder):
        join_shell(parts(template.replace("\u00a7", HOLE), value), dialect)


def test_author_text_is_inserted_as_it_is() -> None:
    command = parts(HOLE, "ls -la; echo $(id)", trust=Trust.AUTHOR)
    assert join_shell(command, "sh") == "ls -la; echo $(id)"


def test_author_text_decides_the_place_of_what_follows() -> None:
    command = (
        Part("", name="__c__"),
        Part("sh -c 'echo ", name="__c__"),
        Part("a b", Trust.OUTSIDE, name="__x__"),
        Part("'"),
    )
    with pytest.raises(UnsafePlaceholder, match="another language"):
        join_shell(command, "sh")


STRICT = {
    "ipv4-addr": ("10.0.0.1", "10.0.0.0/8"),
    "ipv6-addr": ("fe80::1", "2001:db8::/32"),
    "mac-addr": ("00:11:22:aa:bb:cc", "00-11-22-aa-bb-cc"),
    "hash": ("d41d8cd98f00b204e9800998ecf8427e", "0"),
    "sha256-hash": ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "ab"),
    "uuid": ("7ad2b4c2-3c3d-4d3e-8f3a-0123456789ab", "7AD2B4C2-3C3D-4D3E-8F3A-0123456789AB"),
    "integer": ("7", "-7"),
    "bool": ("true", "false"),
    "domain-name": ("evil.example", "a-b.c_d.example"),
    "port": ("443", "65535"),
    "date": ("2026-01-31", "2026-01-31T12:00:00Z"),
}


@pytest.mark.parametrize("type", STRICT)
def test_a_value_of_a_strict_type_stands_anywhere_but_as_a_command(type: str) -> None:
    for value in STRICT[type]:
        for template in (
            "ping §",
            "ping '§'",
            "x=$(ping §)",
            "sh -c 'ping §'",
            "# §",
            "cat <<E\n§\nE",
            "eval 'ping §'",
            "f() { ping §; }",
        ):
            assert value in join_shell(parts(template.replace("\u00a7", HOLE), value, type=type), "sh")
        for template in ("§", "sudo §", "sh -c '§'", "echo $§", "${§}"):
            with pytest.raises(UnsafePlaceholder):
                join_shell(parts(template.replace("\u00a7", HOLE), value, type=type), "sh")


@pytest.mark.parametrize("type", STRICT)
@pytest.mark.parametrize(
    "value",
    ["$(id)", "1.2.3.4; id", "1.2.3.4\n", " 1.2.3.4", "fe80::1%$(id)", "\u0661", "0x1f;"],
)
def test_a_strict_type_is_checked_and_not_believed(type: str, value: str) -> None:
    with pytest.raises(UnsafePlaceholder):
        join_shell(parts(f"echo $(ping '{HOLE}' | eval x)", value, type=type), "sh")
    assert join_shell(parts(f"ping x{HOLE}", value, type=type), "sh") in (f"ping x'{value}'", f"ping x{value}")


def test_an_unknown_dialect_takes_nothing_from_outside() -> None:
    with pytest.raises(UnsafePlaceholder, match="dialect"):
        join_shell(parts(f"echo {HOLE}", "x"), "cmd")
    assert join_shell(parts("dir", ""), "cmd") == "dir"


def test_a_dry_run_sees_what_is_from_outside() -> None:
    pieces = render_shell(parts(f"echo '{HOLE}' end", "it's"), "sh")
    assert [(piece.text, piece.is_outside) for piece in pieces] == [
        ("echo '", False),
        ("it'\\''s", True),
        ("' end", False),
    ]


def test_the_checker_learns_which_places_are_a_risk_without_values() -> None:
    command = parts(f"echo {HOLE} $(cat {HOLE}); {HOLE}", "")
    found = places(command, "bash")
    assert [place.takes_anything for _, place in found] == [True, False, False]
    assert [place.name for _, place in found][1:] == ["inside a command substitution", "in command position"]
    assert not any(place.takes_anything for _, place in places(command, "cmd"))


def test_what_is_joined_is_not_scanned_again() -> None:
    value = f"__b__:value {HOLE} {{{{ x }}}}"
    assert join_shell((Part("echo "), Part(value, Trust.OUTSIDE, name="__a__")), "sh") == f"echo '{value}'"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
SHELLISH = st.text("'\"`$()\\;&|<>*?[]{}~!# \n\tab=-@%,.:/E", max_size=40)


@given(
    TEXT | SHELLISH,
    st.sampled_from(["bare word", "single quotes", "double quotes", "in the middle of quotes", "assignment"]),
)
@example("\\", "double quotes")
@settings(max_examples=80, deadline=None)
def test_any_text_arrives_octet_for_octet_or_is_refused(value: str, place: str) -> None:
    template, words = OPEN_PLACES[place]
    for shell in SHELLS:
        with arena() as folder:
            try:
                command = join_shell(parts(_command(template), value), "bash" if shell == "bash" else "sh")
            except UnsafePlaceholder:
                assert value.startswith(("-", "@", "$"))
                return
            ran = run(shell, command, folder)
            assert ran.output == b"".join(b"\0" + word.encode() for word in words(value))
            assert not ran.files


_PIECES = (
    "' \" $( ) ` \\ ; | && # \n <<E\n \nE\n <<-'E'\n ${x:- ${x } (( )) $(( echo a A= export\tA= { , [[ ]] [\t-v "
    "case\tx\tin x) ;; esac $ $' $\" eval sh\t-c bash\t-c >f 2> < & for\ti\tin ;\tdo ;\tdone if then fi ! a=( a[ "
    "] = -eq let declare\t-i\tA= test x()\t{ time command env exec -- xargs |\tsh trap cat $x <( <<< * @( >& coproc "
    "unset source . 1"
).split(" ")
_ATTACKS = [value for value in PAYLOADS.values() if "canary" in value and value != "> canary"] + [
    "touch canary",
    "./evil",
    "x=$(touch canary)",
    "BASH_ENV=./evil",
    "-c",
    "\\`touch canary\\`",
    "\\$(touch canary)",
]


@pytest.mark.parametrize("seed", range(8))
def test_no_script_lets_a_value_be_run(seed: int) -> None:
    """Scripts put together at random, most of them broken: whatever they are, the value never becomes a command."""
    source = random.Random(seed)
    rendered = 0
    while rendered < 25:
        template, value = _random_script(source), source.choice(_ATTACKS)
        try:
            command = join_shell(parts(template, value), "bash")
        except UnsafePlaceholder:
            continue
        rendered += 1
        for shell in SHELLS:
            assert not _lets_run(shell, command), (shell, template, value)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", ["touch canary", "./evil", "echo $(touch canary)"])
def test_a_value_that_is_run_would_be_seen(script: str, shell: str) -> None:
    """The judge itself: without it, a machine whose `touch` does nothing would find every quoting right."""
    assert _lets_run(shell, script)


def _random_script(source: random.Random) -> str:
    pieces = [
        source.choice((*_PIECES, " ", " ", " ", HOLE, HOLE)).replace("\t", " ") for _ in range(source.randint(1, 8))
    ]
    beginning = source.choice(["", "echo ", "echo a; ", "if true; then echo ", "( echo ", "{ echo ", "A=1 "])
    return beginning + "".join([*pieces, HOLE])


def _lets_run(shell: str, command: str) -> bool:
    with arena() as folder:
        (folder / "evil").write_text("#!/bin/sh\ntouch canary\n")
        (folder / "evil").chmod(0o755)
        return "canary" in run(shell, command, folder).files
