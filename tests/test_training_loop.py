"""The training loop learns, stops after its minutes, goes on where it was stopped, and ends with averaged weights."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from training.loop import fit  # noqa: E402


def train(folder: Path, seconds: float) -> tuple[torch.nn.Module, list[float]]:
    """A line through y = 3x, and what was reported on the way."""
    torch.manual_seed(0)
    line, reported = torch.nn.Linear(1, 1), []

    def loss_of(generator: torch.Generator) -> torch.Tensor:
        x = torch.randn(64, 1, generator=generator)
        return (line(x) - 3 * x).square().mean()

    def report(measured: torch.nn.Module) -> str:
        reported.append(measured.weight.item())
        return f"{reported[-1]:.3f}"

    fit(
        line, line.parameters(), loss_of, report, state=folder / "line.pt", minutes=seconds / 60, peak_rate=0.05,
        weight_decay=0.0, report_every=10, bfloat16=False,
    )  # fmt: skip
    return line, reported


def test_it_learns_and_what_it_reports_is_what_it_ends_with(tmp_path: Path) -> None:
    line, reported = train(tmp_path, 1.0)
    assert line.weight.item() == pytest.approx(3, abs=0.1)
    assert reported[-1] == pytest.approx(line.weight.item(), abs=0.05)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    _, first = train(tmp_path, 0.5)
    _, second = train(tmp_path, 1.5)
    assert abs(second[0] - 3) < abs(first[0] - 3)
