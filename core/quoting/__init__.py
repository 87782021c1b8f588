"""Values from outside put into commands, URLs, headers and documents (SECURITY.md 4 and SEC-12). Pure.

A text is a sequence of parts: what the author wrote, and values that came from outside. Each ``join_*`` knows one kind
of place and encodes every outside value for it, or raises UnsafePlaceholder. Results are never scanned again.
"""

from core.quoting.contexts import (
    join_form,
    join_header,
    join_json,
    join_query,
    join_start_line,
    join_target,
    join_text,
    join_url_path,
)
from core.quoting.places import MAX_VALUE, TextPart, UnsafePlaceholder
from core.quoting.shells import Dialect, Rendered, join_shell, places, render_shell

__all__ = [
    "MAX_VALUE",
    "Dialect",
    "Rendered",
    "TextPart",
    "UnsafePlaceholder",
    "join_form",
    "join_header",
    "join_json",
    "join_query",
    "join_shell",
    "join_start_line",
    "join_target",
    "join_text",
    "join_url_path",
    "places",
    "render_shell",
]
