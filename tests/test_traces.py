"""Every chunk leaves a trace with an OpenTelemetry collector, when there is one."""

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from flap.config import MEDIA_CHUNK_SAMPLES
from realtime.config import ConfigError, ServerConfig
from realtime.render.renderer import Heard
from realtime.telemetry import traces
from realtime.telemetry.traces import SEND_S, traces_to
from tests.fakes import fake_renderer, launch_thread

Collected = list[ExportTraceServiceRequest]


@pytest.fixture
def collector() -> Iterator[tuple[str, Collected]]:
    """Its address and what it has been sent."""
    collected: Collected = []

    class Collect(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                raise AssertionError("not asked for")
            collected.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Collect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", collected
    server.shutdown()
    server.server_close()


def test_a_chunk_is_a_span_with_its_wait_and_its_stages_within(
    tmp_path: Path, collector: tuple[str, Collected]
) -> None:
    address, collected = collector

    async def run() -> None:
        renderer = fake_renderer(tmp_path, launch=launch_thread, traces=traces_to(address))
        await renderer.start()
        now_s = time.monotonic()
        sound = np.zeros(MEDIA_CHUNK_SAMPLES, np.int16)
        heard = Heard(7, "ada", sound, now_s - 0.02, now_s + 30)
        _, pictures = await renderer.avatar("s1", "ada", 0).make(heard, (), watched=True)
        await pictures.fetch()
        await renderer.close()

    asyncio.run(run())
    spans = [
        span for sent in collected for of in sent.resource_spans for scope in of.scope_spans for span in scope.spans
    ]
    whole = next(span for span in spans if span.name == "chunk")
    within = [span for span in spans if span.parent_span_id == whole.span_id]
    assert {span.name for span in within} >= {"wait", "voice", "merge", "portrait"} and len(within) == len(spans) - 1
    about = {attribute.key: attribute.value for attribute in whole.attributes}
    assert about["flap.session"].string_value == "s1" and about["flap.chunk"].int_value == 7
    assert about["flap.drawn"].bool_value
    assert whole.end_time_unix_nano - whole.start_time_unix_nano >= 0.02e9, "from the sound's end on"
    assert abs(whole.end_time_unix_nano / 1e9 - time.time()) < 60
    ordered = sorted(within, key=lambda span: span.start_time_unix_nano)
    assert ordered[0].name == "wait" and ordered[0].start_time_unix_nano == whole.start_time_unix_nano
    assert all(span.end_time_unix_nano <= whole.end_time_unix_nano for span in ordered)


def test_a_collector_that_is_away_keeps_nobody_waiting() -> None:
    kept = traces_to("http://127.0.0.1:9/v1/traces")
    kept.record("s1", 0, time.monotonic(), {"portrait": 1.0}, drawn=True, steps=1)
    began_s = time.monotonic()
    kept.close()
    assert time.monotonic() - began_s < 2 * SEND_S


def test_a_server_that_cannot_trace_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="http://localhost:4318/v1/traces"):
        ServerConfig(trace_to="localhost")
    monkeypatch.setattr(traces, "installed", lambda: False)
    with pytest.raises(ConfigError, match="pip install"):
        ServerConfig(trace_to="http://localhost:4318/v1/traces")
