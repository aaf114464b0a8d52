"""The client against a server of this file's own, which answers as told."""

import asyncio
import json
import unittest
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from unittest import mock

import trunkline
from trunkline import AsyncTrunkline, Trunkline, _client, models


class Script:
    """Answers requests one by one, and remembers them."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.requests.append((self.command, self.path, headers, json.loads(body) if body else None))
                status, headers, document = script.answers.pop(0)
                if status == 0:
                    self.close_connection = True
                    return
                data = json.dumps(document).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


EXECUTED = {"call_id": "17a0cb75-fa09-4bdd-9a44-92a70d829c88", "message": "Call initiated"}
REFUSED = {
    "error": "`name` is required",
    "details": {"code": "invalid_field", "field": "name", "faults": [{"field": "name", "message": "is required"}]},
}


def key(identifier):
    at = "2026-03-27T12:00:00.000Z"
    return {"id": identifier, "name": "a", "prefix": "va_1", "created_at": at}


def keys(*identifiers):
    return {"api_keys": [key(one) for one in identifiers], "total": 3, "limit": 2, "offset": 0}


def call():
    return {"id": A, "direction": "inbound", "from_number": "+31612345678", "to_number": "+31201234567",
            "status": "completed", "task_id": None, "signalling": None}


def status_update(message):
    return {"type": "status-update", "message_id": message, "timestamp": "2026-03-27T12:00:00.000Z", "call": call(),
            "assistant": None, "status": "ended", "end_reason": "customer_hung_up"}


def task_event(message):
    return {"event_type": "call_completed", "message_id": message, "task_id": B, "call_id": A, "status": "completed",
            "data": {"transcript_excerpt": "", "report_excerpt": ""}}


def events(identifier, *entries):
    return {"call_id": identifier, "events": entries, "total": 3, "limit": 2, "offset": 0}


A, B, C = (f"17a0cb75-fa09-4bdd-9a44-00000000000{n}" for n in (1, 2, 3))


class Attempts(unittest.TestCase):
    def setUp(self):
        patch = mock.patch.object(_client, "BACKOFF_S", (0.001, 0.001))
        patch.start()
        self.addCleanup(patch.stop)

    def client(self, *answers, **more):
        self.script = Script(*answers)
        self.addCleanup(self.script.server.server_close)
        self.addCleanup(self.script.server.shutdown)
        client = Trunkline("va_k", self.script.url + "/", **more)
        self.addCleanup(client.close)
        return client

    def test_a_repeated_request_has_the_same_key(self):
        client = self.client((503, {}, {}), (0, {}, {}), (200, {}, EXECUTED))
        self.assertEqual(client.tasks.execute(A).message, "Call initiated")
        sent = [headers["idempotency-key"] for _, _, headers, _ in self.script.requests]
        self.assertEqual((len(sent), len(set(sent))), (3, 1))
        self.assertEqual(self.script.requests[0][:2], ("POST", f"/v1/tasks/{A}/execute"))
        self.assertEqual(self.script.requests[0][2]["authorization"], "Bearer va_k")

    def test_events_of_a_call_are_of_their_types_and_paged_by_their_message(self):
        client = self.client((200, {}, events(A, status_update(B), task_event(C))), (200, {}, events(A)))
        first, second = client.calls.list_events(A, page_size=2)
        self.assertIsInstance(first, models.StatusUpdate)
        self.assertEqual((first.status, str(first.call.id)), ("ended", A))
        self.assertIsInstance(second, models.TaskEvent)
        self.assertEqual((second.event_type, str(second.message_id)), ("call_completed", C))
        self.assertEqual(self.script.requests[1][1], f"/v1/calls/{A}/events?limit=2&before={C}")

    def test_an_own_key_is_sent(self):
        client = self.client((200, {}, EXECUTED))
        client.tasks.execute(A, idempotency_key="mine")
        self.assertEqual(self.script.requests[0][2]["idempotency-key"], "mine")

    def test_an_attempt_that_is_still_answered_is_waited_for(self):
        client = self.client((409, {}, {"error": "x", "details": {"code": "idempotency_key_in_use"}}), (200, {}, EXECUTED))
        client.tasks.execute(A)
        self.assertEqual(len(self.script.requests), 2)

    def test_a_request_without_a_key_is_sent_once(self):
        client = self.client((503, {}, {"error": "overloaded", "details": {"code": "overloaded"}}))
        with self.assertRaises(trunkline.ServerError):
            client.api_keys.create(name="CRM")
        self.assertEqual(len(self.script.requests), 1)

    def test_attempts_end(self):
        client = self.client(*[(502, {}, {})] * 3)
        with self.assertRaises(trunkline.ServerError):
            client.agents.get(A)
        self.assertEqual(len(self.script.requests), 3)

    def test_no_server_is_a_failed_connection(self):
        client = self.client()
        self.script.server.shutdown()
        self.script.server.server_close()
        with self.assertRaises(trunkline.ConnectionFailedError):
            client.agents.get(A)

    def test_retry_after_is_kept_or_too_long(self):
        client = self.client((429, {"retry-after": "0"}, {}), (429, {"retry-after": "3600"}, {}))
        with self.assertRaises(trunkline.RateLimitedError) as caught:
            client.agents.get(A)
        self.assertEqual((caught.exception.retry_after_s, len(self.script.requests)), (3600.0, 2))

    def test_errors_name_their_field(self):
        client = self.client((400, {"x-request-id": "r"}, REFUSED))
        with self.assertRaises(trunkline.InvalidRequestError) as caught:
            client.agents.create(name="")
        error = caught.exception
        self.assertEqual((error.status, error.code, error.field, error.request_id), (400, "invalid_field", "name", "r"))
        self.assertEqual([(one.field, one.message) for one in error.faults], [("name", "is required")])
        self.assertEqual(str(error), "`name` is required (400 invalid_field)")

    def test_warnings_of_the_server_are_warnings_of_python(self):
        told = {**EXECUTED, "warnings": ["the model `x` is not there: run `trunkline models fetch`"]}
        with self.assertWarnsRegex(trunkline.TrunklineWarning, "models fetch") as caught:
            self.client((200, {}, told)).tasks.execute(A)
        self.assertTrue(caught.filename.endswith("test_client.py"), "the place is the caller's")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for none in ({**EXECUTED, "warnings": []}, {**EXECUTED, "message": 'a "warnings"'}, {**EXECUTED, "warnings": None}):
                self.client((200, {}, none)).tasks.execute(A)

    def test_lists_are_read_page_by_page(self):
        client = self.client((200, {}, keys(A, B)), (200, {}, keys(C)))
        self.assertEqual([str(one.id) for one in client.api_keys.list(page_size=2)], [A, B, C])
        self.assertEqual([path for _, path, _, _ in self.script.requests],
                         ["/v1/api-keys?limit=2", f"/v1/api-keys?limit=2&before={B}"])

    def test_values_of_a_newer_server_are_handed_on(self):
        newer = {**key(A), "scopes": ["calls:read", "moons:read"], "moon": 7}
        client = self.client((200, {}, {**keys(), "api_keys": [newer]}))
        found = client.api_keys.list().first()
        self.assertEqual((found.scopes, found.additional_properties), (["calls:read", "moons:read"], {"moon": 7}))

    def test_none_clears_and_what_is_not_given_is_not_sent(self):
        client = self.client((404, {}, {"error": "Agent not found", "details": {"code": "not_found"}}))
        with self.assertRaises(trunkline.NotFoundError):
            client.agents.update(A, voicemail_message=None, llm_config={"provider": "openai", "model": "m"}, if_match='"1"')
        method, _, headers, body = self.script.requests[0]
        self.assertEqual((method, headers["if-match"]), ("PATCH", '"1"'))
        self.assertEqual(body, {"voicemail_message": None, "llm_config": {"provider": "openai", "model": "m"}})

    def test_identifiers_cannot_lead_to_other_paths(self):
        client = self.client((404, {}, {}))
        with self.assertRaises(ValueError):
            client.agents.get("")
        with self.assertRaises(trunkline.NotFoundError):
            client.agents.get("../calls?x")
        self.assertEqual(self.script.requests[0][1], "/v1/agents/..%2Fcalls%3Fx")

    def test_asyncio_does_the_same(self):
        script = Script((503, {}, {}), (200, {}, EXECUTED), (200, {}, keys(A, B)), (200, {}, keys(C)))
        self.addCleanup(script.server.server_close)
        self.addCleanup(script.server.shutdown)

        async def run():
            async with AsyncTrunkline("va_k", script.url) as client:
                executed = await client.tasks.execute(A)
                return executed.message, [str(one.id) async for one in client.api_keys.list(page_size=2)]

        self.assertEqual(asyncio.run(run()), ("Call initiated", [A, B, C]))


if __name__ == "__main__":
    unittest.main()
