"""The motion field keeps head pose and expression apart by construction."""

import pytest

torch = pytest.importorskip("torch")

from flap.motion_field import MotionField, pixel_grid, warp  # noqa: E402


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
