"""What a chunk takes on this machine, found out before the first session, and whether that leaves the time for larger pictures."""

import numpy as np

from flap.config import MEDIA_CHUNK_SAMPLES
from realtime.pipeline import AvatarPipeline
from realtime.render.quality import Level

ROUNDS = 4  # of chunks; the first one only warms up
# of the renderer's time for one session; pictures are encoded, sent, and mostly looked at on the same machine
FINE_LOAD = 0.5


def chunk_times_ms(pipeline: AvatarPipeline, presenter_id: str, steps: int) -> list[float]:
    """Draws a few chunks for nobody in `steps` of diffusion, as many at once as for sessions; what each of them took."""
    silence = np.zeros(MEDIA_CHUNK_SAMPLES, np.int16)
    avatars = [pipeline.init_state(presenter_id) for _ in range(pipeline.portrait.at_once)]
    times_ms: list[float] = []
    for attempt in range(ROUNDS):
        made = [pipeline.step(silence, (), avatar, steps) for avatar in avatars]
        avatars = [avatar for _, avatar in made]
        for step, _ in made:
            assert step.drawing
            spent_ms = step.drawing.result().spent_ms
            if attempt > 0:
                times_ms.append(spent_ms + sum(step.stage_ms.values()))
    return times_ms


def leaves_room(chunk_ms: float, at_once: int) -> bool:
    """Whether one session at the full rate takes FINE_LOAD of the renderer's time at most."""
    return Level(1).load(chunk_ms / 1000, at_once) <= FINE_LOAD
