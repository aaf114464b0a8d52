"""Client of Trunkline, a telephony media server for AI voice agents.

    from trunkline import Trunkline

    with Trunkline(api_key="va_…", base_url="https://voice.example.com") as client:
        for call in client.calls.list(status="completed"):
            print(call.from_number, call.summary)
"""

from . import webhooks
from ._client import AsyncTrunkline, Trunkline
from ._errors import (
    APIError,
    AuthenticationError,
    ConflictError,
    ConnectionFailedError,
    FieldFault,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    RateLimitedError,
    ServerError,
    TrunklineError,
    TrunklineWarning,
)
from ._generated import models
from ._generated.types import UNSET
from ._pages import AsyncPages, Page, Pages

__all__ = [
    "APIError",
    "AsyncPages",
    "AsyncTrunkline",
    "AuthenticationError",
    "ConflictError",
    "ConnectionFailedError",
    "FieldFault",
    "InvalidRequestError",
    "NotFoundError",
    "Page",
    "Pages",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "RateLimitedError",
    "ServerError",
    "Trunkline",
    "TrunklineError",
    "TrunklineWarning",
    "UNSET",
    "models",
    "webhooks",
]
