"""The quality ladder: with how many steps of diffusion a session's chunks are drawn, and how many of them, by deadlines alone.

Chunks that miss their moment, and would with the longest delay too, walk it down, first to fewer steps, then to half the frame
rate. A calm while and room in the renderer's time walk it up; a step up that does not last doubles the calm that the next one
needs. Everything here is pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flap.config import CHUNK_S, FRAME_RATE_HZ

FRESH_S = 0.02  # sound heard less than this ago: nothing newer could be drawn instead
MISSES_DOWN = 6.0  # so many, less what is forgiven, and it goes down a level
FORGIVEN = 1 / 12  # of a miss, by every chunk in time: two pauses of 40 ms a second are less than half the rate
CROWDED = 5.0  # misses by a chunk for each whole renderer that sessions want together beside the one, one at most
CALM_CHUNKS = 100  # four seconds
LONGEST_CALM_CHUNKS = 1600
PROBATION_CHUNKS = 500  # a level that was gone up to must last so long
URGENT_CHUNKS = 16  # a chunk that would be left out is drawn for a command at most once in so many
# of the renderer's time that may be spoken for after a step up; one too far costs six pictures and a longer calm
ROOM = 0.92


@dataclass(frozen=True)
class Level:
    """One rung: `steps` of diffusion for one chunk out of `period`."""

    steps: int
    period: int = 1

    @property
    def frames_per_second(self) -> float:
        return FRAME_RATE_HZ / self.period

    def load(self, draw_s: float, at_once: int = 1) -> float:
        """The share of the renderer's time that it takes when a drawn chunk takes `draw_s` and `at_once` are drawn together."""
        return draw_s / (self.period * CHUNK_S * at_once)


def ladder(steps: int) -> tuple[Level, ...]:
    """The rungs from the best, `steps` at the full rate, to the last, one step at half of it."""
    rungs = [Level(steps)]
    while rungs[-1].steps > 1:
        rungs.append(Level(rungs[-1].steps // 2))
    return (*rungs, Level(1, period=2))


@dataclass(frozen=True)
class Moment:
    """A chunk whose turn has come. Seconds of the monotonic clock; `elsewhere` is the load of other sessions.

    It is `urgent` when an operator's command waits for a picture.
    """

    now_s: float
    heard_s: float  # when its sound was complete
    due_s: float  # when its last picture is to be shown
    elsewhere: float = 0.0
    room_s: float = 0.0  # by how much a session may put off when its pictures are due
    urgent: bool = False
    at_once: int = 1  # chunks that are drawn at the same time
    above_room_s: float = 0.0  # `room_s` at the full rate; negative while the delay is longer than it may be there


@dataclass(frozen=True)
class Quality:
    """One session between two chunks."""

    rung: int = 0  # of the ladder, 0 the best
    misses: float = 0.0
    calm_chunks: int = 0  # since the last miss
    calm_needed: int = CALM_CHUNKS
    since_up: int = PROBATION_CHUNKS
    left_out: int = 0  # chunks in a row that were not drawn because half the rate was enough
    since_urgent: int = URGENT_CHUNKS  # one that was drawn for a command all the same


@dataclass(frozen=True)
class Verdict:
    """`wanted` is false for a chunk that the level leaves out; of others `in_time` says whether they can be shown when due, or will
    be once the delay has grown as far as it may."""

    level: Level
    wanted: bool
    in_time: bool = True


def judge(moment: Moment, draw_s: Sequence[float], rungs: Sequence[Level], quality: Quality) -> tuple[Verdict, Quality]:
    """What to do with a chunk; `draw_s` is what a drawn chunk is expected to take on each of the `rungs`."""
    counted = replace(quality, since_up=quality.since_up + 1, since_urgent=quality.since_urgent + 1)
    quality = _settle(moment, draw_s, rungs, counted)
    level = rungs[quality.rung]
    drawn_s = moment.now_s + draw_s[quality.rung]
    late, for_good = drawn_s > moment.due_s, drawn_s > moment.due_s + moment.room_s
    asked = moment.elsewhere + level.load(draw_s[quality.rung], moment.at_once)
    too_much = asked > 1
    if quality.left_out + 1 < level.period:
        if late or too_much or not moment.urgent or quality.since_urgent < URGENT_CHUNKS:
            return Verdict(level, wanted=False), replace(quality, left_out=quality.left_out + 1)
        quality = replace(quality, since_urgent=0)
    fresh = moment.now_s - moment.heard_s < FRESH_S
    overload = quality.rung < len(rungs) - 1 and too_much
    if for_good:
        quality = missed(quality)
    elif overload:
        quality = missed(quality, min(1.0, CROWDED * (asked - 1)))
    else:
        quality = replace(quality, calm_chunks=0) if late else _calm(quality)
    return Verdict(level, wanted=True, in_time=fresh or not for_good), replace(quality, left_out=0)


def missed(quality: Quality, weight: float = 1.0) -> Quality:
    """After a chunk that came too late, or gave way to another session's."""
    return replace(quality, misses=quality.misses + weight, calm_chunks=0)


def _calm(quality: Quality) -> Quality:
    return replace(quality, misses=max(0.0, quality.misses - FORGIVEN), calm_chunks=quality.calm_chunks + 1)


def _settle(moment: Moment, draw_s: Sequence[float], rungs: Sequence[Level], quality: Quality) -> Quality:
    """On the level that the chunks so far call for."""
    if quality.misses >= MISSES_DOWN:
        if quality.rung == len(rungs) - 1:
            return replace(quality, misses=MISSES_DOWN)
        hasty = quality.since_up < PROBATION_CHUNKS
        needed = min(2 * quality.calm_needed, LONGEST_CALM_CHUNKS) if hasty else CALM_CHUNKS
        return Quality(quality.rung + 1, calm_needed=needed)
    if quality.rung > 0 and quality.calm_chunks * rungs[quality.rung].period >= quality.calm_needed:
        above, expected_s = rungs[quality.rung - 1], draw_s[quality.rung - 1]
        if (
            moment.elsewhere + above.load(expected_s, moment.at_once) <= ROOM
            and expected_s <= moment.due_s + min(moment.room_s, moment.above_room_s) - moment.heard_s
        ):
            return Quality(quality.rung - 1, calm_needed=quality.calm_needed, since_up=0)
    return quality
