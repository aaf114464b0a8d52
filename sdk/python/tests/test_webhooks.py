"""Signatures of webhooks."""

import json
import unittest

from trunkline import models, webhooks
from trunkline.webhooks import WebhookVerificationError, verify

# The example of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT_S = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers(**changed):
    sent = {"Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "Webhook-Timestamp": str(AT_S), "Webhook-Signature": SIGNATURE}
    return {**sent, **{name.replace("_", "-"): value for name, value in changed.items()}}


def check(body=BODY, sent=None, secret=SECRET, now_s=AT_S, **more):
    verify(body, sent or headers(), secret, now_s=now_s, **more)


class Signatures(unittest.TestCase):
    def refused(self, why, **arguments):
        with self.assertRaisesRegex(WebhookVerificationError, why):
            check(**arguments)

    def test_what_is_signed_is_taken(self):
        check()
        check(body=BODY.decode())
        check(now_s=AT_S + 300)
        check(secret=SECRET + "==")

    def test_while_a_secret_changes_either_is_taken(self):
        other = "v1,AAAA"
        check(sent=headers(Webhook_Signature=f"{other} {SIGNATURE}"))
        check(sent=headers(Webhook_Signature=f"v2,x {SIGNATURE}"))
        check(secret=["another secret", SECRET])
        self.refused("no signature fits", secret=["another secret", "a third"])

    def test_what_is_not_signed_is_refused(self):
        self.refused("no signature fits", body=BODY + b" ")
        self.refused("no signature fits", sent=headers(Webhook_Signature="v1,é"))
        self.refused("no signature fits", secret="another secret")
        self.refused("missing", sent={"webhook-id": "a"})
        self.refused("not a number", sent=headers(Webhook_Timestamp="-1"))
        self.refused("too old", now_s=AT_S + 301)
        self.refused("future", now_s=AT_S - 301)
        with self.assertRaises(ValueError):
            check(secret=[])
        with self.assertRaises(ValueError):
            check(secret="whsec_?")

    def test_events_are_read_by_their_type(self):
        task = {"event_type": "call_started", "task_id": "17a0cb75-fa09-4bdd-9a44-92a70d829c88",
                "call_id": "17a0cb75-fa09-4bdd-9a44-92a70d829c88", "status": "in_progress",
                "data": {"transcript_excerpt": "", "report_excerpt": ""}}
        event = webhooks.parse(json.dumps(task))
        self.assertIsInstance(event, models.TaskEvent)
        with self.assertRaises(ValueError):
            webhooks.parse(b'{"type": "unknown"}')
        with self.assertRaises(ValueError):
            webhooks.parse(b"[]")


if __name__ == "__main__":
    unittest.main()
