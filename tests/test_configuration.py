"""The document of settings says what the settings are."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from realtime import configuration
from realtime.config import HELP, RANGES, SETTINGS, ConfigError, ServerConfig, read_config

TOGETHER: dict[str, dict[str, Any]] = {
    "least_render_budget_ms": {"render_budget_ms": 2000}
}  # what its highest value needs


def test_the_written_document_is_what_the_settings_say() -> None:
    assert configuration.DOCUMENT.read_text() == configuration.document(), "run python -m realtime.configuration"


def test_every_setting_has_a_meaning_and_every_number_a_range() -> None:
    assert HELP.keys() == SETTINGS.keys()
    assert RANGES.keys() == {name for name, setting in SETTINGS.items() if setting.type is int}


@pytest.mark.parametrize("name", RANGES)
def test_the_range_that_is_written_is_the_one_that_is_kept(name: str) -> None:
    low, high = RANGES[name]
    for bound in (low, high):
        assert getattr(ServerConfig(**{name: bound, **TOGETHER.get(name, {})}), name) == bound
    for outside in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"{name} must lie within"):
            ServerConfig(**{name: outside})


def test_the_file_that_the_document_shows_is_accepted(tmp_path: Path) -> None:
    text = configuration.DOCUMENT.read_text().split("```toml\n")[1].split("```")[0]
    (tmp_path / "flap.toml").write_text(text)
    config = read_config(["--config", str(tmp_path / "flap.toml")], {})
    assert {name: getattr(config, name) for name in tomllib.loads(text)} == {
        **tomllib.loads(text), "ice_servers": ("stun:stun.example.org:3478",)
    }  # fmt: skip


def test_every_name_of_the_table_reaches_the_setting() -> None:
    rows = [line.split(" | ") for line in configuration.document().splitlines() if line.startswith("| `")]
    assert [row[0].strip("| `") for row in rows] == list(SETTINGS)
    for row in rows:
        name, variable, option = row[0].strip("| `"), row[1].strip("`"), row[2].strip("`| ")
        if name in RANGES:
            high = str(RANGES[name][1])
            others = {f"FLAP_{other.upper()}": str(value) for other, value in TOGETHER.get(name, {}).items()}
            assert getattr(read_config([], {variable: high, **others}), name) == int(high)
            assert getattr(read_config([option, high], others), name) == int(high)
