"""What can go wrong, as exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class TrunklineError(Exception):
    """Base of all exceptions of this package."""


class ConnectionFailedError(TrunklineError):
    """No complete answer came: no connection, or none in time."""


class TrunklineWarning(UserWarning):
    """The server has saved something that will not work as it stands, and says why."""


@dataclass(frozen=True)
class FieldFault:
    """A field that is wrong."""

    field: str
    """Path of the field, such as ``llm_config.tools[0].url``."""
    message: str
    """What is wrong with it."""


class APIError(TrunklineError):
    """The server refused the request."""

    def __init__(self, status: int, body: Any, request_id: str | None, retry_after_s: float | None) -> None:
        body = body if isinstance(body, dict) else {}
        self.status = status
        """HTTP status."""
        self.message: str = str(body.get("error") or f"status {status}")
        """What is wrong, in a sentence."""
        self.details: dict[str, Any] = body.get("details") or {}
        """The same for programs."""
        self.code: str = str(self.details.get("code") or "")
        """The reason, such as ``invalid_field`` or ``not_found``."""
        self.field: str | None = self.details.get("field")
        """The first field that is wrong."""
        faults = self.details.get("faults") or []
        self.faults = [FieldFault(str(one.get("field", "")), str(one.get("message", ""))) for one in faults]
        """Every field that is wrong."""
        self.request_id = request_id
        """Identifies the request in the server's log."""
        self.retry_after_s = retry_after_s
        """Seconds to wait before the next attempt, if the server says so."""
        super().__init__(f"{self.message} ({status}{' ' + self.code if self.code else ''})")


class InvalidRequestError(APIError):
    """400, 413, 415, 422: the request is wrong. ``field`` and ``faults`` say where."""


class AuthenticationError(APIError):
    """401: no API key, or one that is not valid."""


class PermissionDeniedError(APIError):
    """403: the key may not do this, or a quota is reached."""


class NotFoundError(APIError):
    """404: there is none, or it is another organization's."""


class ConflictError(APIError):
    """409: the request contradicts another one."""


class PreconditionFailedError(APIError):
    """412: the document has changed since the state that ``if_match`` names."""


class RateLimitedError(APIError):
    """429: too many requests. ``retry_after_s`` says when to go on."""


class ServerError(APIError):
    """5xx: the server or something that it needs does not work."""


_BY_STATUS: dict[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionFailedError,
    429: RateLimitedError,
}


def error_of(status: int, body: Any, request_id: str | None, retry_after_s: float | None) -> APIError:
    """The exception for a status."""
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else InvalidRequestError)
    return kind(status, body, request_id, retry_after_s)
