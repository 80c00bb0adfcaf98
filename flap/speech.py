"""What the audio-to-FLAME network gives and when, shared by training and server."""

from flap.config import FRAME_RATE_HZ, exact_div

HOPS_PER_FRAME = exact_div(100, FRAME_RATE_HZ)  # of 10 ms
LOOKAHEAD_FRAMES = 2  # 80 ms: lips form before the sound
OUTPUTS = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthPressLeft", "mouthPressRight", "mouthRollLower",
    "mouthRollUpper", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthSmileLeft", "mouthSmileRight", "mouthShrugLower", "browInnerUp",
)  # fmt: skip
