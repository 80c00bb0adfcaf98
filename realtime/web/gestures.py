"""Gestures of the user's own by HTTP: listed, read, kept and deleted."""

import asyncio

from aiohttp import web

from realtime.errors import NotFound, Unavailable
from realtime.gestures.file import gesture_json, read_gesture
from realtime.server import SERVER
from realtime.web.access import Role
from realtime.web.guard import DEAR, needs
from realtime.web.requests import json_object


@needs(Role.OPERATOR)
async def list_gestures(request: web.Request) -> web.Response:
    library = request.app[SERVER].gestures
    return web.json_response({"gestures": sorted(library.gestures), "problems": list(library.problems)})


@needs(Role.OPERATOR)
async def show_gesture(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    curve = request.app[SERVER].gestures.gestures.get(name)
    if curve is None:
        raise NotFound(f"no gesture {name!r} in the library")
    return web.json_response(gesture_json(curve))


@needs(Role.OPERATOR, cost=DEAR)
async def keep_gesture(request: web.Request) -> web.Response:
    server, name = request.app[SERVER], request.match_info["name"]
    curve = read_gesture(await json_object(request))
    try:
        await asyncio.to_thread(server.gestures.save, name, curve)
    except OSError as error:
        raise Unavailable(f"the gesture cannot be kept: {error}") from error
    server.tell_catalog()
    return web.json_response(gesture_json(curve), status=201)


@needs(Role.OPERATOR)
async def delete_gesture(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    try:
        await asyncio.to_thread(server.gestures.delete, request.match_info["name"])
    except OSError as error:
        raise Unavailable(f"the gesture cannot be deleted: {error}") from error
    server.tell_catalog()
    return web.Response(status=204)


ROUTES = [
    web.get("/api/gestures", list_gestures),
    web.get("/api/gestures/{name}", show_gesture),
    web.put("/api/gestures/{name}", keep_gesture),
    web.delete("/api/gestures/{name}", delete_gesture),
]
