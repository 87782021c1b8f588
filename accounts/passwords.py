"""Which passwords are refused: too long to be hashed cheaply, or well known, also with trimmings (SEC-33, SEC-34).

No rules on composition: length and surprise are what helps.
"""

from __future__ import annotations

from typing import Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

LONGEST: Final = 1_024
_TRIMMINGS: Final = "0123456789 !?.,;:*+-_#$%&@=/\\|()[]{}<>'\"^~`"
#: what sample files and manuals are full of, beside what the list of common passwords holds
SAMPLES: Final = frozenset({"changeme", "changethis", "sallyport", "administrator", "secret", "default", "passwort"})


class MaximumLength:
    """A megabyte of password would keep a processor busy; nobody types one."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        return f"A password has at most {LONGEST:,} characters."


class WellKnown(CommonPasswordValidator):
    """Refuses the 20,000 commonest passwords, also repeated and with digits or signs around them."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        plain = password.lower().strip()
        bare = _once(plain.strip(_TRIMMINGS))
        if not bare or {plain, bare} & self.passwords or bare in SAMPLES:
            raise ValidationError("This password is among the first that are tried.", code="password_too_common")

    def get_help_text(self) -> str:
        return "A password is none that many people use, nor one with digits or signs around it."


def _once(text: str) -> str:
    """Return the shortest text of which ``text`` is a repetition: ``secret`` for ``secretsecret``."""
    length = (text + text).find(text, 1)
    return text[:length]
