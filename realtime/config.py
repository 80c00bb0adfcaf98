"""Settings of the server: command line beats environment beats file beats default; unknown keys are refused."""

import argparse
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

from engines.bundle import ENGINES
from flap.config import FINE_SIZE, IMAGE_SIZE
from flap.presenter_folder import default_folder
from realtime.media.compositor import read_still
from realtime.media.delay import Bounds
from realtime.media.disclosure import MAX_TEXT, TEXTS, Disclosure, Place
from realtime.media.ice import IceSettings, check_url, read_ports
from realtime.media.standby import TEXTS as STANDBY_TEXTS
from realtime.media.standby import StandbyPicture
from realtime.render.admission import Admission
from realtime.render.background import Picture, read_background
from realtime.telemetry import traces
from realtime.telemetry.logs import LogFormat
from realtime.web.access import LEAST_SECRET_CHARACTERS, check_origin, is_local
from realtime.web.rate_limit import Network, read_network

NEW_SECRET = "set FLAP_SECRET to what `python run_server.py secret` prints (docs/security.md)"
MAX_STANDBY_TEXT = 200
PICTURE_SIZES = {"auto": (FINE_SIZE, IMAGE_SIZE), str(IMAGE_SIZE): (IMAGE_SIZE,), str(FINE_SIZE): (FINE_SIZE,)}
ENVIRONMENT = "FLAP_"  # and the name of a setting in capitals
NOT_ON_THE_COMMAND_LINE = (
    "secret",
    "turn_password",
    "turn_secret",
    "obs_password",
)  # which every user of a machine can read

RANGES = {
    "port": (0, 65_535), "recording_mb": (1, 1_000_000), "threads": (1, 64), "steps": (1, 8),
    "render_budget_ms": (20, 2000), "least_render_budget_ms": (20, 2000), "max_sessions": (1, 64), "max_viewers": (1, 1000),
    "session_idle_s": (1, 86_400), "drain_s": (0, 86_400), "requests_per_minute": (10, 1_000_000),
    "audit_log_mb": (1, 100_000), "ifacialmocap_port": (0, 65_535), "live_link_port": (0, 65_535), "vmc_port": (0, 65_535),
}  # fmt: skip


class ConfigError(Exception):
    """A setting is unknown or impossible; the message says which and what is allowed."""


