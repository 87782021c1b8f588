"""Which operating system account runs PostgreSQL, and where that account can reach its files."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Any

from config import home
from config.supervisor import CannotStart


def service_account() -> pwd.struct_passwd | None:
    """Return the account to run PostgreSQL as, None meaning our own.

    PostgreSQL refuses to run as root, so root hands it to another account.
    """
    if os.geteuid() != 0:
        return None
    for name in (os.environ.get("SALLYPORT_PG_USER"), os.environ.get("SUDO_USER"), "postgres", "nobody"):
        try:
            if name and pwd.getpwnam(name).pw_uid != 0:
                return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotStart(
        "PostgreSQL does not run as root and no other account was found. Set SALLYPORT_PG_USER to one, set "
        "DATABASE_URL to a server of your own, or start as a normal user."
    )


def own_account_name() -> str:
    """Return the account of this process by its number: LOGNAME may say anything."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise CannotStart(
            f"The user number {os.geteuid()} has no entry in the password file, which PostgreSQL needs. "
            "Set DATABASE_URL to a server of your own."
        ) from None


def popen_options(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return what subprocess needs to run a child as ``account``."""
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def others_can_reach(path: Path) -> bool:
    resolved = path.resolve()
    return all(p.stat().st_mode & stat.S_IXOTH for p in (resolved, *resolved.parents) if p.exists())


def data_directory(account: pwd.struct_passwd | None) -> Path:
    """Return the directory for PostgreSQL's files, made and given to its account.

    That is ``postgres`` inside the home. Only when root has a home below a directory that others cannot enter
    is it in /var/lib instead, under a name that the home keeps, since opening such parents would be wrong.
    """
    inside = home.home()
    inside.mkdir(parents=True, exist_ok=True)
    if account and others_can_reach(inside.parent):
        inside.chmod(inside.stat().st_mode | stat.S_IXOTH)  # our own directory; its secrets are files of mode 0600
    elif account:
        inside = Path("/var/lib") / f"sallyport-{home.kept_name()}"
        inside.mkdir(mode=0o711, exist_ok=True)
    path = inside / "postgres"
    path.mkdir(mode=0o711, exist_ok=True)
    if account:
        os.chown(path, account.pw_uid, account.pw_gid)
    return path


def private_sockets(account: pwd.struct_passwd | None) -> Path:
    """Make the directory of the sockets, or check that the one there is ours alone, and return it."""
    path = home.socket_directory()
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    owners = {os.geteuid(), account.pw_uid if account else os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners or found.st_mode & 0o077:
        raise CannotStart(f"{path} is not a private directory of ours. Remove it and start again.")
    if account and found.st_uid != account.pw_uid:
        os.chown(path, account.pw_uid, account.pw_gid)
    return path


def forget_data() -> None:
    """Remove PostgreSQL's files of this home, for a home that was made for one test run."""
    shutil.rmtree(data_directory(service_account()), ignore_errors=True)
