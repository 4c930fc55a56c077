"""The services of docker-compose.yml run what is really there, and open nothing to the outside."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BIN = Path(sys.executable).parent


def words(service: str) -> list[list[str]]:
    """The programs that a service starts one after another, each with its arguments."""
    command = SERVICES[service]["command"]
    if command[:2] == ["sh", "-c"]:
        return [part.split() for part in re.split(r"&&|;", command[2])]
    return [command]


def has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_compose(), reason="no docker compose here")
def test_docker_compose_accepts_the_file() -> None:
    command = ["docker", "compose", "-f", str(FILE), "--profile", "*", "config", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_services_are_the_streams_the_night_and_the_notebooks() -> None:
    assert set(SERVICES) == {"stream", "nightly", "jupyter"}
    assert SERVICES["nightly"]["profiles"] == ["nightly"]


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_starts_a_program_of_the_environment(service: str) -> None:
    for program, verb, *_ in words(service):
        done = subprocess.run([BIN / program, verb, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program} {verb}: {done.stderr}"


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_the_same_image_and_data(service: str) -> None:
    assert SERVICES[service]["image"] == "fraud-risk-lakehouse"
    assert SERVICES[service]["volumes"] == ["lake:/data"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_open_to_this_machine_only(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


def test_the_notebooks_token_comes_from_the_environment() -> None:
    assert SERVICES["jupyter"]["environment"] == {"JUPYTER_TOKEN": None}
    assert not any("token" in word.lower() for word in SERVICES["jupyter"]["command"])


def test_the_image_runs_as_a_user_without_rights_on_the_volume_of_the_services() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER risk"]
    assert "VOLUME /data" in lines
    assert next(i for i, line in enumerate(lines) if line.startswith("USER")) < next(
        i for i, line in enumerate(lines) if "make setup" in line
    )


def test_data_secrets_and_the_environment_stay_out_of_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", ".env", "data"} <= set(ignored)
