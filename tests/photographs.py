"""Photographs and portraits for tests of faces: what installed packages and the bundle ship."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flap.pictures import read_picture

PORTRAITS = sorted((Path(__file__).parent.parent / "bundles" / "flap-small" / "presenters").glob("*.png"))


def photograph_file() -> Path:
    """Rear Admiral Grace Hopper, a photograph of the US Navy, that matplotlib ships."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def photograph() -> NDArray[np.uint8]:
    return read_picture(photograph_file().read_bytes())


def png(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
