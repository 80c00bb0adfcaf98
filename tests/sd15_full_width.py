"""One pass of flap-sd15 at full width, 512 x 512, on a CPU; prints one JSON object. A process of its own, for its memory."""

import json
import resource
import time

import torch

from flap.config import CHUNK_FRAMES, CONTEXT_FRAMES
from flap.sd15.networks import DenoisingNet, ReferenceNet


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    reference, denoiser = ReferenceNet().eval(), DenoisingNet().eval()
    size = denoiser.config.latent_size
    with torch.no_grad():
        began = time.perf_counter()
        keys = denoiser.project_reference(reference(torch.randn(1, 4, size, size)))
        portrait_s = time.perf_counter() - began
        began = time.perf_counter()
        velocity, _ = denoiser(
            torch.randn(CHUNK_FRAMES, 4, size, size), torch.full((CHUNK_FRAMES,), 1.1), torch.rand(CHUNK_FRAMES, 120), keys,
            denoiser.empty_cache(1), torch.zeros(1, CONTEXT_FRAMES),
        )  # fmt: skip
        step_s = time.perf_counter() - began
    figures = {
        "shape": list(velocity.shape), "finite": bool(velocity.isfinite().all()), "portrait_s": round(portrait_s, 1),
        "step_s": round(step_s, 1), "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 1),
        "million_weights": [round(sum(p.numel() for p in net.parameters()) / 1e6) for net in (reference, denoiser)],
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