@dataclass(frozen=True)
class ServerConfig:
    """Every setting with its default. The file is TOML with these names at top level."""

    host: str = "127.0.0.1"
    port: int = 8080
    bundle: Path = Path(__file__).parent.parent / "bundles" / "flap-small"
    engine: str = "cpu"
    variant: str | None = None  # of the bundle's graphs; None: its own, in full precision
    presenter: str | None = None  # None: the bundle's first
    presenters_folder: Path = default_folder()
    background: str | None = None  # behind the head; None: the portrait's own
    gestures_folder: Path = default_folder().parent / "gestures"
    recordings_folder: Path | None = None  # None: sessions are not recorded
    recording_mb: int = 1000  # of one session; then its recording ends
    threads: int = 2
    steps: int = 1
    picture_size: str = "auto"  # pixels, of PICTURE_SIZES
    render_budget_ms: int = 120  # what a chunk may take at most to render before its frames are due
    least_render_budget_ms: int = 20  # what it is given at least; both alike keep the delay as it is
    max_sessions: int = 4
    admission: str = "half_rate"  # what every session is to get at least; more sessions are refused
    max_viewers: int = 32  # a session
    session_idle_s: int = 30  # a session without host and viewers ends after this
    drain_s: int = 5  # what sessions have to end by themselves when the server is told to
    ice_servers: tuple[str, ...] = ()
    turn_username: str | None = None
    turn_password: str | None = field(default=None, repr=False)
    turn_secret: str | None = field(default=None, repr=False)
    udp_ports: str | None = None  # None: any
    announce_address: str | None = None  # None: the machine's own
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    secret: str | None = field(default=None, repr=False)  # what tokens are signed with; None: for this machine only
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    requests_per_minute: int = 600
    publish_to: tuple[str, ...] = ()  # hosts; () publishes nowhere
    audit_log: Path | None = None  # None: nothing is kept of who did what
    audit_log_mb: int = 10  # of a file; five older ones are kept beside it
    drive_host: str = "127.0.0.1"  # address of the ports below
    drive_senders: tuple[str, ...] = ()
    ifacialmocap_port: int = 0  # 0: does not listen; the app's own is 49983
    live_link_port: int = 0  # 11111
    vmc_port: int = 0  # 39539
    obs_url: str | None = None  # of obs-websocket; None: no link to OBS
    obs_password: str | None = field(default=None, repr=False)
    label_place: str = "bottom_left"
    label_language: str = "en"
    label_text: str | None = None  # None: "AI-generated" in the label's language
    log_format: str = "text"
    trace_to: str | None = None  # address of an OpenTelemetry collector; None: no traces
    standby_picture: Path | None = None  # None: the presenter's portrait
    standby_text: str | None = None  # None: "One moment, please" in the label's language

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must lie within {low} and {high}, not {getattr(self, name)}")
        if self.least_render_budget_ms > self.render_budget_ms:
            raise ConfigError("least_render_budget_ms must not be more than render_budget_ms")
        if self.engine not in ENGINES:
            raise ConfigError(f"engine must be one of {', '.join(ENGINES)}, not {self.engine!r}")
        if self.picture_size not in PICTURE_SIZES:
            raise ConfigError(f"picture_size must be one of {', '.join(PICTURE_SIZES)}, not {self.picture_size!r}")
        if self.obs_url is not None and not self.obs_url.startswith(("ws://", "wss://")):
            raise ConfigError(f"obs_url must be like ws://localhost:4455, not {self.obs_url!r}")
        if self.admission not in get_args(Admission):
            raise ConfigError(f"admission must be one of {', '.join(get_args(Admission))}, not {self.admission!r}")
        if self.log_format not in get_args(LogFormat):
            raise ConfigError(f"log_format must be one of {', '.join(get_args(LogFormat))}, not {self.log_format!r}")
        if self.trace_to is not None and not self.trace_to.startswith(("http://", "https://")):
            raise ConfigError(f"trace_to must be like http://localhost:4318/v1/traces, not {self.trace_to!r}")
        if self.trace_to is not None and not traces.installed():
            raise ConfigError("trace_to needs OpenTelemetry: pip install '.[traces]', or leave the setting out")
        if self.label_place not in get_args(Place):
            raise ConfigError(f"label_place must be one of {', '.join(get_args(Place))}, not {self.label_place!r}")
        if self.label_language not in TEXTS:
            raise ConfigError(f"label_language must be one of {', '.join(TEXTS)}, not {self.label_language!r}")
        if self.label_text is not None and not 0 < len(self.label_text.strip()) <= MAX_TEXT:
            raise ConfigError(
                f"label_text must have 1 to {MAX_TEXT} characters; to leave the label out set label_place to none"
            )

        try:
            self.background_picture  # noqa: B018  read now, whatever becomes of the file
        except ValueError as error:
            raise ConfigError(f"background: {error}") from error
        if self.standby_text is not None and len(self.standby_text) > MAX_STANDBY_TEXT:
            raise ConfigError(f"standby_text must have at most {MAX_STANDBY_TEXT} characters")
        if self.standby_picture is not None and read_still(self.standby_picture) is None:
            raise ConfigError(
                f"standby_picture {self.standby_picture} is no picture that can be read: name a JPEG or PNG"
            )
        self._check_network()
        self._check_doors()
        self._check_reach()

    def _check_network(self) -> None:
        try:
            for url in self.ice_servers:
                check_url(url)
            if self.udp_ports is not None:
                read_ports(self.udp_ports)
            if self.announce_address is not None:
                ipaddress.ip_address(self.announce_address)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if (self.turn_username is None) != (self.turn_password is None):
            raise ConfigError("turn_username and turn_password go together: set both, or turn_secret alone")
        if self.turn_username and self.turn_secret:
            raise ConfigError("turn_secret makes logins: leave turn_username and turn_password out, or turn_secret")
        if not (self.turn_username or self.turn_secret) and any(url.startswith("turn") for url in self.ice_servers):
            raise ConfigError("a TURN server wants a login: set turn_secret, or turn_username and turn_password")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigError("tls_certificate and tls_key go together: set both (docs/network.md)")

    def _check_doors(self) -> None:
        for name, entries, check in (
            ("allowed_origins", self.allowed_origins, check_origin),
            ("trusted_proxies", self.trusted_proxies, read_network),
        ):
            try:
                for entry in entries:
                    check(entry)
            except ValueError as error:
                raise ConfigError(f"{name}: {error}") from error

    def _check_reach(self) -> None:
        """Whoever can be reached by others must be able to tell them apart."""
        if self.secret is not None and len(self.secret) < LEAST_SECRET_CHARACTERS:
            raise ConfigError(f"secret must have at least {LEAST_SECRET_CHARACTERS} characters: {NEW_SECRET}")
        if self.secret is None and not is_local(self.host):
            raise ConfigError(f"host {self.host} can be reached by others, which needs a secret: {NEW_SECRET}")

        listens = self.ifacialmocap_port or self.live_link_port or self.vmc_port
        if listens and not is_local(self.drive_host) and not self.drive_senders:
            raise ConfigError(
                f"drive_host {self.drive_host} can be reached by others: say with drive_senders whose packets are taken"
            )

    @cached_property
    def background_picture(self) -> Picture | None:
        """RGB `[n, n, 3]`; goes with the settings to a renderer that is started again."""
        return None if self.background is None else read_background(self.background)

    @cached_property
    def proxies(self) -> tuple[Network, ...]:
        """Whose word on a sender's address is taken."""
        return tuple(read_network(entry) for entry in self.trusted_proxies)

    @property
    def picture_sizes(self) -> tuple[int, ...]:
        """The size that is wanted, and the one to make do with."""
        return PICTURE_SIZES[self.picture_size]

    @property
    def render_bounds(self) -> Bounds:
        return Bounds(self.least_render_budget_ms, self.render_budget_ms)

    @property
    def ice(self) -> IceSettings:
        return IceSettings(
            self.ice_servers, self.turn_username, self.turn_password, self.turn_secret, self.announce_address
        )

    @property
    def disclosure(self) -> Disclosure:
        return Disclosure(self.label_text or TEXTS[self.label_language], cast(Place, self.label_place))

    @property
    def standby(self) -> StandbyPicture:
        text = STANDBY_TEXTS[self.label_language] if self.standby_text is None else self.standby_text
        return StandbyPicture(text, self.standby_picture)


