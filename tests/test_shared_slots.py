"""What one process writes into its slot the other one reads."""

import os

import pytest

from realtime.render.shared_slots import PLACES, SharedSlots, create_memory


def test_both_views_of_one_descriptor_see_the_same_bytes() -> None:
    descriptor = create_memory(1)
    one, other = SharedSlots(os.dup(descriptor)), SharedSlots(descriptor)
    one.sound(0)[5] = 1234
    assert other.sound(0)[5] == 1234


@pytest.mark.parametrize("size", [256, 512])
def test_places_of_a_slot_do_not_touch_each_other(size: int) -> None:
    slots = SharedSlots(create_memory(2))
    places = [slots.pictures(slot, place, size) for slot in range(2) for place in range(PLACES)]
    for number, place in enumerate(places, 1):
        place[:] = number
    assert [int(place.min()) for place in places] == [int(place.max()) for place in places] == [1, 2, 3, 4]
    assert not slots.sound(0).any() and not slots.sound(1).any()
