"""The pages: the host's at /, operators' at /operator, viewers' at /watch, and the files they load; at /webcam the face tracker's."""

from pathlib import Path

from aiohttp import web

from realtime.errors import NotFound
from realtime.web import webcam_files
from realtime.web.guard import open_to_all

WEB_FOLDER = Path(__file__).parent.parent.parent / "client_web"


def _page(file: str) -> web.FileResponse:
    return web.FileResponse(WEB_FOLDER / file, headers={"Cache-Control": "no-cache"})


@open_to_all
async def show_page(_: web.Request) -> web.FileResponse:
    return _page("index.html")


@open_to_all
async def show_operator(_: web.Request) -> web.FileResponse:
    return _page("operator.html")


@open_to_all
async def show_watch(_: web.Request) -> web.FileResponse:
    return _page("watch.html")


@open_to_all
async def show_webcam_file(request: web.Request) -> web.FileResponse:
    """A part of the face tracker that runs in the page. Raises NotFound when it is not installed."""
    path = webcam_files.find(request.match_info["name"])
    if path is None:
        raise NotFound("the face tracker for webcams is not installed: make install-webcam")
    return web.FileResponse(
        path, headers={"Cache-Control": "no-cache", "Content-Type": webcam_files.KINDS[path.suffix]}
    )


ROUTES = [
    web.get("/", show_page),
    web.get("/operator", show_operator),
    web.get("/watch", show_watch),
    web.get("/webcam/{name}", show_webcam_file),
    web.static("/static", WEB_FOLDER),
]
