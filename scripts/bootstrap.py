"""Make `.venv` with everything the project needs: `make setup`. Standard library only, Python 3.11 or newer.

Steps: the environment, its packages (pinned by hash), the project itself, Java, Spark's jars and settings.
What has ended is noted in `.venv/setup.json`, so the next run does only what has changed or was interrupted.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
STAMP = VENV / "setup.json"
REQUIREMENTS = ROOT / "requirements"
# What a change of means doing the step again.
PACKAGES = ("scripts/bootstrap.py", "requirements/bootstrap.txt", "requirements/lock.txt", "pyproject.toml")
SPARK = ("scripts/spark_jars.py", "lake/quick_start.py", "risklake/java.py", "conf")
SPARK += ("lake/log_store.py", "lake/storage/NamesFirstLogStore.scala")
# Settings of the caller's shell that would lead the commands astray.
UNWANTED = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_TARGET", "PIP_PREFIX")
NETWORK = "Is there a network? Behind a mirror set what pip needs, as PIP_INDEX_URL: uv is given the same"


class SetupError(Exception):
    """A step failed; the message ends with what to do."""


def main() -> int:
    """Bring the environment up to date; gives the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    began = time.monotonic()
    try:
        with _only_one() as lock:
            if todo := steps_to_do():
                for name, step in todo:
                    _timed(name, step, lock)
                print(f"ready: {time.monotonic() - began:.0f} s", flush=True)
    except SetupError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return _complain("interrupted: call `make setup` again, and it goes on from here", 130)
    return 0


def steps_to_do() -> list[tuple[str, Callable[[Runner], None]]]:
    """Names and functions of the steps whose inputs have changed since they last ended."""
    done = read_stamp()
    todo: list[tuple[str, Callable[[Runner], None]]] = []
    if done.get("environment") != environment_key() or not PYTHON.exists():
        todo += [("environment", make_environment), ("packages", install_packages)]
        todo += [("project", install_project)]
    if todo or done.get("spark") != spark_key():
        todo += [("java", install_java), ("spark", prepare_spark)]
    return todo


def environment_key() -> str:
    """A digest of all that decides what is in the environment."""
    version = "{}.{}".format(*sys.version_info[:2])
    return _digest([str(ROOT), version], PACKAGES)


def spark_key() -> str:
    """A digest of all that decides how the environment's Spark is set."""
    return _digest([os.environ.get("JAVA_HOME", ""), str(shutil.which("java"))], SPARK)


def make_environment(run: Runner) -> None:
    """A virtual environment with uv. One that was left half made, or is of another Python, is made anew."""
    if "environment" in read_stamp() and _is_usable():
        return
    if VENV.exists() and not (VENV / "pyvenv.cfg").exists() and any(VENV.iterdir()):
        raise SetupError(f"{VENV} is no Python environment: move it away and call `make setup` again")
    shutil.rmtree(VENV, ignore_errors=True)
    locked = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    locked += ["-r", str(REQUIREMENTS / "bootstrap.txt")]
    if _has_ensurepip() or _apt_install_venv(run):
        run(sys.executable, "-m", "venv", VENV)
        run(PYTHON, "-m", "pip", "install", "-q", *locked, fix=NETWORK)
    elif uv := shutil.which("uv"):
        run(uv, "venv", "--python", sys.executable, VENV)
        run(uv, "pip", "install", "--python", PYTHON, *locked, fix=NETWORK)
    else:
        advice = f"apt-get install {venv_package()}, or install uv, and call `make setup` again"
        raise SetupError(f"{sys.executable} cannot make environments: {advice}")


def install_packages(run: Runner) -> None:
    """Exactly the packages of the lock, each compared with its hash."""
    forget("environment")  # until all of it is in place
    options = ["--python", str(PYTHON), "--require-hashes", "--no-build-isolation"]
    run(UV, "pip", "sync", *options, REQUIREMENTS / "lock.txt", fix=NETWORK)


def install_project(run: Runner) -> None:
    """The project itself, editable, so that spark-submit, notebooks and tests import the same code."""
    options = ["--python", str(PYTHON), "--no-deps", "--no-build-isolation", "--offline"]
    run(UV, "pip", "install", *options, "--editable", ROOT)
    remember("environment", environment_key())


def install_java(run: Runner) -> None:
    """Java, where it is missing and can be installed without a question."""
    run(PYTHON, "-m", "risklake.doctor", "--fix")


