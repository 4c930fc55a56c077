"""Java for Spark: which one is found, which one is used, and how a missing one is installed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VERSIONS = (17, 21)
FOLDERS = ("/usr/lib/jvm", "/opt/java", "/Library/Java/JavaVirtualMachines", "/opt/homebrew/opt")
PIN = "# java: "
INSTALLERS = {
    "apt-get": "apt-get update && apt-get install -y --no-install-recommends openjdk-{version}-jre-headless",
    "dnf": "dnf install -y java-{version}-openjdk-headless",
    "apk": "apk add openjdk{version}-jre-headless bash",
    "brew": "brew install openjdk@{version}",
}


@dataclass(frozen=True)
class Java:
    """A Java that was found. `version` is the feature release (8, 17, …), None where it could not be read."""

    home: Path
    version: int | None
    is_default: bool

    @property
    def is_supported(self) -> bool:
        """Whether Spark runs on it."""
        return self.version in VERSIONS


def install() -> str | None:
    """Install Java if none does and that takes no question; gives the command that is left to do, or None."""
    if find_usable() is not None:
        return None
    if shutil.which("apt-get") and os.geteuid() == 0:
        _apt_install()
    return None if find_usable() is not None else install_command()


def parse_version(text: str) -> int | None:
    """The feature release in what `java -version` prints: 8 of 1.8.0_392, 17 of 17.0.15, None of else."""
    match = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if match is None:
        return None
    major, minor = int(match[1]), match[2]
    return int(minor) if major == 1 and minor else major


def find() -> list[Java]:
    """The default Java first (JAVA_HOME, else the one on PATH), then others where systems put them."""
    program = default_program()
    found = [Java(program.resolve().parent.parent, version_of(program), True)] if program else []
    if found and found[0].is_supported:
        return found
    others = [Java(home, version_of(home / "bin" / "java"), False) for home in _other_homes()]
    return found + [other for other in others if other.home not in {java.home for java in found}]


def find_usable() -> Java | None:
    """The Java that Spark is to use: the first that is supported, the default before others."""
    return next((java for java in find() if java.is_supported), None)


def default_program() -> Path | None:
    """The `java` that Spark starts if nothing else is said: that of JAVA_HOME, else the one on PATH."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return Path(home) / "bin" / "java"
    found = shutil.which("java")
    return Path(found) if found else None


def version_of(program: Path) -> int | None:
    """What this `java` says of itself; None if it does not run."""
    try:
        done = subprocess.run(
            [program, "-version"], capture_output=True, text=True, errors="replace", timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stderr + done.stdout)


def install_command(version: int = VERSIONS[0]) -> str:
    """The one command that installs Java on this machine."""
    for tool, command in INSTALLERS.items():
        if shutil.which(tool):
            sudo = "" if tool == "brew" or os.geteuid() == 0 else "sudo "
            return " && ".join(sudo + part for part in command.format(version=version).split(" && "))
    return "install Java 17 or 21 and set JAVA_HOME to its folder"


def pin_lines(java: Java) -> list[str]:
    """What `spark-env.sh` says so that Spark uses this Java; nothing if Spark finds it by itself."""
    if java.is_default:
        return []
    home = shlex.quote(str(java.home))
    return [f"{PIN}{java.home}", f"if [ -x {home}/bin/java ]; then export JAVA_HOME={home}; fi"]


def pinned(spark_home: Path | None) -> Path | None:
    """The Java that this Spark's `spark-env.sh` names because the default one does not do."""
    script = spark_home / "conf" / "spark-env.sh" if spark_home else None
    if script is None or not script.is_file():
        return None
    lines = script.read_text(encoding="utf-8").splitlines()
    return next((Path(line.removeprefix(PIN)) for line in lines if line.startswith(PIN)), None)


def _other_homes() -> list[Path]:
    homes: set[Path] = set()
    for folder in map(Path, FOLDERS):
        for pattern in ("*/bin/java", "*/Contents/Home/bin/java"):
            homes.update(java.resolve().parent.parent for java in folder.glob(pattern))
    return sorted(homes)


def _apt_install() -> None:
    """Install the first of 17 and 21 that this system packages; what apt says goes to standard error."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    subprocess.run([*apt, "update"], env=environment, stdout=sys.stderr, check=False)
    for version in VERSIONS:
        package = f"openjdk-{version}-jre-headless"
        if _is_packaged(package):
            command = [*apt, "install", "-y", "--no-install-recommends", package]
            subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
            return


def _is_packaged(package: str) -> bool:
    found = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return found.returncode == 0
