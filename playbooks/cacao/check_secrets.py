"""Finds secrets that stand in the document in clear: in log-ons, variables, headers, addresses, commands.

No message repeats what was found. Source: CACAO.md 8, 15 ("Secret").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from playbooks.cacao.check_findings import quoted
from playbooks.cacao.check_model import Model
from playbooks.cacao.check_uses import PUBLIC_OF_LOGON, Where, walk
from playbooks.cacao.findings import below, pointer
from playbooks.cacao.names import Names
from playbooks.cacao.references import names_in
from playbooks.cacao.values import ADDRESS_TYPES, NUMBER_TYPES, meant_type

#: words of a name that say "secret", and words beside them that say "not this one"
_TELLING: Final = frozenset(
    """
    password passwords passwd pwd passphrase passcode token tokens secret secrets key keys apikey webhook webhooks
    credential credentials
    """.split()
)
_HARMLESS: Final = frozenset(
    """
    public registry primary foreign partition sort host hostkey id ids name names type kind count length size expiry
    expires header file path algorithm
    """.split()
)
_PLAIN_TYPES: Final = NUMBER_TYPES | ADDRESS_TYPES | {"bool", "mac-addr"}
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

#: text that stands for a secret and is none: <token>, {{ token }}, ${TOKEN}, $TOKEN, ****, xxx, your-token-here
_STAND_IN: Final = re.compile(
    r"<[^<>]*>|\{\{.*\}\}|\$\{?\w+\}?|%\w+%|[*x.•]+|X+|(?:your|my|the|insert|replace|enter)[ _-].*|"
    r"(?:todo|tbd|none|null|n/a|example|placeholder|redacted|changeme|change_me|dummy|secret|password|token)",
    re.IGNORECASE | re.DOTALL,
)
#: forms that issuers gave their secrets
_ISSUED: Final = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bglpat-[A-Za-z0-9_-]{20,}|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{35}|\bsk-[A-Za-z0-9_-]{20,}|\bsk_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    r"|https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{10,}"
    r"|https://discord(?:app)?\.com/api/webhooks/[0-9]+/[A-Za-z0-9_-]{10,}"
)
#: user:password@ in a URL
_USERINFO: Final = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^/\s:@\"'<>]{1,200}:([^/\s@\"'<>]{1,200})@")
_NAMED: Final = (
    r"(?:password|passwd|passphrase|api[_-]?key|(?:auth|access|api|bearer)[_-]?token|client[_-]?secret|secret[_-]?key)"
)
_QUOTED: Final = r"\"([^\"\n]{1,400})\"|'([^'\n]{1,400})'"
#: password="X", PGPASSWORD='X', "api_key": "X"; a bare value only where a digit is in it, for words may be variables
_ASSIGNED: Final = re.compile(
    rf"{_NAMED}[\"']?\s{{0,3}}[=:]\s{{0,3}}(?:{_QUOTED}|(?=[^\s\"']{{0,100}}[0-9])([^\s\"'&;,|)}}\]]{{1,400}}))",
    re.IGNORECASE,
)
#: --password X, curl -u name:X, sshpass -p X, ConvertTo-SecureString "X"
_OPTIONS: Final = (
    re.compile(
        rf"(?:^|\s)--?(?:{_NAMED}|token|secret)(?:=|\s+)(?:{_QUOTED}|([^\s\"';|&-][^\s\"';|&]{{0,400}}))", re.IGNORECASE
    ),
    re.compile(r"\bcurl\b[^\n|;]{0,400}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,100}:([^\s\"']{1,200})"),
    re.compile(r"\bsshpass\s+-p\s?[\"']?([^\s\"']{1,200})"),
    re.compile(rf"\bConvertTo-SecureString\s+(?:-String\s+)?(?:{_QUOTED})", re.IGNORECASE),
)
_SECRET_HEADERS: Final = frozenset(
    """
    authorization proxy-authorization cookie x-api-key api-key apikey x-auth-token x-access-token x-token
    x-gitlab-token private-token x-vault-token x-auth-key x-amz-security-token x-apikey
    """.split()
)
_SCHEMES: Final = frozenset({"bearer", "basic", "token", "apikey", "digest", "splunk", "ssws", "negotiate", "key"})
#: Characters of one text that are searched.
_SEARCHED: Final = 200_000
_INSTEAD: Final = "Keep it in a connection, or in the store by `kms`: who may read the playbook reads it here."


def says_secret(name: str, kind: str) -> bool:
    """Return whether a variable's name says that it holds a password, a token, a secret, a key or a webhook.

    ``kind`` is its type: a number or an address is none, whatever it is called.
    """
    if meant_type(kind) in _PLAIN_TYPES:
        return False
    words = {word.lower() for word in _WORD.findall(name)}
    if "webhook" in words or "webhooks" in words:
        return not words & {"id", "ids", "name", "names"}
    return bool(words & _TELLING) and not words & _HARMLESS


def is_secret_header(name: str) -> bool:
    """Return whether a header of that name holds a credential."""
    return name.strip().lower() in _SECRET_HEADERS


def without_literals(text: str, *, mask: str) -> str:
    """Return ``text`` with ``mask`` for what is a secret by its form, or by what stands before it."""
    shown = _ISSUED.sub(mask, text)
    for pattern in (_USERINFO, _ASSIGNED, *_OPTIONS):
        shown = pattern.sub(lambda match: _masked(match, mask), shown)
    return shown


def _masked(match: re.Match[str], mask: str) -> str:
    number = next((index for index, group in enumerate(match.groups(), start=1) if group is not None), 0)
    start, end = match.span(number)
    whole, at = match.group(0), match.start()
    return f"{whole[: start - at]}{mask}{whole[end - at :]}"


def check_secrets(model: Model) -> None:
    _check_logons(model)
    _check_variables(model)
    for step in model.workflow.steps.values():
        for text in model.uses.texts[step.id]:
            if text.where is Where.HEADER:
                _check_header(model, text.at, text.text)
            if text.text and not text.is_encoded:
                _check_text(model, text.at, text.text)
    for dictionary, places in model.definitions():
        for key, place in places.items():
            for value, at in walk(place.properties.get("address"), pointer(dictionary, key, "address")):
                _check_text(model, at, value)


def _report(model: Model, at: str, what: str) -> None:
    model.findings.add("secret-in-document", at, f"{what} stands here in clear. {_INSTEAD}")


def _check_logons(model: Model) -> None:
    given = model.document.get("authentication_info_definitions")
    for key, logon in given.items() if isinstance(given, dict) else ():
        for name, value in logon.items() if isinstance(logon, dict) else ():
            if name in PUBLIC_OF_LOGON or name in ("type", "name", "description", "authentication_info_extensions"):
                continue
            for text, at in _literals(value, pointer("authentication_info_definitions", key, name), model.names):
                if text:
                    _report(model, at, f"A literal {quoted(name)}")


def _literals(value: Any, at: str, names: Names) -> Iterator[tuple[str, str]]:
    """Yield the texts, and numbers as text, that refer to no variable."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value), at
    for text, place in walk(value, at):
        if not names_in(text, names.irregular):
            yield text, place


