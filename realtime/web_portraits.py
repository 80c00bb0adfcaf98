"""Presenters made of photographs: added and removed by HTTP.

A photograph is unpacked and looked at by a process of its own (`flap.presenter`), so that a hostile file cannot harm the
server and a slow one takes no time from running avatars.
"""

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from flap.pictures import MAX_PICTURE_BYTES
from flap.presenter_folder import Origin, PresenterFolder, PresenterFolderError, check_name
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
from realtime.web_requests import upload

WORKER_TIMEOUT_S = 60
WORKER_NICENESS = 10
ROOT = Path(__file__).parent.parent
BUSY = web.AppKey("portrait_busy", asyncio.Lock)
REFUSALS: dict[str, type[FlapError]] = {
    "too_large": TooLarge, "known": Conflict, "full": Unavailable, "unavailable": Unavailable,
}  # fmt: skip
logger = logging.getLogger(__name__)


async def add_presenter(request: web.Request) -> web.Response:
    """A photograph as the body; `name` and `consent` in the query, `added_by` if you like."""
    if not request.content_type.startswith("image/"):  # also keeps other sites' plain forms out
        raise WrongType("send the photograph itself as image/jpeg, image/png or image/webp")
    query = request.query
    try:
        name = check_name(query.get("name", ""))
        origin = Origin(query.get("added_by", f"HTTP from {request.remote}"), query.get("consent", ""))
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
    thumbnail_url = f"/api/presenters/{answer['id']}/thumbnail"
    body = {"id": answer["id"], "name": answer["name"], "thumbnail_url": thumbnail_url, "remarks": answer["remarks"]}
    return web.json_response(body, status=201)


async def _look_at(photograph: bytes, folder: Path, name: str, origin: Origin) -> dict[str, Any]:
    """What `flap.presenter add` says of a photograph. Raises Unavailable when it says nothing."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flap.presenter", f"--folder={folder.absolute()}", "--json", "add", "-", f"--name={name}",
        f"--consent={origin.consent}", f"--added-by={origin.added_by}", cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, process.pid, WORKER_NICENESS)
    try:
        said, log = await asyncio.wait_for(process.communicate(photograph), WORKER_TIMEOUT_S)
        answer = json.loads(said.splitlines()[-1])
        return answer if isinstance(answer, dict) else {}
    except TimeoutError as error:
        raise Unavailable("looking at the photograph took too long: send a smaller one") from error
    except (ValueError, IndexError) as error:
        logger.error("flap.presenter failed: %s", log.decode(errors="replace")[-2000:])
        raise Unavailable("the photograph could not be looked at; the server's log says why") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def remove_presenter(request: web.Request) -> web.Response:
    """Deletes a presenter that was added; sessions that show it go on until they end."""
    server, presenter_id = request.app[SERVER], request.match_info["presenter"]
    try:
        PresenterFolder(server.config.presenters_folder).remove(presenter_id)
    except PresenterFolderError as error:
        if presenter_id in server.presenters:
            raise Conflict("this presenter belongs to the bundle and cannot be removed") from error
        raise NotFound(str(error)) from error
    logger.info("presenter %s removed", presenter_id)
    return web.Response(status=204)


ROUTES = [
    web.post("/api/presenters", add_presenter),
    web.delete("/api/presenters/{presenter}", remove_presenter),
]
