"""Settings: defaults < settings file < `.env` < environment < flags, as one frozen value that knows its sources."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values

from lake.errors import SettingError

SETTINGS_FILES = ("risklake.toml", "pyproject.toml")
# For a first look only: everybody knows it.
DEMO_MASKING_KEY = "a demo key that hides nothing"
_SHORTEST_KEY = 16
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def _setting(
    default: Any,
    meaning: str,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    or_zero: bool = False,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    metadata = {
        "meaning": meaning,
        "at_least": at_least,
        "at_most": at_most,
        "or_zero": or_zero,
        "choices": choices,
        "secret": secret,
    }
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """All settings. Each is named `RISKLAKE_<NAME>` in the environment, the lake's root also `LAKE_ROOT`."""

    lake_root: str = _setting("data", "Where the lake lies: a folder, or an address such as s3a://bucket/lake")
    max_files_per_trigger: int = _setting(1000, "Most inbox files in one micro-batch", at_least=1)
    trigger_seconds: int = _setting(
        2,
        "Seconds between looks for new files while streaming; payments and orders on their way are looked for more "
        "often, all else less often",
        at_least=0,
    )
    windows_seconds: int = _setting(
        300, "Seconds between updates of features.user_windows while streaming; 0 keeps no such windows", at_least=0
    )
    duplicate_horizon_days: int = _setting(
        7, "Most days between two event times of one id that are still seen to be the same event", at_least=0
    )
    orphans: str = _setting(
        "", "What to do with events of unknown users or merchants: feed=accept, wait or quarantine, with commas"
    )
    finished_files: str = _setting(
        "keep", "What becomes of inbox files that are in bronze", choices=("keep", "archive")
    )
    keep_old_files_hours: int = _setting(
        168, "Hours that files of older table versions are kept, for readers that still use them", at_least=168
    )
    retention_days: int = _setting(
        400,
        "Days that lines of events and what was made of them are kept, from their arrival; 0 for ever",
        at_least=62,
        or_zero=True,
    )
    upkeep_minutes: int = _setting(
        60,
        "Minutes between the checks and the care of tables that a running stream does itself; 0 for never",
        at_least=0,
    )
    train_days: int = _setting(7, "Days of events that the model learns from", at_least=1)
    delay_days: int = _setting(7, "Days between training and test, in which chargebacks arrive", at_least=0)
    test_days: int = _setting(7, "Days of events that the model is judged on", at_least=1)
    label_delay_days: int = _setting(7, "Days from a fraud of a labelled input to its chargeback", at_least=0)
    seed: int = _setting(7, "Seed of all random choices", at_least=0)
    masking_key: str = _setting(
        DEMO_MASKING_KEY, "Key of the tokens that stand for personal data; the default is a demo key", secret=True
    )
    rules_file: str = _setting("", "Rule file, or a folder of them, in the place of those that are shipped")
    metrics_port: int = _setting(
        0, "Port on which `risklake stream` serves /metrics for Prometheus; 0 is off", at_least=0, at_most=65_535
    )
    webhook_url: str = _setting(
        "", "Address that messages about alerts, runs and consistency are sent to; none by default", secret=True
    )
    webhook_format: str = _setting(
        "auto", "Format of the messages; auto tells by the address", choices=("auto", "discord", "slack", "json")
    )
    webhook_severity: str = _setting(
        "high", "Least severity of a case that is told", choices=("low", "medium", "high", "critical")
    )
    webhook_per_minute: int = _setting(20, "Most messages in a minute; more become one", at_least=1, at_most=60)
    metrics_host: str = _setting("127.0.0.1", "Address that /metrics listens on; by default this machine only")
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def has_demo_key(self) -> bool:
        """Whether personal data is masked with the key that everybody knows."""
        return self.masking_key == DEMO_MASKING_KEY

    @property
    def is_local(self) -> bool:
        """Whether the lake lies in a local file system."""
        return "://" not in self.lake_root

    def path(self, *parts: str) -> str:
        """Address of something in the lake, such as `path("bronze", "transactions")`."""
        return "/".join((self.lake_root.rstrip("/"), *parts))

    def local_path(self, *parts: str) -> Path:
        """The same as a local path; refuses a lake that lies elsewhere."""
        if not self.is_local:
            raise SettingError(f"LAKE_ROOT={self.lake_root} is not a local folder, and this command needs one")
        return Path(self.path(*parts))

    def table_path(self, table: str) -> str:
        """Address of a table by its name, such as `silver.transactions`."""
        return self.path(*table.split("."))


