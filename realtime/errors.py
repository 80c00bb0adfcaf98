"""Everything that can go wrong for a client, as one small tree.

FlapError
├── BadRequest      400  the request cannot be understood
│   └── BadCommand  400  an operator's message cannot be understood
├── NotFound        404
├── Conflict        409  the thing is there already, or is somebody else's
├── TooLarge        413
├── WrongType       415
├── Unprocessable   422  understood, but not supported
│   └── BadPortrait 422  a photograph that makes no presenter; its code says why
├── TooMany         429
└── Unavailable     503  a limit of this machine is reached
"""


class FlapError(Exception):
    """Answered to the client as `{"error": {"code", "message"}}`; the message says what to do."""

    status = 500
    code = "internal"


class BadRequest(FlapError):
    status, code = 400, "bad_request"


class BadCommand(BadRequest):
    """`command_id` is the id of the refused message where it could be read."""

    code = "bad_command"

    def __init__(self, message: str, command_id: str | None = None):
        super().__init__(message)
        self.command_id = command_id


class NotFound(FlapError):
    status, code = 404, "not_found"


class Conflict(FlapError):
    status, code = 409, "conflict"


class TooLarge(FlapError):
    status, code = 413, "too_large"


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


class Unavailable(FlapError):
    status, code = 503, "unavailable"
