"""Sizes and rates that every part of the product shares; derived values divide exactly or the import fails."""

SAMPLE_RATE_HZ = 16_000  # what audio-to-FLAME hears
MEDIA_RATE_HZ = 48_000  # what WebRTC carries; the media clock counts these samples
FRAME_RATE_HZ = 25
CHUNK_FRAMES = 1  # heard, directed and drawn at a time: each frame more would be a frame more to wait for
TOGETHER_FRAMES = 2  # denoised together by flap-sd15, and by flap-small in training, where none of them sees the other
CONTEXT_FRAMES = 8  # past frames the temporal layers see

IMAGE_SIZE = 256  # what the networks draw
FINE_SIZE = 512  # what that is enlarged to, with what a portrait of this size has beyond it
LATENT_CHANNELS = 16
LATENT_SIZE = 32
FLOW_SIZE = 64


def exact_div(dividend: int, divisor: int) -> int:
    """Quotient of two integers; raises ValueError when there is a remainder."""
    quotient, remainder = divmod(dividend, divisor)
    if remainder:
        raise ValueError(f"{dividend} is not a multiple of {divisor}")
    return quotient


FRAME_SAMPLES = exact_div(SAMPLE_RATE_HZ, FRAME_RATE_HZ)  # 640 at 16 kHz
CHUNK_SAMPLES = FRAME_SAMPLES * CHUNK_FRAMES  # 640 at 16 kHz
MEDIA_FRAME_SAMPLES = exact_div(MEDIA_RATE_HZ, FRAME_RATE_HZ)  # 1920 at 48 kHz
MEDIA_CHUNK_SAMPLES = MEDIA_FRAME_SAMPLES * CHUNK_FRAMES  # 1920 at 48 kHz
CHUNK_S = CHUNK_FRAMES / FRAME_RATE_HZ
CHUNK_MS = 1000 * CHUNK_FRAMES / FRAME_RATE_HZ
