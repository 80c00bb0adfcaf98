"""Who can be animated; presenters made of photographs are added and removed by HTTP.

A photograph is unpacked and looked at by a process of its own (`flap.presenter`), so that a hostile file cannot harm the
server and a slow one takes no time from running avatars.
"""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from aiohttp import web

from flap.pictures import MAX_PICTURE_BYTES
from flap.presenter_folder import Origin, PresenterFolder, PresenterFolderError, check_name
from realtime.confined import Bounds, run_confined
from realtime.errors import (
    BadPortrait,
    BadRequest,
    Conflict,
    FlapError,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
    WrongType,
)
from realtime.server import SERVER
from realtime.web.access import Role
from realtime.web.guard import DEAR, grants_of, needs, sender_of
from realtime.web.requests import upload

BOUNDS = Bounds(seconds=60, memory_bytes=4 * 2**30, answer_bytes=2**20)
BUSY = web.AppKey("portrait_busy", asyncio.Lock)
REFUSALS: dict[str, type[FlapError]] = {
    "too_large": TooLarge, "known": Conflict, "full": Unavailable, "unavailable": Unavailable,
}  # fmt: skip
logger = logging.getLogger(__name__)


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


@needs(Role.ADMIN, cost=DEAR)
async def add_presenter(request: web.Request) -> web.Response:
    """A photograph as the body; `name` and `consent` in the query, `added_by` if you like."""
    grants_of(request).check_session(None)
    if not request.content_type.startswith("image/"):  # also keeps other sites' plain forms out
        raise WrongType("send the photograph itself as image/jpeg, image/png or image/webp")
    query = request.query
    try:
        name = check_name(query.get("name", ""))
        origin = Origin(
            query.get("added_by", f"HTTP from {sender_of(request, request.app[SERVER].config)}"),
            query.get("consent", ""),
        )
    except PresenterFolderError as error:
        raise BadRequest(f"{error}; the query takes name, consent (why you may use this face) and added_by") from error
    photograph = await upload(request, MAX_PICTURE_BYTES)
    busy = request.app[BUSY]
    if busy.locked():
        raise TooMany("another photograph is being looked at: try again in a moment")
    async with busy:
        answer = await _look_at(photograph, request.app[SERVER].config.presenters_folder, name, origin)
    if "error" in answer:
        code, message = answer["error"]["code"], answer["error"]["message"]
        refusal = REFUSALS.get(code)
        raise refusal(message) if refusal else BadPortrait(code, message)
    logger.info("presenter %s added by %s", answer["id"], origin.added_by)
    request.app[SERVER].tell_catalog()
    thumbnail_url = f"/api/presenters/{answer['id']}/thumbnail"
    body = {"id": answer["id"], "name": answer["name"], "thumbnail_url": thumbnail_url, "remarks": answer["remarks"]}
    return web.json_response(body, status=201)


async def _look_at(photograph: bytes, folder: Path, name: str, origin: Origin) -> dict[str, Any]:
    """What `flap.presenter add` says of a photograph. Raises Unavailable when it says nothing."""
    arguments = ["-m", "flap.presenter", f"--folder={folder.absolute()}", "--json", "add", "-", f"--name={name}"]
    arguments += [f"--consent={origin.consent}", f"--added-by={origin.added_by}"]
    outcome = await run_confined(arguments, photograph, BOUNDS)
    try:
        answer = json.loads(outcome.said.splitlines()[-1])
        return answer if isinstance(answer, dict) else {}
    except (ValueError, IndexError) as error:
        logger.error("flap.presenter failed: %s", outcome.log)
        raise Unavailable("the photograph could not be looked at; the server's log says why") from error


@needs(Role.ADMIN)
async def remove_presenter(request: web.Request) -> web.Response:
    """Deletes a presenter that was added; sessions that show it go on until they end."""
    grants_of(request).check_session(None)
    server, presenter_id = request.app[SERVER], request.match_info["presenter"]
    try:
        PresenterFolder(server.config.presenters_folder).remove(presenter_id)
    except PresenterFolderError as error:
        if presenter_id in server.presenters:
            raise Conflict("this presenter belongs to the bundle and cannot be removed") from error
        raise NotFound(str(error)) from error
    except OSError as error:
        raise Unavailable(f"the presenter cannot be removed: {error}") from error
    logger.info("presenter %s removed", presenter_id)
    server.tell_catalog()
    return web.Response(status=204)


ROUTES = [
    web.get("/api/presenters", list_presenters),
    web.get("/api/presenters/{presenter}/thumbnail", thumbnail),
    web.post("/api/presenters", add_presenter),
    web.delete("/api/presenters/{presenter}", remove_presenter),
]
