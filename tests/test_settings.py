from __future__ import annotations

from pathlib import Path

import pytest

from lake.errors import SettingError
from lake.settings import describe, load_settings


def test_a_flag_beats_the_environment_which_beats_dotenv_which_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "risklake.toml").write_text("[risklake]\ntrain_days = 1\ndelay_days = 1\ntest_days = 1\nseed = 1\n")
    (tmp_path / ".env").write_text("RISKLAKE_DELAY_DAYS=2\nRISKLAKE_TEST_DAYS=2\nRISKLAKE_SEED=2\n")
    environment = {"RISKLAKE_TEST_DAYS": "3", "RISKLAKE_SEED": "3"}
    settings = load_settings({"seed": 4}, environment, tmp_path)
    assert (settings.train_days, settings.delay_days, settings.test_days, settings.seed) == (1, 2, 3, 4)
    sources = {row["name"]: row["source"] for row in describe(settings)}
    assert sources["train_days"] == "risklake.toml"
    assert sources["delay_days"] == ".env (RISKLAKE_DELAY_DAYS)"
    assert sources["test_days"] == "environment (RISKLAKE_TEST_DAYS)"
    assert sources["seed"] == "flag"
    assert sources["trigger_seconds"] == "default"


def test_the_root_is_made_absolute_from_the_working_folder(tmp_path: Path) -> None:
    assert load_settings({}, {"LAKE_ROOT": "mine"}, tmp_path).lake_root == str(tmp_path.resolve() / "mine")
    assert load_settings({}, {}, tmp_path).lake_root == str(tmp_path.resolve() / "data")
    assert load_settings({}, {"LAKE_ROOT": "s3a://bucket/lake"}, tmp_path).path("silver") == "s3a://bucket/lake/silver"


def test_lake_root_wins_over_its_longer_name(tmp_path: Path) -> None:
    both = {"LAKE_ROOT": "/a", "RISKLAKE_LAKE_ROOT": "/b"}
    assert load_settings({}, both, tmp_path).lake_root == "/a"


@pytest.mark.parametrize("value", ["many", "1.5", "0", "-3"])
def test_a_wrong_number_is_refused_with_its_name_value_and_source(tmp_path: Path, value: str) -> None:
    with pytest.raises(
        SettingError, match=r"max_files_per_trigger .*environment \(RISKLAKE_MAX_FILES_PER_TRIGGER\)"
    ) as e:
        load_settings({}, {"RISKLAKE_MAX_FILES_PER_TRIGGER": value}, tmp_path)
    assert value in str(e.value)


def test_an_unknown_setting_in_the_file_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "risklake.toml").write_text("[risklake]\ntrian_days = 7\n")
    with pytest.raises(SettingError, match=r"`trian_days`.*Known: .*train_days"):
        load_settings({}, {}, tmp_path)


def test_a_file_that_is_no_toml_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "risklake.toml").write_text("[risklake\n")
    with pytest.raises(SettingError, match=r"risklake.toml is not valid TOML") as e:
        load_settings({}, {}, tmp_path)
    assert "\n" not in str(e.value)


def test_a_lake_elsewhere_has_no_local_path(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="s3a://bucket is not a local folder"):
        load_settings({"lake_root": "s3a://bucket"}, {}, tmp_path).local_path("inbox")


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    assert load_settings({}, {"RISKLAKE_METRICS_PORT": "65535"}, tmp_path).metrics_port == 65535
    with pytest.raises(SettingError, match=r"metrics_port must be at most 65535.*65536"):
        load_settings({}, {"RISKLAKE_METRICS_PORT": "65536"}, tmp_path)