def _check_variables(model: Model) -> None:
    owners: list[tuple[Mapping[str, Any], str, str]] = [(model.document, "", "playbook_variables")]
    owners += [(model.given(key), pointer("workflow", key), "step_variables") for key in model.workflow.steps]
    for owner, at, dictionary in owners:
        variables = owner.get(dictionary)
        for name, variable in variables.items() if isinstance(variables, dict) else ():
            value, kind = (variable.get("value"), variable.get("type")) if isinstance(variable, dict) else (None, None)
            place = below(at, dictionary, name, "value")
            if isinstance(value, str) and says_secret(name, str(kind)) and _is_literal(value, model.names):
                _report(model, place, f"The value of {quoted(name)}, by its name a secret,")
            elif value is not None:
                for text, inner in walk(value, place):
                    _check_text(model, inner, text)


def _check_header(model: Model, at: str, value: str) -> None:
    name = at.rsplit("/", 2)[1].replace("~1", "/").replace("~0", "~")
    if name.lower() not in _SECRET_HEADERS:
        return
    scheme, _, rest = value.strip().partition(" ")
    credential = rest.strip() if scheme.lower() in _SCHEMES else value.strip()
    if _is_literal(credential, model.names):
        _report(model, at, f"The header {quoted(name)}")


def _check_text(model: Model, at: str, text: str) -> None:
    searched = text[:_SEARCHED]
    if _ISSUED.search(searched):
        _report(model, at, "A token, key or webhook address, by its form,")
        return
    for pattern in (_USERINFO, _ASSIGNED, *_OPTIONS):
        for match in pattern.finditer(searched):
            value = next((group for group in match.groups() if group is not None), "")
            if _is_literal(value, model.names):
                _report(model, at, "A password or token")
                return


def _is_literal(value: str, names: Names) -> bool:
    """Return whether a text is a secret itself: neither empty, nor a reference, nor a stand-in for one."""
    text = value.strip()
    if len(text) < 2 or _STAND_IN.fullmatch(text) or text.startswith(("$", "`")):
        return False
    return not names_in(text, names.irregular, dollars=True) and "__" not in text
