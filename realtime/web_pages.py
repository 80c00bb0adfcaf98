"""The pages: the host's at /, operators' at /operator, viewers' at /watch, and the files they load."""

from pathlib import Path

from aiohttp import web

from realtime.web_guard import open_to_all

WEB_FOLDER = Path(__file__).parent.parent / "client_web"


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


ROUTES = [
    web.get("/", show_page),
    web.get("/operator", show_operator),
    web.get("/watch", show_watch),
    web.static("/static", WEB_FOLDER),
]
