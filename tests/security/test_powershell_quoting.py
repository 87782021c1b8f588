"""Outside values in PowerShell: a table of renderings, and a tokenizer of ours that reads them back (SECURITY.md 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.quoting import UnsafePlaceholder, join_shell
from tests.security.shells import HOLE, PAYLOADS, parts

SINGLE, DOUBLE = "'\u2018\u2019\u201a\u201b", '"\u201c\u201d\u201e'

RENDERED = [
    ("Get-Item §", "a b", "Get-Item 'a b'"),
    ("Get-Item §", "safe-1.txt", "Get-Item safe-1.txt"),
    ("Get-Item §", "it's", "Get-Item 'it''s'"),
    ("Get-Item §", "a@b", "Get-Item 'a@b'"),
    ("Get-Item §", "a,b", "Get-Item 'a,b'"),
    ("Get-Item §", "50%", "Get-Item '50%'"),
    ("Get-Item §", "$(calc)", "Get-Item '$(calc)'"),
    ("Get-Item '§'", "'; calc; '", "Get-Item '''; calc; '''"),
    ("Get-Item '§'", "\u2019; calc; \u2018", "Get-Item '\u2019\u2019; calc; \u2018\u2018'"),
    ("Get-Item '§'", "\u201a\u201b", "Get-Item '\u201a\u201a\u201b\u201b'"),
    ('Get-Item "§"', '"; calc; "', 'Get-Item "`"; calc; `""'),
    ('Get-Item "§"', "\u201d; calc; \u201c\u201e", 'Get-Item "`\u201d; calc; `\u201c`\u201e"'),
    ('Get-Item "§"', "$(calc) $x ${x} `n", 'Get-Item "`$(calc) `$x `${x} ``n"'),
    ('Get-Item "a §\\b"', "x\ny", 'Get-Item "a x\ny\\b"'),
    ("$x = '§'", "-rf", "$x = '-rf'"),
    ("if ($a -eq '§') { Stop-Service x }", "it's", "if ($a -eq 'it''s') { Stop-Service x }"),
    ("Get-Process | Where-Object { $_.Name -eq '§' }", "$x", "Get-Process | Where-Object { $_.Name -eq '$x' }"),
    ("Get-Item x; Write-Output §", "a;b", "Get-Item x; Write-Output 'a;b'"),
    ("Write-Output '§'", "", "Write-Output ''"),
    ("Remove-Item -LiteralPath '§'", "a[1]*", "Remove-Item -LiteralPath 'a[1]*'"),
    ("Write-Output 'it''s' '§'", "x'y", "Write-Output 'it''s' 'x''y'"),
    ("ping.exe §", "a b", "ping.exe 'a b'"),
]

REFUSED = [
    ("§", "calc"),
    ("& '§'", "calc"),
    (". §", "calc"),
    ("Get-Item x; §", "calc"),
    ("Get-Item x | §", "calc"),
    ("$x = §", "calc"),
    ("$x.§", "Delete"),
    ("$§", "env"),
    ('"$§"', "env"),
    ('Write-Output "$x§"', ".y"),
    ('Write-Output "$(§)"', "calc"),
    ("Write-Output \"$(Get-Item '§')\"", "calc"),
    ('Write-Output "`§"', "n"),
    ("Write-Output @'\n§\n'@", "x"),
    ('Write-Output @"\n§\n"@', "x"),
    ("# §", "x"),
    ("Invoke-Expression '§'", "calc"),
    ("iex \"Get-Item '§'\"", "x"),
    ("'§' | iex", "calc"),
    ("Get-Content x | Invoke-Expression; Write-Output '§'", "x"),
    ("[scriptblock]::Create('§')", "calc"),
    ("powershell -Command '§'", "calc"),
    ("pwsh -EncodedCommand §", "YQA="),
    ("cmd /c '§'", "calc"),
    ("Start-Process '§'", "calc"),
    ("New-Object '§'", "x"),
    ("Get-WmiObject -Query '§'", "x y"),
    ("Get-ADUser -Filter '§'", "a b"),
    ("'abc' -replace 'b', '§' -match '§'", "(a+)+$"),
    ("[int]'§'", "x"),
    ("$x['§']", "x"),
    ("Get-Item §x", "a b"),
    ("Get-Item x§", "a b"),
    ("Get-Item 'x'§", "y"),
    ("Get-Item §§", "a b"),
    ("Get-Item §", "-Recurse"),
    ("Get-Item '§'", "@x"),
    ("Get-Item > §", "x"),
    ("Get-Item --% '§'", "x y"),
    ("ping.exe '§'", 'a"b'),
    ("ping.exe '§'", "a\\"),
    ("Remove-Item '§'", "*"),
    ("Stop-Process -Name §", "[a-z]*"),
    ("{ Get-Item", "unused"),
]


@pytest.mark.parametrize(("template", "value", "expected"), RENDERED)
def test_a_value_is_rendered_as_the_table_says(template: str, value: str, expected: str) -> None:
    assert join_shell(parts(template.replace("\u00a7", HOLE), value), "powershell") == expected


@pytest.mark.parametrize(("template", "value"), [row for row in REFUSED if "\u00a7" in row[0]])
def test_what_the_table_does_not_cover_is_refused(template: str, value: str) -> None:
    with pytest.raises(UnsafePlaceholder):
        join_shell(parts(template.replace("\u00a7", HOLE), value), "powershell")


def _tokens(command: str) -> list[str]:
    """Read a pipeline of words and quoted texts as PowerShell does; anything more is an error."""
    tokens: list[str] = []
    at = 0
    while at < len(command):
        if command[at] == " ":
            at += 1
        elif command[at] in SINGLE + DOUBLE:
            text, at = _quoted(command, at + 1, SINGLE if command[at] in SINGLE else DOUBLE)
            tokens.append(text)
        else:
            end = at
            while end < len(command) and command[end] != " ":
                assert command[end].isascii(), command
                assert command[end].isalnum() or command[end] in "._/:+=-", command
                end += 1
            tokens.append(command[at:end])
            at = end
    return tokens


def _quoted(command: str, at: int, quotes: str) -> tuple[str, int]:
    text = ""
    while True:
        character = command[at]
        if character in quotes:
            if at + 1 < len(command) and command[at + 1] in quotes:
                text, at = text + command[at + 1], at + 2
                continue
            return text, at + 1
        if quotes is DOUBLE and character == "`":
            assert command[at + 1] in "`$" + DOUBLE, "an escape that PowerShell would read in another way"
            text, at = text + command[at + 1], at + 2
            continue
        assert quotes is SINGLE or character != "$", "an expansion"
        text, at = text + character, at + 1


PLACES = ["Write-Output §", "Write-Output '§'", 'Write-Output "§"']


@pytest.mark.parametrize("template", PLACES)
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_value_is_read_back_as_it_was_or_refused(name: str, template: str) -> None:
    _check(PAYLOADS[name], template)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.text(SINGLE + DOUBLE + "`$(){};|&-@ \n"))
def test_any_text_is_read_back_as_it_was_or_refused(value: str) -> None:
    for template in PLACES:
        _check(value, template)


def _check(value: str, template: str) -> None:
    try:
        command = join_shell(parts(template.replace("\u00a7", HOLE), value), "powershell")
    except UnsafePlaceholder:
        assert value.startswith(("-", "@"))
        return
    assert _tokens(command) == ["Write-Output", value]