def prepare_spark(run: Runner) -> None:
    """Spark's Delta jars and settings."""
    forget("spark")
    run(PYTHON, ROOT / "scripts" / "spark_jars.py")
    remember("spark", spark_key())


def mirror_settings(pip_configuration: str) -> dict[str, str]:
    """What pip was told of a mirror (`pip config list`), as uv's environment variables."""
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
    found = re.findall(r"^[\w:]*\.([\w-]+)='(.*)'$", pip_configuration, re.MULTILINE)
    return {names[key]: value for key, value in found if key in names}


def last_lines(output: str) -> list[str]:
    """The end of what a failed command said, without its retries and with long lines cut."""
    lines = [line for line in output.splitlines() if line.strip() and "Retrying" not in line]
    return ["  " + line[:200] for line in lines[-8:]]


def venv_package() -> str:
    """Debian's package that lets this Python make environments."""
    return "python{}.{}-venv".format(*sys.version_info[:2])


def read_stamp() -> dict[str, Any]:
    """Which step ended with which inputs; empty if nothing is known."""
    try:
        found = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(step: str, key: str) -> None:
    """Note that a step has ended."""
    _write_stamp({**read_stamp(), step: key})


def forget(step: str) -> None:
    """Note that a step is under way: if it does not end, it is done anew."""
    _write_stamp({name: key for name, key in read_stamp().items() if name != step})


class Runner:
    """Runs commands quietly; shows the end of their output if they fail."""

    def __init__(self, lock: IO[str]) -> None:
        self.lock = lock
        self._mirror: dict[str, str] | None = None

    def __call__(self, *command: str | Path, fix: str = "") -> None:
        """Run a command in the project's folder; raises `SetupError` if it fails."""
        # A command that outlives us (kill -9) keeps the lock, so that the next run waits for its end.
        done = subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env=self._environment(command[0]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=[self.lock.fileno()],
            check=False,
        )
        if done.returncode != 0:
            words = " ".join(str(word) for word in command[:4])
            raise SetupError("\n".join([f"failed: {words} ...", *last_lines(done.stdout), fix]).rstrip())

    def _environment(self, program: str | Path) -> dict[str, str]:
        base = {name: value for name, value in os.environ.items() if name not in UNWANTED}
        base |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        if program == UV:
            base = {"UV_HTTP_TIMEOUT": "180", **self._mirror_of_pip(base), **base}
        return base

    def _mirror_of_pip(self, base: dict[str, str]) -> dict[str, str]:
        if self._mirror is None:
            command = [str(PYTHON), "-m", "pip", "config", "list"]
            told = subprocess.run(command, env=base, capture_output=True, text=True, check=False)
            self._mirror = mirror_settings(told.stdout)
        return self._mirror


def _timed(name: str, step: Callable[[Runner], None], lock: IO[str]) -> None:
    began = time.monotonic()
    print(f"{name:12}", end="", flush=True)
    try:
        step(Runner(lock))
    except BaseException:
        print(flush=True)
        raise
    print(f"{time.monotonic() - began:5.0f} s", flush=True)


def _only_one() -> IO[str]:
    """A lock on this folder, held while the result is open: the system lets it go however we end."""
    opened = Path(__file__).open(encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another set-up of this folder is at work: waiting for it", flush=True)
        fcntl.flock(opened, fcntl.LOCK_EX)
    return opened


def _is_usable() -> bool:
    """Whether the environment runs, has uv and is of the Python that runs us."""
    test = "import sys; print('{}.{}'.format(*sys.version_info[:2]))"
    if not (PYTHON.exists() and UV.exists()):
        return False
    said = subprocess.run([str(PYTHON), "-c", test], capture_output=True, text=True, check=False)
    return said.stdout.strip() == "{}.{}".format(*sys.version_info[:2])


def _has_ensurepip() -> bool:
    importlib.invalidate_caches()
    return importlib.util.find_spec("ensurepip") is not None


def _apt_install_venv(run: Runner) -> bool:
    """On Debian and Ubuntu, as root, install what the system's Python lacks; whether it is there now."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    run(*apt, "update")
    run(*apt, "install", "-y", "--no-install-recommends", venv_package())
    return _has_ensurepip()


def _digest(words: Sequence[str], names: Sequence[str]) -> str:
    digest = hashlib.sha256("\0".join(words).encode())
    for name in names:
        path = ROOT / name
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _write_stamp(content: dict[str, str]) -> None:
    part = STAMP.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(STAMP)


def _stop(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _complain(message: str, code: int = 1) -> int:
    print(f"setup: {message}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
