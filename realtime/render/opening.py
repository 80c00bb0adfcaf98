"""A bundle's graphs put together to the pipeline, as the settings say; in the render process."""

from collections.abc import Mapping
from dataclasses import replace

from engines.bundle import Bundle, BundleError, Presenter, open_bundle
from flap.config import IMAGE_SIZE
from flap.presenter_folder import PresenterFolder
from flap.speech import LOOKAHEAD_FRAMES
from realtime.cast import Cast
from realtime.config import ConfigError, ServerConfig
from realtime.face.audio_to_flame import AudioToFlameStage
from realtime.face.idle_motion import IdleMotion
from realtime.face.source import SpeechStage
from realtime.face.voice import VoiceGate
from realtime.pipeline import AvatarPipeline
from realtime.render.portrait import Frames, PortraitStage

GRAPHS = frozenset({"portrait_encoder", "motion_field", "denoiser_step", "decoder", "audio_to_flame"})


def open_pipeline(
    config: ServerConfig, picture_size: int = IMAGE_SIZE
) -> tuple[AvatarPipeline, Mapping[str, Presenter]]:
    """As the settings say, but for the size of the pictures. Raises BundleError, EngineError or ConfigError with a sentence."""
    bundle = open_checked(config)
    return pipeline_of(bundle, config.steps, config.background_picture, picture_size), bundle.presenters


def pipeline_of(
    bundle: Bundle, steps: int = 1, background: Frames | None = None, picture_size: int = IMAGE_SIZE
) -> AvatarPipeline:
    """`background` as PortraitStage takes it. Raises EngineError."""
    audio_to_flame = SpeechStage(AudioToFlameStage(bundle.engines["audio_to_flame"]))
    portrait = PortraitStage(bundle, steps, background, picture_size)
    return AvatarPipeline(VoiceGate(), audio_to_flame, IdleMotion(), portrait)


def open_checked(config: ServerConfig) -> Bundle:
    """The bundle with everybody who can be animated, which fits the settings. Raises what `open_pipeline` does."""
    bundle = open_bundle(config.bundle, provider=config.engine, threads=config.threads, variant=config.variant)
    cast = Cast(bundle.presenters, PresenterFolder(config.presenters_folder))
    if config.presenter and config.presenter not in cast:
        raise ConfigError(f"no presenter {config.presenter!r}: choose one of {', '.join(cast)}")
    if not len(cast):
        raise BundleError(
            f"{config.bundle} has no presenters: export the bundle again, or add one made of a photograph"
        )
    hears_ahead = bundle.manifest.config.get("lookahead_frames")
    if hears_ahead != LOOKAHEAD_FRAMES:
        hears = "does not say how far" if hears_ahead is None else f"hears {hears_ahead} frames"
        raise BundleError(
            f"the speech network of {config.bundle} {hears} ahead, this server's is {LOOKAHEAD_FRAMES}: export the bundle again"
        )
    if missing := sorted(GRAPHS - set(bundle.engines)):
        raise BundleError(f"{config.bundle} has no graph {', '.join(missing)}: export the bundle again")
    return replace(bundle, presenters=cast)