SETTINGS = {setting.name: setting for setting in fields(ServerConfig)}
HELP = {
    "host": "address to listen on; browsers give the microphone to localhost or to HTTPS only",
    "port": "port to listen on; 0 takes a free one",
    "bundle": "folder of the exported model",
    "engine": "what runs the networks: " + ", ".join(ENGINES),
    "variant": "variant of the bundle's networks: fp16, int8, whatever python -m export.quantize has added; "
    "with tensorrt-native fp16 or fp32",
    "presenter": "id of the presenter that is chosen at first",
    "presenters_folder": "where presenters made of photographs are kept",
    "background": "what is behind the head: a colour as #00ff00 for a chroma key, or a picture file",
    "gestures_folder": "where gestures of your own are kept, as JSON files",
    "recordings_folder": "where every session is recorded, to be made again by python -m realtime.replay",
    "recording_mb": "megabytes after which a session's recording ends",
    "threads": "processor threads that draw: two frames side by side, the others within each network",
    "steps": "denoising steps a chunk",
    "picture_size": "pixels that the picture is wide and high: 256 as the networks draw it, 512 enlarged with the portrait's own fine "
    "detail, auto 512 where that takes half of the time to draw at most for one session",
    "render_budget_ms": "milliseconds that a frame may take to render at most, half as many again at half the "
    "frame rate; the delay follows what it takes",
    "least_render_budget_ms": "milliseconds that it is given at least; the same number as render_budget_ms keeps the delay as it is",
    "max_sessions": "avatars at once",
    "admission": "refuse a session with which this machine could not make so many frames for each: half_rate (12.5 a second), "
    "full_rate (25) or off",
    "max_viewers": "viewers a session",
    "session_idle_s": "seconds after which a session without host and viewers ends",
    "drain_s": "seconds that sessions have to end by themselves after SIGTERM or SIGINT; a second signal ends them at once",
    "ice_servers": "STUN or TURN URLs, separated by commas (docs/network.md)",
    "turn_username": "login at the TURN servers",
    "turn_password": "password of that login",
    "turn_secret": "instead of a login: coturn's static-auth-secret, which logins for a day are made of",
    "udp_ports": "the only UDP ports for sound and pictures, as 50000-50099",
    "announce_address": "public address of this machine where it knows a private one only, as in a cloud; its UDP ports must be passed "
    "on as they are (docs/network.md)",
    "tls_certificate": "PEM file with the certificate and its chain; the server then speaks HTTPS",
    "tls_key": "PEM file with its private key",
    "secret": "what tokens are signed with; without it the server serves its own machine only",
    "allowed_origins": "other sites whose pages may use this server, as https://example.org with nothing after it, separated by commas",
    "trusted_proxies": "addresses of proxies, or networks (10.0.0.0/8) of proxies alone, whose X-Forwarded-For is believed, by commas",
    "requests_per_minute": "what one address may ask for; making something counts ten times, a page's file a tenth",
    "publish_to": "hosts that operators may publish sessions to by RTMP or WHIP, separated by commas; *.example.com is all below it, * any",
    "audit_log": "file that says who did what and when, as lines of JSON",
    "audit_log_mb": "megabytes after which the audit log goes on in a new file; five older ones are kept",
    "drive_host": "address of the UDP ports for face-tracking apps (docs/sources.md)",
    "drive_senders": "addresses of phones and computers whose packets are taken, separated by commas",
    "ifacialmocap_port": "UDP port for iFacialMocap, which sends to 49983; 0 does not listen",
    "live_link_port": "UDP port for Live Link Face, which sends to 11111; 0 does not listen",
    "vmc_port": "UDP port for VMC senders, usually 39539; 0 does not listen",
    "obs_url": "address of OBS's WebSocket server, as ws://localhost:4455; its password is FLAP_OBS_PASSWORD",
    "obs_password": "password of OBS's WebSocket server",
    "label_place": "where every picture says that it is made by AI: " + ", ".join(get_args(Place)),
    "label_language": "language of that label: " + ", ".join(TEXTS),
    "label_text": "what the label says",
    "log_format": "how the log on standard error is written: " + ", ".join(get_args(LogFormat)) + " (an object a line)",
    "trace_to": "OpenTelemetry collector that hears of every chunk, as http://localhost:4318/v1/traces; needs the traces extra",
    "standby_picture": "picture in the avatar's place when an operator asks for standby or no picture comes for 1.5 s",
    "standby_text": "what stands over it when no picture comes; empty for nothing",
}
DEFAULT_IN_WORDS = {
    "bundle": "bundles/flap-small",
    "variant": "none, full precision",
    "presenter": "the bundle's first",
    "presenters_folder": "flap-live/presenters in the user's data folder",
    "background": "the portrait's own",
    "gestures_folder": "flap-live/gestures in the user's data folder",
    "audit_log": "none is kept",
    "recordings_folder": "sessions are not recorded",
    "udp_ports": "any",
    "announce_address": "the machine's own",
    "obs_url": "no link to OBS",
    "label_text": "AI-generated, in that language",
    "trace_to": "no traces",
    "standby_picture": "the presenter's portrait",
    "standby_text": "One moment, please, in the label's language",
}


