"""The motion field keeps head pose and expression apart by construction."""

import numpy as np
import pytest

from flap.coefficients import euler_matrix

torch = pytest.importorskip("torch")

from flap.motion_field import MotionField, gathered, pixel_grid, rotation_matrix, warp  # noqa: E402


@pytest.fixture(scope="module")
def network() -> MotionField:
    torch.manual_seed(0)
    return MotionField().eval()


def fields(network: MotionField, coefficients):  # type: ignore[no-untyped-def]
    features = network.encode(torch.linspace(-1, 1, 3 * 256 * 256).reshape(1, 3, 256, 256))
    with torch.no_grad():
        return network.fields(features, torch.zeros(1, 120), coefficients)


def test_the_rigid_part_does_not_see_the_expression(network: MotionField) -> None:
    calm, lively = torch.zeros(1, 120), torch.zeros(1, 120)
    lively[:, 3:] = torch.rand(1, 117)
    assert torch.equal(fields(network, calm)[0], fields(network, lively)[0])
    assert not torch.equal(fields(network, calm)[1], fields(network, lively)[1])


def test_the_expression_part_does_not_see_the_head_pose(network: MotionField) -> None:
    ahead, turned = torch.zeros(1, 120), torch.zeros(1, 120)
    turned[:, :3] = torch.tensor([0.2, 0.5, -0.1])
    assert torch.equal(fields(network, ahead)[1], fields(network, turned)[1])
    assert not torch.equal(fields(network, ahead)[0], fields(network, turned)[0])


def test_warping_by_the_grid_changes_nothing() -> None:
    image = torch.rand(1, 3, 64, 64)
    assert torch.allclose(warp(image, pixel_grid(64)), image, atol=1e-5)


def test_warping_by_a_shifted_grid_takes_pixels_from_where_it_points() -> None:
    image = torch.rand(1, 1, 64, 64)
    shifted = pixel_grid(64) + torch.tensor([2 / 64 * 3, 0.0])[None, :, None, None]  # three pixels to the right
    assert torch.allclose(warp(image, shifted)[..., :-3], image[..., 3:], atol=1e-5)


def test_a_rotation_is_that_of_the_coefficients_with_down_instead_of_up() -> None:
    poses = torch.tensor([[0.3, -0.6, 0.1], [-0.2, 0.5, 0.4]])
    upright = np.diag([1, -1, 1])
    assert np.allclose(rotation_matrix(poses), upright @ euler_matrix(poses.numpy()) @ upright, atol=1e-6)


def test_a_portrait_in_its_own_pose_is_not_turned(network: MotionField) -> None:
    pose = torch.tensor([[0.1, 0.4, -0.2]])
    faces = torch.cat([pose, torch.zeros(1, 117)], 1)
    features = network.encode(torch.rand(1, 3, 256, 256))
    assert network.turned(features, faces, faces).abs().max() < 1e-6
    assert network.turned(features, faces, -faces).abs().max() > 1e-6


def test_mixed_precision_turns_a_head_in_full_precision(network: MotionField) -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 60, 32, 32)
    ahead, turned = torch.zeros(1, 120), torch.zeros(1, 120)
    turned[:, :3] = torch.tensor([0.2, 0.5, -0.1])
    exact = network.turned(features, ahead, turned)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network.turned(features, ahead, turned), exact)
        assert network.turned(features.bfloat16(), ahead, turned).dtype == torch.float32


def test_levers_of_a_flat_face_turn_it_as_a_plane_turns(network: MotionField) -> None:
    """Points in the picture's plane: a roll moves them within it, a yaw of 60 degrees halves their distance from the axis."""
    x, y = pixel_grid(64)[0]
    levers = torch.stack([x, y, torch.zeros_like(x)])[None] / 2
    features = torch.cat([torch.zeros(1, 48, 32, 32), torch.nn.functional.pixel_unshuffle(levers, 2)], 1)
    ahead, turned = torch.zeros(1, 120), torch.zeros(1, 120)
    turned[0, 1] = np.pi / 3
    moved = network.turned(features, ahead, turned)[0]
    assert torch.allclose(moved[0, :, 32], -levers[0, 0, :, 32] / 2, atol=0.02)  # on the axis nothing comes nearer


def test_the_search_finds_where_each_pixel_came_from(network: MotionField) -> None:
    x, y = pixel_grid(64)[0]
    bump = torch.exp(-4 * (x**2 + y**2))
    moved = torch.stack([0.2 * bump, -0.1 * bump])[None]
    found, change = network.search(moved)
    assert change.abs().max() < 6 / 256
    assert (found + warp(moved, found) - pixel_grid(64)).abs().max() < 2 / 256


def test_what_a_graph_gathers_is_what_warping_samples_beyond_the_border_too() -> None:
    torch.manual_seed(0)
    image, source = torch.randn(2, 9, 32, 24), pixel_grid(16).repeat(2, 1, 1, 1) + 0.5 * torch.randn(2, 2, 16, 16)
    assert torch.allclose(gathered(image, source), warp(image, source), atol=1e-5)
