from __future__ import annotations

from pathlib import Path

import pytest

from lake.errors import SettingError
from lake.masking_key import key_fingerprint, masking_key, require_same_key
from lake.settings import Settings, describe, load_settings

KEY, OTHER = "a key of one's own", "a key of someone else"


def lake(folder: Path, key: str | None = KEY) -> Settings:
    environment = {"RISKLAKE_MASKING_KEY": key} if key else {}
    return load_settings({"lake_root": str(folder / "lake")}, environment)


def test_the_key_comes_from_the_environment_and_is_shown_nowhere(tmp_path: Path) -> None:
    settings = lake(tmp_path)
    assert masking_key(settings) == KEY.encode()
    assert not settings.has_demo_key
    assert KEY not in repr(settings)
    assert KEY not in str(describe(settings))
    assert lake(tmp_path, None).has_demo_key


def test_the_key_may_stand_in_dotenv_but_in_no_settings_file_and_no_flag(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f'RISKLAKE_MASKING_KEY="{KEY}"\n')
    assert masking_key(load_settings({}, {}, tmp_path)) == KEY.encode()
    (tmp_path / "risklake.toml").write_text(f'[risklake]\nmasking_key = "{OTHER}"\n')
    (tmp_path / ".env").unlink()
    for flags, folder in (({}, tmp_path), ({"masking_key": OTHER}, tmp_path / "empty")):
        with pytest.raises(SettingError, match="masking_key is a secret: set RISKLAKE_MASKING_KEY") as refused:
            load_settings(flags, {}, folder)
        assert OTHER not in str(refused.value)


def test_a_short_key_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"masking_key from environment .* is too short: 16 characters") as refused:
        lake(tmp_path, "hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_lake_is_written_with_one_key_only(tmp_path: Path) -> None:
    require_same_key(lake(tmp_path))
    require_same_key(lake(tmp_path))
    fingerprints = f"{key_fingerprint(KEY.encode())}.*{key_fingerprint(OTHER.encode())}"
    with pytest.raises(SettingError, match=fingerprints):
        require_same_key(lake(tmp_path, OTHER))
    assert KEY not in (tmp_path / "lake" / "checkpoints" / ".masking-key").read_text()
    require_same_key(lake(tmp_path / "another", OTHER))


def test_fingerprints_tell_keys_apart() -> None:
    assert key_fingerprint(b"a" * 16) == key_fingerprint(b"a" * 16) != key_fingerprint(b"a" * 17)
    assert len(key_fingerprint(b"a" * 16)) == 8