def read_config(arguments: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> ServerConfig:
    """Settings from the command line, the environment and the file that `--config` names. Raises ConfigError."""
    parser = argparse.ArgumentParser(
        description="FLAP Live: a talking avatar server. `run_server.py doctor` with the same settings looks at the machine; "
        "`run_server.py secret` and `run_server.py token ROLE --hours 12 --session ID` let other people in."
    )
    parser.add_argument("--config", type=Path, help="TOML file with settings")
    for name in SETTINGS:
        if name not in NOT_ON_THE_COMMAND_LINE:
            parser.add_argument(f"--{name.replace('_', '-')}", help=f"{HELP[name]} (default: {default_in_words(name)})")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    around = {
        name: environment[ENVIRONMENT + name.upper()] for name in SETTINGS if ENVIRONMENT + name.upper() in environment
    }
    file = given.pop("config", None) or environment.get(ENVIRONMENT + "CONFIG")
    merged = {**(_read_file(Path(file)) if file else {}), **around, **given}
    return ServerConfig(**{name: _convert(name, value) for name, value in merged.items()})


def default_in_words(name: str) -> str:
    default = SETTINGS[name].default
    return DEFAULT_IN_WORDS.get(name, "none" if default in (None, ()) else str(default))


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"config file {path} cannot be read: {error}") from error
    unknown = sorted(values.keys() - SETTINGS.keys())
    if unknown:
        known = ", ".join(sorted(SETTINGS))
        raise ConfigError(f"config file {path}: unknown key {unknown[0]!r}; known keys are {known}")
    return values


def _convert(name: str, value: Any) -> Any:
    kind = SETTINGS[name].type
    try:
        if kind == tuple[str, ...]:
            parts = value if isinstance(value, list) else str(value).split(",")
            return tuple(str(part).strip() for part in parts if str(part).strip())
        if kind is int:
            if isinstance(value, bool) or isinstance(value, float):
                raise ValueError
            return int(value)
        if kind in (Path, Path | None):
            if not str(value).strip():
                raise ConfigError(f"{name} is empty: name a file or folder, or leave it out")
            return Path(value)
        return str(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} must be a whole number, not {value!r}") from error
