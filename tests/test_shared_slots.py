"""What one process writes into its slot the other one reads."""

import os

from realtime.render.shared_slots import SharedSlots, create_memory


def test_both_views_of_one_descriptor_see_the_same_bytes() -> None:
    descriptor = create_memory(1)
    one, other = SharedSlots(os.dup(descriptor)), SharedSlots(descriptor)
    one.sound(0)[5] = 1234
    assert other.sound(0)[5] == 1234
