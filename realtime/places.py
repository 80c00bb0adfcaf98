"""Who may still watch a session."""

from dataclasses import dataclass

from realtime.errors import Unavailable

STAFF_PLACES = 8  # beside those of viewers, as many as a session has operators
CROWDED = 0.75  # of the places taken: from here on whoever has SHARE of them gets no more
SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Place:
    """One who watches."""

    network: str | None  # whose viewer it is; None: nobody's in particular


class Places:
    """Those of one session: viewers have `most`, and those who direct the show some more, so that no audience keeps them out."""

    def __init__(self, most: int):
        self._most = most
        self._taken: set[Place] = set()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, network: str | None = None, *, is_staff: bool = False) -> Place:
        """A place, until it is given back. Raises Unavailable when there is none for this one.

        `network` is what counts as one sender: it cannot take the last places when it has many already.
        """
        taken = len(self._taken)
        if taken >= self._most + STAFF_PLACES * is_staff:
            raise Unavailable(f"this session has its {self._most} viewers already")
        if network is not None and not is_staff and taken >= CROWDED * self._most:
            own = sum(place.network == network for place in self._taken)
            if own >= SHARE * self._most:
                raise Unavailable(f"your network has {own} of {self._most} viewers: the last places are for others")
        return self.take_for_the_host(network)

    def take_for_the_host(self, network: str | None = None) -> Place:
        """It comes back to a show that is full."""
        place = Place(network)
        self._taken.add(place)
        return place

    def give_back(self, place: Place) -> None:
        self._taken.discard(place)
