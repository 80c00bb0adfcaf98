"""Malformed input of every kind gets an answer, never a 500, and the server goes on."""

import asyncio
import logging
from pathlib import Path
from random import Random

import pytest

from benchmarks.fuzz import fuzz
from benchmarks.odd_inputs import odd_bytes, odd_json, odd_text
from realtime.config import ServerConfig
from realtime.web.requests import is_not_the_clients_mistake
from tests.live_client import living, serving

INPUTS = 200


def test_malformed_input_is_answered_and_a_running_session_keeps_its_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        config = ServerConfig(port=0, requests_per_minute=1_000_000, presenters_folder=tmp_path / "presenters")
        async with serving(tmp_path, config) as http, living(http, loud=False) as client:
            result = await fuzz(str(http.make_url("/")), INPUTS, seed=7, uploads=0.4)
            assert result.faults == []
            assert result.inputs == INPUTS
            assert len(result.answers) > 5, "many kinds of answers: the inputs reach many places"
            await client.see_at_least(23)

    http_log = logging.getLogger("aiohttp.server")
    http_log.addFilter(is_not_the_clients_mistake)  # as run_server.py does
    try:
        with caplog.at_level(logging.ERROR):
            asyncio.run(run())
    finally:
        http_log.removeFilter(is_not_the_clients_mistake)
    assert [record.getMessage() for record in caplog.records] == []


def test_inputs_of_a_seed_are_always_the_same_and_differ_from_what_they_were_made_of() -> None:
    good = {"type": "pose.set", "id": "a", "yaw_deg": 1}
    for make in (lambda rng: odd_text("v=0\r\nm=audio 9 x 1\r\n", rng), lambda rng: odd_json(good, rng)):
        assert [make(Random(n)) for n in range(50)] == [make(Random(n)) for n in range(50)]
        assert len({make(Random(n)) for n in range(50)}) > 25
    assert len({odd_bytes(b"RIFF" + bytes(100), Random(n)) for n in range(50)}) > 40
