"""OpenTelemetry traces, behind the `traces` extra: a span for every chunk that is made, from its sound to its pictures.

How many are kept is OpenTelemetry's to say (`OTEL_TRACES_SAMPLER`); they leave in batches from a thread of its own, whose queue
drops what is too much (`OTEL_BSP_MAX_QUEUE_SIZE`).
"""

import importlib.util
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SEND_S = 2.0  # for a batch, repeated tries and all: nobody who stops a server waits longer for a collector that is away


class ChunkTraces:
    """Writes a trace a chunk."""

    def __init__(self, provider: "TracerProvider"):
        self._provider, self._tracer = provider, provider.get_tracer("flap-live")

    def record(
        self, session: str, chunk: int, heard_s: float, stage_ms: Mapping[str, float], drawn: bool, steps: int
    ) -> None:
        """A chunk whose sound was complete at `heard_s` and that is made now; seconds of the monotonic clock.

        `stage_ms` are what the renderer's stages took, in order; before them the chunk has waited for the renderer.
        """
        from opentelemetry import trace

        now_ns = time.time_ns()
        began_ns = now_ns - round(1e9 * (time.monotonic() - heard_s))
        attributes: dict[str, str | int | bool] = {
            "flap.session": session,
            "flap.chunk": chunk,
            "flap.drawn": drawn,
            "flap.steps": steps,
        }
        whole = self._tracer.start_span("chunk", attributes=attributes, start_time=began_ns)
        within = trace.set_span_in_context(whole)
        at_ns = max(now_ns - round(1e6 * sum(stage_ms.values())), began_ns)
        self._tracer.start_span("wait", within, start_time=began_ns).end(at_ns)
        for name, spent_ms in stage_ms.items():
            ends_ns = at_ns + round(1e6 * spent_ms)
            self._tracer.start_span(name, within, start_time=at_ns).end(ends_ns)
            at_ns = ends_ns
        whole.end(max(now_ns, at_ns))

    def close(self) -> None:
        """Sends what waits, in a few times SEND_S at most."""
        self._provider.shutdown()


def installed() -> bool:
    return importlib.util.find_spec("opentelemetry") is not None


def traces_to(url: str) -> ChunkTraces:
    """Traces to an OTLP collector over HTTP; needs the extra."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "flap-live"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url, timeout=SEND_S)))
    return ChunkTraces(provider)
