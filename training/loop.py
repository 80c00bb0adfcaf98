"""The one training loop: as long as it is told, resumable, with averaged weights measured on held-out data as it goes.

Time is processor time: a run that shares its machine, or is stopped and goes on, learns as much as one that does not.
"""

import copy
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from training import checkpoint
from training.schedule import cosine_rate

# elsewhere it is emulated, 46 times slower
BFLOAT16_IS_FASTER = torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def fit(
    network: nn.Module, parameters: Iterable[nn.Parameter], loss_of: Callable[[torch.Generator], Tensor],
    report: Callable[[nn.Module], str], *, state: Path, minutes: float, peak_rate: float, weight_decay: float = 0.01,
    report_every: int = 200, bfloat16: bool = BFLOAT16_IS_FASTER,
) -> None:  # fmt: skip
    """Minimises `loss_of` over `parameters` for `minutes` of each thread; `network` ends with its averaged weights.

    Goes on from `state` where it was stopped. Every `report_every` steps it saves, and prints what `report` says of a
    copy of `network` with averaged weights.
    """
    trained = list(parameters)
    optimiser = torch.optim.AdamW(trained, peak_rate, betas=(0.9, 0.99), weight_decay=weight_decay)
    average = checkpoint.Average(network)
    parts = {"network": network, "optimiser": optimiser, "average": average}
    progress = checkpoint.resume(state, parts)
    generator = torch.Generator().manual_seed(progress.step)
    started = time.process_time() / torch.get_num_threads() - progress.elapsed_s
    while (elapsed := time.process_time() / torch.get_num_threads() - started) < minutes * 60:
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(peak_rate, progress.step, elapsed / (minutes * 60))
        with torch.autocast("cpu", dtype=torch.bfloat16) if bfloat16 else nullcontext():
            loss = loss_of(generator)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        progress.step += 1
        average.update(network, progress.step)
        if progress.step % report_every == 0:
            progress.elapsed_s = elapsed
            checkpoint.save(state, progress, parts)
            measured = copy.deepcopy(network).eval()
            measured.load_state_dict(average.weights)
            with torch.no_grad():
                line = report(measured)
            print(f"{state.stem} step {progress.step} {elapsed:.0f} s loss {loss.item():.4f} | {line}", flush=True)
    network.load_state_dict(average.weights)
    network.eval()
