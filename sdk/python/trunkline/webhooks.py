"""Webhooks: who sent them, and what they say.

    event = webhooks.unwrap(body, headers, secret)
    if isinstance(event, models.EndOfCallReport):
        ...

The signature is that of Standard Webhooks (standardwebhooks.com). Verify the body as it came, before it is parsed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Union

from ._errors import TrunklineError
from ._generated import models

Event = Union[
    models.AssistantRequest,
    models.ToolCallsMessage,
    models.StatusUpdate,
    models.AgentChanged,
    models.EndOfCallReport,
    models.TaskEvent,
]

TOLERANCE_S = 300
"""Seconds that a message may be older or newer than our clock."""

_BY_TYPE: dict[str, Any] = {
    "assistant-request": models.AssistantRequest,
    "tool-calls": models.ToolCallsMessage,
    "status-update": models.StatusUpdate,
    "agent-changed": models.AgentChanged,
    "end-of-call-report": models.EndOfCallReport,
}


class WebhookVerificationError(TrunklineError):
    """The message does not come from who knows the secret, or it is too old."""


def verify(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance_s: int = TOLERANCE_S,
    now_s: float | None = None,
) -> None:
    """Raises :class:`WebhookVerificationError` unless the body was signed with the secret a short while ago.

    While you change a secret, give both: a message that is signed with either is taken. ``headers`` may have names in any case.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    keys = [_key(one) for one in secrets if one]
    if not keys:
        raise ValueError("there is no secret")
    lower = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = lower.get("webhook-id"), lower.get("webhook-timestamp")
    signatures = lower.get("webhook-signature")
    if not message_id or not timestamp or not signatures:
        raise WebhookVerificationError("webhook-id, webhook-timestamp or webhook-signature is missing")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        raise WebhookVerificationError("webhook-timestamp is not a number")
    age_s = (time.time() if now_s is None else now_s) - int(timestamp)
    if abs(age_s) > tolerance_s:
        raise WebhookVerificationError("the message is too old" if age_s > 0 else "the message is from the future")
    data = body.encode() if isinstance(body, str) else body
    signed = b".".join([message_id.encode(), timestamp.encode(), data])
    wanted = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]
    # Every pair is compared, in constant time.
    fits = False
    for signature in signatures.split(" "):
        version, _, text = signature.partition(",")
        if version == "v1":
            for one in wanted:
                fits |= hmac.compare_digest(one, text.encode())
    if not fits:
        raise WebhookVerificationError("no signature fits")


def parse(body: bytes | str) -> Event:
    """Reads a message without asking who sent it. Raises :class:`ValueError` for what is no message."""
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("the message is not an object")
    if "event_type" in document:
        return models.TaskEvent.from_dict(document)
    kind = _BY_TYPE.get(document.get("type", ""))
    if kind is None:
        raise ValueError(f"unknown event {document.get('type')!r}")
    event: Event = kind.from_dict(document)
    return event


def unwrap(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance_s: int = TOLERANCE_S,
    now_s: float | None = None,
) -> Event:
    """Verifies a message and reads it."""
    verify(body, headers, secret, tolerance_s=tolerance_s, now_s=now_s)
    return parse(body)


def _key(secret: str) -> bytes:
    """The key of a secret: base64 in either alphabet behind ``whsec_``, else the secret's own bytes."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    text = secret[len("whsec_") :].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("the secret behind whsec_ is not base64") from error