def load_settings(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Gather the settings.

    `flags` are values given on the command line (None means not given), `environment` stands in for `os.environ`,
    `folder` for the working folder where the settings file and `.env` are looked for. A relative local root is
    resolved against `folder`. Raises `SettingError` with the value, its source and what would be right.
    """
    folder = folder or Path.cwd()
    environment = os.environ if environment is None else environment
    found: dict[str, tuple[Any, str]] = {}
    for name, value in _from_file(folder).items():
        found[name] = value
    for source, values in ((".env", _dotenv(folder)), ("environment", environment)):
        for name in _names():
            for variable in _variables(name):
                if values.get(variable):
                    found[name] = (values[variable], f"{source} ({variable})")
    for name, value in (flags or {}).items():
        if value is not None:
            found[name] = (value, "flag")
    checked: dict[str, Any] = {name: _checked(name, value, source) for name, (value, source) in found.items()}
    sources = {name: source for name, (_, source) in found.items()}
    root = str(checked.get("lake_root", Settings.lake_root))
    if "://" not in root:
        root = str((folder / Path(root).expanduser()).resolve())
    elif root.startswith("file://"):
        root = root.removeprefix("file://")
    return Settings(**{**checked, "lake_root": root}, sources=sources)


def describe(settings: Settings) -> list[dict[str, str]]:
    """Each setting with its value (secrets hidden), its source and its meaning."""
    rows = []
    for item in fields(Settings):
        if item.name == "sources":
            continue
        value = str(getattr(settings, item.name))
        rows.append(
            {
                "name": item.name,
                "value": "********" if value and item.metadata["secret"] else value,
                "source": settings.sources.get(item.name, "default"),
                "variable": _variables(item.name)[-1],
                "meaning": item.metadata["meaning"],
            }
        )
    return rows


def _names() -> list[str]:
    return [item.name for item in fields(Settings) if item.name != "sources"]


def _variables(name: str) -> tuple[str, ...]:
    variable = f"RISKLAKE_{name.upper()}"
    return (variable, "LAKE_ROOT") if name == "lake_root" else (variable,)


def _dotenv(folder: Path) -> dict[str, str]:
    file = folder / ".env"
    return {k: v for k, v in dotenv_values(file).items() if v} if file.is_file() else {}


def _from_file(folder: Path) -> dict[str, tuple[Any, str]]:
    for name in SETTINGS_FILES:
        file = folder / name
        if not file.is_file():
            continue
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingError(f"{name} is not valid TOML: {error}. Mend that line, or move the file away") from error
        table = content.get("tool", {}).get("risklake") if name == "pyproject.toml" else content.get("risklake")
        if table is None:
            continue
        for key in table:
            if key not in _names():
                raise SettingError(f"{name} sets `{key}`, which is no setting. Known: {', '.join(_names())}")
        return {key: (value, name) for key, value in table.items()}
    return {}


def _checked(name: str, value: Any, source: str) -> Any:
    item = next(f for f in fields(Settings) if f.name == name)
    if item.metadata["secret"]:
        return _secret(name, str(value), source)
    if item.type != "int":
        choices = item.metadata["choices"]
        if choices and value not in choices:
            raise SettingError(f"{name} must be one of {', '.join(choices)}, and {source} says {value!r}")
        return str(value)
    try:
        number = int(str(value))
    except ValueError as error:
        raise SettingError(f"{name} must be a whole number, and {source} says {value!r}") from error
    lowest, highest = item.metadata["at_least"], item.metadata["at_most"]
    if lowest is not None and number < lowest and not (item.metadata["or_zero"] and number == 0):
        beside = ", or 0" if item.metadata["or_zero"] else ""
        raise SettingError(f"{name} must be at least {lowest}{beside}, and {source} says {number}")
    if highest is not None and number > highest:
        raise SettingError(f"{name} must be at most {highest}, and {source} says {number}")
    return number


def _secret(name: str, value: str, source: str) -> str:
    if not source.startswith((".env", "environment")):
        raise SettingError(
            f"{name} is a secret: set {_variables(name)[-1]} in the environment or `.env`, not in {source}"
        )
    if name.endswith("_url"):
        parts = urlsplit(value)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _THIS_MACHINE):
            raise SettingError(f"{name} from {source} must begin with https://, or be on this machine")
    elif len(value) < _SHORTEST_KEY:
        raise SettingError(f"{name} from {source} is too short: {_SHORTEST_KEY} characters at least")
    return value
