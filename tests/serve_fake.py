"""Serves the page with drawn faces instead of a model: `python -m tests.serve_fake --port 8090`."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from realtime.config import ServerConfig
from realtime.render_link import launch_process
from realtime.serving import serve
from tests.fakes import fake_renderer

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(serve(fake_renderer(Path(folder), launch=launch_process), ServerConfig(options.host, options.port)))
