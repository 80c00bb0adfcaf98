"""What runs confined knows no secret, is ended when it takes too long or says too much, and its end is told."""

import asyncio
import tempfile
import time
from pathlib import Path

import pytest

from realtime.confined import Bounds, Outcome, raise_refusal, run_confined
from realtime.errors import BadRequest, TooLarge, Unavailable

BOUNDS = Bounds(seconds=10, memory_bytes=2**29, answer_bytes=1000)


def run(program: str, data: bytes = b"", bounds: Bounds = BOUNDS) -> Outcome:
    return asyncio.run(run_confined(["-c", program], data, bounds))


def test_what_comes_in_can_go_out() -> None:
    outcome = run("import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(3)", b"sound")
    assert (outcome.status, outcome.said) == (3, b"SOUND")


def test_secrets_of_the_environment_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAP_SECRET", "s" * 43)
    monkeypatch.setenv("CLOUD_KEY", "k")
    said = run("import os; print(os.environ.get('FLAP_SECRET'), os.environ.get('CLOUD_KEY'))").said
    assert said.split() == [b"None", b"None"]


def test_what_says_too_much_is_ended() -> None:
    with pytest.raises(Unavailable):
        run("while True: print('x' * 100)")


def test_what_it_says_faster_than_anybody_takes_it_keeps_nobody_waiting() -> None:
    """Nor does a child of its own that has its pipes."""
    floods = "import os\nwhile True: os.write(1, bytes(2**20))"
    forks = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)']); print('x' * 5000)"
    for program in (floods, f"{forks}; import time; time.sleep(30)"):
        begun_s = time.monotonic()
        with pytest.raises(Unavailable):
            run(program, bounds=Bounds(seconds=2, memory_bytes=2**29, answer_bytes=1000))
        assert time.monotonic() - begun_s < 15


def test_what_takes_more_memory_than_it_may_fails_alone() -> None:
    outcome = run("x = bytearray(2**30)")
    assert outcome.status != 0
    assert "MemoryError" in outcome.log


def test_what_does_not_read_its_input_is_heard_all_the_same() -> None:
    assert run("print('no')", bytes(2**20)).said == b"no\n"


def test_what_it_has_put_aside_is_gone_however_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    leaves = "import tempfile, time; open(tempfile.mkstemp()[1], 'w').write('x'); print(tempfile.gettempdir()); {}"
    assert run(leaves.format("")).said.decode().startswith(str(tmp_path))
    with pytest.raises(Unavailable):
        run(leaves.format("time.sleep(60)"), bounds=Bounds(seconds=2, memory_bytes=2**29, answer_bytes=1000))
    assert list(tmp_path.iterdir()) == []


def test_without_room_for_temporary_files_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(Unavailable, match="TMPDIR"):
        run("print()")


def test_what_it_refuses_comes_through_and_what_it_has_not_told_is_a_bad_request() -> None:
    outcome = run("from realtime import confined, errors; confined.refuse(errors.TooLarge('in parts'))")
    assert outcome.status == 1
    with pytest.raises(TooLarge, match="in parts"):
        raise_refusal(outcome.said, (BadRequest, TooLarge), "within limits")
    for said in (b"", b"[]", b'{"code": "too_large"}', b'{"code": "internal", "message": "no"}', outcome.said[:9]):
        with pytest.raises(BadRequest, match="within limits"):
            raise_refusal(said, (BadRequest, TooLarge), "within limits")
