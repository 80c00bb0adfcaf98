"""Who can be animated."""

from aiohttp import web

from realtime.errors import NotFound
from realtime.server import SERVER
from realtime.web.access import Role
from realtime.web.guard import needs


@needs(Role.VIEWER)
async def list_presenters(request: web.Request) -> web.Response:
    """`added` are those whom users added, and who can be removed."""
    server = request.app[SERVER]
    folder = server.config.presenters_folder
    return web.json_response(
        [
            {
                "id": p.id, "name": p.name, "thumbnail_url": f"/api/presenters/{p.id}/thumbnail",
                "added": p.portrait_path.is_relative_to(folder),
            }
            for p in server.presenters.values()
        ]
    )  # fmt: skip


@needs(Role.VIEWER)
async def thumbnail(request: web.Request) -> web.FileResponse:
    presenter = request.app[SERVER].presenters.get(request.match_info["presenter"])
    if presenter is None:
        raise NotFound("no such presenter")
    return web.FileResponse(presenter.portrait_path)


ROUTES = [web.get("/api/presenters", list_presenters), web.get("/api/presenters/{presenter}/thumbnail", thumbnail)]
