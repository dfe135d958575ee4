"""A request that is not answered with vectors, in the shape of OpenAI's errors."""

from __future__ import annotations

import math
from typing import Literal

from pydantic_core import to_json
from starlette.responses import Response

Kind = Literal[
    "invalid_request_error", "authentication_error", "rate_limit_error", "upstream_error", "server_error"
]

JSON = "application/json"


class Refusal(Exception):
    """Ends a request with an HTTP status and one line for people.

    Parameters
    ----------
    status : int
    message : str
        Never holds texts, vectors or keys.
    kind : str
        ``type`` in OpenAI's shape.
    code : str
        For programs: "model_not_found".
    param : str, optional
        The field at fault.
    retry_after : float, optional
        Seconds until another try makes sense.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: Kind = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after = retry_after

    def response(self) -> Response:
        """The answer."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        headers: dict[str, str] = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(to_json({"error": error}), self.status, headers, media_type=JSON)
