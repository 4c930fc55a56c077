"""The key that personal data is masked with, and that a lake is not written with two of them."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from lake.errors import SettingError
from lake.settings import Settings

_PURPOSE = b"the fingerprint of a masking key"
FILE = ".masking-key"


def masking_key(settings: Settings) -> bytes:
    """The key of the tokens that stand for personal data."""
    return settings.masking_key.encode("utf-8")


def key_fingerprint(key: bytes) -> str:
    """Eight hex digits that tell two keys apart and tell nothing of either."""
    return hmac.new(key, _PURPOSE, hashlib.sha256).hexdigest()[:8]


def require_same_key(settings: Settings) -> None:
    """Note the key's fingerprint in a lake, and raise `SettingError` where the lake was written with another key.

    Tokens of two keys do not join: the same person would be two.
    """
    if not settings.is_local:
        return
    file = settings.local_path("checkpoints", FILE)
    found = key_fingerprint(masking_key(settings))
    known = _noted(file)
    if known is None:
        _note(file, found)
    elif known != found:
        raise SettingError(
            f"This lake was written with the masking key {known}, and RISKLAKE_MASKING_KEY is the key {found} "
            "(fingerprints): tokens of two keys do not join. Set the old key, or use another LAKE_ROOT"
        )


def _noted(file: Path) -> str | None:
    return file.read_text(encoding="ascii").strip() if file.is_file() else None


def _note(file: Path, fingerprint: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    hidden = file.with_name(f"{file.name}.{os.getpid()}.part")
    hidden.write_text(fingerprint + "\n", encoding="ascii")
    hidden.replace(file)
