"""Where a development start keeps its data, logs and generated secrets: SALLYPORT_HOME, by default ``var/``.

Nothing here is used when the settings name a database and give the secrets themselves.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from base64 import b64encode
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Return the data directory; it need not exist yet."""
    given = os.environ.get("SALLYPORT_HOME", "").strip()
    return Path(given).expanduser().resolve() if given else ROOT / "var"


def socket_directory() -> Path:
    """Return where the embedded servers listen; it need not exist yet.

    Short, because a Unix socket path holds at most 103 bytes (macOS) or 107 (Linux); one for each home.
    """
    tag = hashlib.sha256(str(home()).encode()).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"sallyport-{os.geteuid()}-{tag}"


def kept_secret(name: str) -> str:
    """Return the secret of this home called ``name``, made at its first use: 32 random bytes in base64, mode 0600."""
    path = home() / name
    if not path.exists():
        _create(path, b64encode(secrets.token_bytes(32)).decode())
    return path.read_text(encoding="ascii").strip()


def kept_name() -> str:
    """Return the name of this home: sixteen hexadecimal digits, made once. Another home at this path has another."""
    return hashlib.sha256(kept_secret("home_id").encode()).hexdigest()[:16]


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(draft, path)


def _create(path: Path, content: str) -> None:
    """Write ``path`` unless another process is first, so that all processes of a home agree on one secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
    write_private(draft, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
