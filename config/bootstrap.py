"""Makes the project's own environments from the hashed pins, and starts manage.py again inside one.

``.venv`` is for running, ``.venv-test`` holds the tools of tests and checks too, so that `up` and `test` of one
clone can go on at once. Standard library only, and parsable by old Pythons so that they can say what is missing.

Run as a script, ``python3 config/bootstrap.py [tests]`` makes an environment and prints its Python.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST, NEWEST = (3, 11), (3, 14)
RUNNING, TESTING, DBT = ".venv", ".venv-test", ".venv-dbt"
#: environment -> the files of pins it is made from, all of which pip must accept together
PINS = {
    RUNNING: ["requirements.txt"],
    TESTING: ["requirements.txt", os.path.join("tests", "requirements.txt")],
    # dbt does not go with our versions: tests run it as a program, from an environment of its own.
    DBT: [os.path.join("tests", "connectors", "dbt", "requirements.txt")],
}
#: every version is pinned, and pip 23 stumbles over extras of pinned packages
OPTIONS = {DBT: ["--no-deps"]}
PIP_SINCE = (22, 3)  # the first pip that installs into another interpreter's environment


def enter(argv: "list[str]") -> None:
    """Return inside an environment that has what this command needs; otherwise make it and start again there.

    An environment that somebody made by hand with exactly the pinned versions is used as it is, and with
    SALLYPORT_NO_BOOTSTRAP set (containers) nothing is looked at.
    """
    if os.environ.get("SALLYPORT_NO_BOOTSTRAP"):
        return
    name = TESTING if argv[1:2] == ["test"] else RUNNING
    inside = os.path.realpath(sys.prefix) == os.path.realpath(os.path.join(ROOT, name))
    if not inside and _has_pins(name):
        return
    python = make(name)
    if name == TESTING:
        _make_beside(DBT)
    if not inside:
        sys.stdout.flush()
        os.execv(python, [python] + argv)


def make(name: str) -> str:
    """Make the environment unless it is there and up to date; return the path of its Python."""
    directory = os.path.join(ROOT, name)
    python = os.path.join(directory, "bin", "python")
    if not _is_current(directory, python):
        import fcntl

        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another command of this clone may be making it
            if not _is_current(directory, python):
                _install(directory, python)
    return python


def _make_beside(name: str) -> None:
    """Make an environment that some tests use; without it they are skipped, and counted."""
    try:
        make(name)
    except SystemExit as error:
        sys.stderr.write("%s\n%s could not be made; the tests that use it are skipped.\n" % (error, name))


def _is_current(directory: str, python: str) -> bool:
    try:
        with open(os.path.join(directory, ".installed")) as file:
            return file.read() == _digest(os.path.basename(directory)) and os.path.exists(python)
    except OSError:
        return False


def _digest(name: str) -> str:
    digest = hashlib.sha256()
    for path in _files(name):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def _files(name: str) -> "list[str]":
    return [os.path.join(ROOT, path) for path in PINS[name]]


def _pins(name: str) -> "dict[str, str]":
    """Return package -> version of the pins that hold on every platform."""
    found = {}
    for path in _files(name):
        with open(path) as file:
            for line in file:
                pin = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)\s*\\?$", line.strip())
                if pin:
                    found[pin.group(1)] = pin.group(2)
    return found


def _has_pins(name: str) -> bool:
    """Whether the environment of this very Python holds every pinned version."""
    if sys.version_info[:2] < OLDEST:
        return False
    from importlib.metadata import PackageNotFoundError, version

    try:
        return all(version(package) == pinned for package, pinned in _pins(name).items())
    except PackageNotFoundError:
        return False


def _find_python() -> str:
    if sys.version_info[:2] >= OLDEST:
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which("python3.%d" % minor)
        if found:
            return found
    sys.exit(
        "Sallyport needs Python %d.%d or newer; this is %s. Install one, then run `python3.%d manage.py ...`."
        % (OLDEST + (sys.version.split()[0], OLDEST[1]))
    )


def _install(directory: str, python: str) -> None:
    from config.progress import Bar

    name = os.path.basename(directory)
    outer = _find_python()
    if not os.path.exists(python):
        # Without pip: Debian's python3 cannot put it there unless python3-venv is installed.
        _run([outer, "-m", "venv", "--without-pip", directory])
    arguments = [word for path in _files(name) for word in ("-r", path)]
    command = _installer(outer, python) + ["--require-hashes"] + OPTIONS.get(name, []) + arguments
    _show(command, "installing into " + name, len(_pins(name)))
    # On every core at once, which the installers do not do. What does not compile is for another Python.
    with Bar("compiling " + name, None, sys.stderr):
        subprocess.call(
            [python, "-m", "compileall", "-q", "-j", "0", os.path.join(directory, "lib")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    with open(os.path.join(directory, ".installed"), "w") as file:
        file.write(_digest(name))


def _installer(outer: str, python: str) -> "list[str]":
    """Return the command that installs into the environment of ``python``: uv, pip from outside, or its own pip."""
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", python]
    options = ["install", "--disable-pip-version-check", "--no-input", "--no-compile", "--progress-bar", "off"]
    said = subprocess.run([outer, "-m", "pip", "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    version = re.match(r"pip (\d+)\.(\d+)", said.stdout.decode(errors="replace"))
    if version and (int(version.group(1)), int(version.group(2))) >= PIP_SINCE:
        return [outer, "-m", "pip", "--python", python] + options
    if subprocess.call([python, "-m", "ensurepip"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
        return [python, "-m", "pip"] + options
    sys.exit(
        "Nothing here can install packages. Install pip %d.%d or newer (Debian: apt install python3-pip) or uv, "
        "then run this again." % PIP_SINCE
    )


def _run(command: "list[str]") -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit("`%s` failed:\n%s" % (" ".join(command), done.stdout.decode(errors="replace")))


def _show(command: "list[str]", label: str, total: int) -> None:
    """Run an installer and show its progress; on failure print all it said and what to try."""
    from config.progress import Bar

    said = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with Bar(label, total, sys.stderr) as bar:
        for raw in process.stdout or ():
            line = raw.decode(errors="replace").rstrip()
            said.append(line)
            if line.startswith("Collecting "):
                bar.advance(note=line.split()[1].partition("=")[0])
            elif line.startswith("Installing collected"):
                bar.advance(total, "unpacking")
        code = process.wait()
    if code:
        sys.exit(
            "%s\n\nInstalling failed (see above). Check the connection to the package index, or point pip at a "
            "mirror (PIP_INDEX_URL), then run this again." % "\n".join(said[-30:])
        )


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    print(make(TESTING if sys.argv[1:2] == ["tests"] else RUNNING))
