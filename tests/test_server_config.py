"""Settings: the command line beats the file, the file beats the default, and mistakes are named."""

from pathlib import Path

import pytest

from realtime.config import ConfigError, ServerConfig, read_config
from realtime.media.disclosure import Disclosure


def test_command_line_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "flap.toml"
    file.write_text('port = 9000\nthreads = 1\nice_servers = ["stun:stun.example.org"]\n')
    around = {"FLAP_PORT": "9002", "FLAP_MAX_VIEWERS": "5", "FLAP_SECRET": "s" * 40, "FLAP_OTHER": "x"}
    config = read_config(["--config", str(file), "--port", "9001"], around)
    assert (config.max_viewers, config.secret) == (5, "s" * 40)
    assert read_config([], around | {"FLAP_CONFIG": str(file)}).ice_servers == ("stun:stun.example.org",)
    assert "s" * 40 not in repr(config)
    assert (config.port, config.threads, config.steps) == (9001, 1, ServerConfig().steps)
    assert config.ice_servers == ("stun:stun.example.org",)
    assert read_config(["--ice-servers", "stun:a, turn:b"], {"FLAP_TURN_SECRET": "c"}).ice_servers == (
        "stun:a",
        "turn:b",
    )


def test_a_picture_size_is_the_only_one_and_auto_makes_do_with_less() -> None:
    assert read_config([], {}).picture_sizes == (512, 256)
    assert read_config(["--picture-size", "512"], {}).picture_sizes == (512,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prot = 9000", "unknown key 'prot'; known keys are .*port"),
        ("port = ", "cannot be read"),
        ("port = true", "port must be a whole number, not True"),
        ('recordings_folder = " "', "recordings_folder is empty"),
        ("port = 99999", "port must lie within 0 and 65535, not 99999"),
        ('engine = "abacus"', "engine must be one of cpu, cuda, tensorrt, tensorrt-native, not 'abacus'"),
        ("least_render_budget_ms = 130", "least_render_budget_ms must not be more than render_budget_ms"),
        ("steps = 0", "steps must lie within"),
        ("picture_size = 1080", "picture_size must be one of auto, 256, 512, not '1080'"),
        ('label_place = "middle"', "label_place must be one of top_left, .*none, not 'middle'"),
        ('label_language = "xx"', "label_language must be one of en, zh"),
        ('obs_url = "localhost:4455"', "obs_url must be like ws://localhost:4455, not 'localhost:4455'"),
        ('secret = "short"', "secret must have at least 32 characters: set FLAP_SECRET"),
        ('host = "0.0.0.0"', "host 0.0.0.0 can be reached by others, which needs a secret"),
        ('ice_servers = ["turn.example.org"]', "no STUN or TURN URL: write stun:HOST:PORT"),
        ('turn_username = "a"', "turn_username and turn_password go together"),
        ('tls_key = "key.pem"', "tls_certificate and tls_key go together"),
        ('udp_ports = "50000"', "no range of ports: write FIRST-LAST"),
        ('standby_picture = "README.md"', "standby_picture README.md is no picture that can be read"),
        (
            'allowed_origins = ["https://example.org/"]',
            "allowed_origins: 'https://example.org/' is not what browsers send",
        ),
        ('trusted_proxies = ["10.0.0.1/8"]', "trusted_proxies: '10.0.0.1/8' is neither an address nor a network"),
        ('label_text = " "', "to leave the label out set label_place to none"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "flap.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_config(["--config", str(file)])


def test_a_file_that_is_not_there_and_a_bad_number_are_named() -> None:
    with pytest.raises(ConfigError, match="nowhere.toml cannot be read"):
        read_config(["--config", "nowhere.toml"])
    with pytest.raises(ConfigError, match="port must be a whole number, not 'many'"):
        read_config(["--port", "many"])


def test_the_label_has_its_own_words_or_those_of_its_language() -> None:
    assert ServerConfig().disclosure == Disclosure("AI-generated", "bottom_left")
    assert read_config(["--label-language", "zh", "--label-place", "top_right"]).disclosure == Disclosure(
        "AI 生成", "top_right"
    )
    assert read_config(["--label-text", "Made by machine"]).disclosure.text == "Made by machine"


def test_a_turn_server_wants_one_login_and_an_announced_address_is_an_address() -> None:
    turn = ("turn:turn.example.org",)
    with pytest.raises(ConfigError, match="a TURN server wants a login: set turn_secret"):
        ServerConfig(ice_servers=turn)
    with pytest.raises(ConfigError, match="turn_secret makes logins"):
        ServerConfig(ice_servers=turn, turn_username="a", turn_password="b", turn_secret="c")
    assert ServerConfig(ice_servers=turn, turn_secret="c").ice.servers()[0].username
    with pytest.raises(ConfigError, match="does not appear to be an IPv4 or IPv6 address"):
        ServerConfig(announce_address="example.org")
    assert ServerConfig(announce_address="203.0.113.9").ice.announce == "203.0.113.9"
