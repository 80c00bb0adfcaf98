"""Serves the page with drawn faces instead of a model: `python -m tests.serve_fake --port 8090`, with any setting of run_server.py.

Unless `--drain-s` says otherwise it ends at once when it is told to.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from flap.config import FINE_SIZE
from realtime.config import read_config
from realtime.render.link import launch_process
from realtime.telemetry.logs import set_up
from realtime.web.serving import serve
from tests.fakes import FakePortraitStage, FineFakePortraitStage, fake_renderer

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        config = read_config(["--port=0", "--drain-s=0", *sys.argv[1:]])
        set_up(config.log_format)  # type: ignore[arg-type]
        portrait = FineFakePortraitStage() if config.picture_sizes == (FINE_SIZE,) else FakePortraitStage()
        asyncio.run(serve(fake_renderer(Path(folder), portrait, launch_process), config))
