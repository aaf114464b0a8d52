"""The clients: addresses, keys, attempts."""

from __future__ import annotations

import asyncio
import datetime
import enum
import os
import random
import time
import uuid
import warnings
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from ._errors import ConnectionFailedError, TrunklineWarning, error_of
from ._generated.types import Unset
from ._resources import AsyncResources, Resources

DEFAULT_TIMEOUT_S = 30.0
DEFAULT_MAX_RETRIES = 2
RETRY_STATUSES = frozenset({429, 502, 503, 504})
RETRY_AFTER_MAX_S = 60.0
BACKOFF_S = (0.5, 8.0)


def plain(value: Any) -> Any:
    """A value as JSON: models, times and identifiers become what the API reads; what is not set is left out."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items() if not isinstance(one, Unset)}
    if isinstance(value, (list, tuple, set)):
        return [plain(one) for one in value]
    if isinstance(value, (datetime.datetime, datetime.date)):
        if isinstance(value, datetime.datetime) and value.tzinfo is None:
            raise ValueError("a time needs its zone: datetime.now(timezone.utc)")
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    return value


def _query(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: plain(one) for name, one in values.items() if one is not None and not isinstance(one, Unset)}
    return {name: str(one).lower() if isinstance(one, bool) else one for name, one in known.items()}


def _retry_after_s(headers: httpx.Headers) -> float | None:
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _failure(response: httpx.Response) -> Exception:
    try:
        body = response.json()
    except ValueError:
        body = None
    return error_of(response.status_code, body, response.headers.get("x-request-id"), _retry_after_s(response.headers))


def _tell_warnings(response: httpx.Response) -> None:
    """What was saved although it will not work as it stands, as warnings of Python."""
    if b'"warnings"' not in response.content:
        return
    try:
        told = response.json().get("warnings")
    except (ValueError, AttributeError):
        return
    for text in told if isinstance(told, list) else []:
        warnings.warn(str(text), TrunklineWarning, stacklevel=4)


def _may_pass(response: httpx.Response | None) -> bool:
    """Whether another attempt may succeed: no answer, too busy, or an earlier attempt is still being answered."""
    if response is None or response.status_code in RETRY_STATUSES:
        return True
    return response.status_code == 409 and b"idempotency_key_in_use" in response.content


def _pause_s(attempt: int, response: httpx.Response | None) -> float | None:
    """Seconds before the next attempt; None if the server asks for more patience than we have."""
    asked = _retry_after_s(response.headers) if response is not None else None
    if asked is not None:
        return asked if asked <= RETRY_AFTER_MAX_S else None
    first, longest = BACKOFF_S
    return float(min(first * 2**attempt, longest) * random.uniform(0.75, 1.0))


class _Settings:
    """What both clients are made with."""

    def __init__(self, api_key: str | None, base_url: str | None, max_retries: int) -> None:
        key = api_key or os.environ.get("TRUNKLINE_API_KEY")
        if not key:
            raise ValueError("an API key is needed: api_key or the environment variable TRUNKLINE_API_KEY")
        address = base_url or os.environ.get("TRUNKLINE_URL") or "http://127.0.0.1:3008"
        self.base_url = address.rstrip("/")
        self.headers = {"authorization": f"Bearer {key}", "user-agent": "trunkline-python"}
        self.max_retries = max_retries


def _request(
    method: str, json: Any, query: Mapping[str, Any], headers: Mapping[str, Any], keyed: bool
) -> tuple[dict[str, Any], bool]:
    """The arguments of a request, and whether it may be repeated: a POST only if a key makes it happen once."""
    sent = {name: str(one) for name, one in headers.items() if one is not None and not isinstance(one, Unset)}
    if keyed and "idempotency-key" not in sent:
        sent["idempotency-key"] = str(uuid.uuid4())
    arguments: dict[str, Any] = {"method": method, "params": _query(query), "headers": sent}
    if json is not None:
        arguments["json"] = plain(json)
    return arguments, method != "POST" or "idempotency-key" in sent


class Trunkline(Resources):
    """A client. Use it as a context manager, or ``close`` it.

    ``api_key`` and ``base_url`` default to the environment variables ``TRUNKLINE_API_KEY`` and ``TRUNKLINE_URL``. Failed
    connections, 429, 502, 503 and 504 are tried again ``max_retries`` times; requests that create something carry an
    ``Idempotency-Key``, so that they are carried out once. ``http_client`` is for proxies and certificates of your own.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: httpx.Client | None = None,
    ) -> None:
        self._settings = _Settings(api_key, base_url, max_retries)
        self._http = http_client or httpx.Client(timeout=timeout_s)
        super().__init__(self)

    def __enter__(self) -> Trunkline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        keyed: bool = False,
    ) -> httpx.Response:
        """Any request of the API, such as ``request("GET", "/v1/agents")``; raises what the methods raise."""
        arguments, repeatable = _request(method, json, query or {}, headers or {}, keyed)
        arguments["headers"] = {**self._settings.headers, **arguments["headers"]}
        url = self._settings.base_url + path
        for attempt in range(self._settings.max_retries + 1):
            response, cause = None, None
            try:
                response = self._http.request(url=url, **arguments)
                if response.is_success:
                    if method != "GET":
                        _tell_warnings(response)
                    return response
            except httpx.TransportError as error:
                cause = error
            again = repeatable and _may_pass(response)
            pause_s = _pause_s(attempt, response) if again and attempt < self._settings.max_retries else None
            if pause_s is None:
                raise _failure(response) if response is not None else ConnectionFailedError(str(cause)) from cause
            time.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")


class AsyncTrunkline(AsyncResources):
    """The same client for asyncio: ``await client.calls.get(id)``, ``async for call in client.calls.list()``."""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._settings = _Settings(api_key, base_url, max_retries)
        self._http = http_client or httpx.AsyncClient(timeout=timeout_s)
        super().__init__(self)

    async def __aenter__(self) -> AsyncTrunkline:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        keyed: bool = False,
    ) -> httpx.Response:
        """Any request of the API, such as ``await request("GET", "/v1/agents")``."""
        arguments, repeatable = _request(method, json, query or {}, headers or {}, keyed)
        arguments["headers"] = {**self._settings.headers, **arguments["headers"]}
        url = self._settings.base_url + path
        for attempt in range(self._settings.max_retries + 1):
            response, cause = None, None
            try:
                response = await self._http.request(url=url, **arguments)
                if response.is_success:
                    if method != "GET":
                        _tell_warnings(response)
                    return response
            except httpx.TransportError as error:
                cause = error
            again = repeatable and _may_pass(response)
            pause_s = _pause_s(attempt, response) if again and attempt < self._settings.max_retries else None
            if pause_s is None:
                raise _failure(response) if response is not None else ConnectionFailedError(str(cause)) from cause
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")
