"""Everything that can go wrong for a client, as one small tree.

FlapError
├── BadRequest      400  the request cannot be understood
│   └── BadCommand  400  an operator's message cannot be understood
├── Unauthorized    401  no token, or not a good one
│   └── Expired     401  one that was good
├── Forbidden       403  the token's role, the session or the page's origin does not allow it
├── NotFound        404
├── Conflict        409  the thing is there already, or is somebody else's
│   └── Locked      409  another operator has the lock
├── TooLarge        413
├── PreconditionFailed   412  If-Match names another ICE session
├── PreconditionRequired 428  If-Match is missing
├── WrongType       415
├── Unprocessable   422  understood, but not supported
│   └── BadPortrait 422  a photograph that makes no presenter; its code says why
├── TooMany         429
│   └── RateLimited 429  too many requests of one address; says when to try again
└── Unavailable     503  a limit of this server is reached
    ├── Overloaded  503  the machine cannot sustain more; the message says what it can
    └── ShuttingDown 503 the server is ending and takes no new sessions
"""

import math
from collections.abc import Mapping


class FlapError(Exception):
    """Answered to the client as `{"error": {"code", "message"}}`; the message says what to do."""

    status = 500
    code = "internal"
    headers: Mapping[str, str] = {}


class BadRequest(FlapError):
    status, code = 400, "bad_request"


class BadCommand(BadRequest):
    """`command_id` is the id of the refused message where it could be read."""

    code = "bad_command"

    def __init__(self, message: str, command_id: str | None = None):
        super().__init__(message)
        self.command_id = command_id


class Unauthorized(FlapError):
    status, code = 401, "unauthorized"
    headers = {"WWW-Authenticate": "Bearer"}  # RFC 6750, 3


class Expired(Unauthorized):
    """`rank` is that of the role which the token was for."""

    def __init__(self, rank: int):
        super().__init__("the token has expired: ask for a new one")
        self.rank = rank


class Forbidden(FlapError):
    status, code = 403, "forbidden"


class NotFound(FlapError):
    status, code = 404, "not_found"


class Conflict(FlapError):
    status, code = 409, "conflict"


class Locked(Conflict):
    code = "locked"


class TooLarge(FlapError):
    status, code = 413, "too_large"


class PreconditionFailed(FlapError):
    status, code = 412, "precondition_failed"


class PreconditionRequired(FlapError):
    status, code = 428, "precondition_required"


class WrongType(FlapError):
    status, code = 415, "wrong_type"


class Unprocessable(FlapError):
    status, code = 422, "not_supported"


class BadPortrait(Unprocessable):
    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class TooMany(FlapError):
    status, code = 429, "too_many"


class RateLimited(TooMany):
    def __init__(self, wait_s: float):
        super().__init__(f"too many requests: try again in {math.ceil(wait_s)} s")
        self.headers = {"Retry-After": str(math.ceil(wait_s))}


class Unavailable(FlapError):
    status, code = 503, "unavailable"


class Overloaded(Unavailable):
    """`soon_s`: when it may be otherwise, if that is known."""

    code = "overloaded"

    def __init__(self, message: str, soon_s: float | None = None):
        super().__init__(message)
        self.headers = {} if soon_s is None else {"Retry-After": str(math.ceil(soon_s))}


class ShuttingDown(Unavailable):
    code = "shutting_down"
