"""Who may still watch a session."""

from dataclasses import dataclass

from realtime.errors import Unavailable

STAFF_PLACES = 8  # beside those of viewers, as many as a session has operators
CROWDED = 0.75  # of viewers' places: once so many are taken, a network with MOST_OF_ONE of all places gets no more
MOST_OF_ONE = 0.5


@dataclass(frozen=True, eq=False)
class Place:
    """One who watches."""

    network: str | None  # whose viewer it is; None: nobody can tell
    is_staff: bool


class Places:
    """Those of one session: `most` for viewers and the host, and some for who directs the show, whom no audience keeps out."""

    def __init__(self, most: int):
        self._most = most
        self._taken: set[Place] = set()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, network: str | None = None, *, is_staff: bool = False) -> Place:
        """A place, until it is given back. Raises Unavailable when there is none for this one.

        `network` is what counts as one sender, which cannot take the last places when it has many already.
        """
        staff = sum(place.is_staff for place in self._taken)
        if is_staff and staff < STAFF_PLACES:
            return self._put(Place(network, is_staff))
        viewers = len(self._taken) - staff
        if viewers >= self._most:
            raise Unavailable(f"this session has its {self._most} viewers already")
        if network is not None and viewers >= CROWDED * self._most:
            own = sum(place.network == network for place in self._taken if not place.is_staff)
            if own >= MOST_OF_ONE * self._most:
                raise Unavailable(
                    f"your network has {own} of {self._most} viewers: the last places are for others, try again later"
                )
        return self._put(Place(network, is_staff=False))

    def take_for_the_host(self) -> Place:
        """It comes back to a show that is full."""
        return self._put(Place(None, is_staff=False))

    def give_back(self, place: Place) -> None:
        self._taken.discard(place)

    def _put(self, place: Place) -> Place:
        self._taken.add(place)
        return place
