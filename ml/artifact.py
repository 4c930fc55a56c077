"""Saved models: skops files, which load without running foreign code, each with a card of what it is."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import skops.io
from sklearn.pipeline import Pipeline

from lake.errors import InputError
from ml.features import CURRENCY, FEATURES
from ml.files import strict_json, write_whole

# The classes beyond skops' own list that our pipelines consist of; a file that holds anything else is refused.
TRUSTED_TYPES = (
    "ml.amounts.CurrencyUnits",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
LIBRARIES = ("scikit-learn", "skops", "numpy", "pandas", "pyspark", "delta-spark")


@dataclass(frozen=True)
class SavedModel:
    """A loaded model and its card, the content of the JSON beside it."""

    model: Pipeline
    card: dict[str, Any]


def model_path(folder: Path, name: str, as_of: object) -> Path:
    """Where a model lies: `<folder>/<name>-<as_of>.skops`, its card beside it as `.json`."""
    return folder / f"{name}-{as_of}.skops"


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the figures depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def save_model(path: Path, model: Pipeline, card: dict[str, Any]) -> Path:
    """Write model and card, each whole; adds schema, versions and checksum to the card.

    The card comes second: a model whose card is missing or old is refused by `load_model`.
    """
    content = skops.io.dumps(model)
    write_whole(path, content)
    complete = {
        **card,
        "features": feature_schema(),
        "versions": library_versions(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_whole(path.with_suffix(".json"), strict_json(complete))
    return path


def load_model(path: Path) -> SavedModel:
    """Read a model back. Raises `InputError` where it is missing, damaged, or holds classes that are not ours."""
    card = _read_card(path.with_suffix(".json"))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"The model {path} cannot be read: {error.strerror}. Train it again: `risklake train`"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.get("sha256"):
        raise InputError(
            f"The model {path} is not the one its card describes (sha256 {found[:12]}…, the card says "
            f"{str(card.get('sha256'))[:12]}…). Train it again: `risklake train`"
        )
    return SavedModel(_load_trusted(path, content), card)


def remove_model(path: Path) -> None:
    """Delete a model and its card, where they are."""
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)


def feature_schema() -> list[dict[str, Any]]:
    """What the model takes: name, type and meaning of each column, in order."""
    return [asdict(feature) for feature in (CURRENCY, *FEATURES)]


def _load_trusted(path: Path, content: bytes) -> Pipeline:
    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED_TYPES))
    except Exception as error:  # skops raises whatever its archive reader meets
        raise InputError(f"The model {path} is not a skops file: {error}. Train it again: `risklake train`") from error
    if foreign:
        raise InputError(f"The model {path} holds classes that are not trusted: {', '.join(foreign)}. Do not load it")
    return skops.io.loads(content, trusted=list(TRUSTED_TYPES))


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"The model's card {path} cannot be read: {error}. Train it again: `risklake train`"
        ) from error
    if not isinstance(card, dict):
        raise InputError(f"The model's card {path} is not a JSON object. Train it again: `risklake train`")
    return card
