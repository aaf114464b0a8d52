"""The client against a real server: TRUNKLINE_URL and TRUNKLINE_API_KEY."""

import asyncio
import os
import unittest
import uuid
from datetime import datetime, timedelta, timezone

import trunkline
from trunkline import AsyncTrunkline, Trunkline, models


@unittest.skipUnless(os.environ.get("TRUNKLINE_URL"), "there is no server")
class RealServer(unittest.TestCase):
    def setUp(self):
        self.client = Trunkline()
        self.addCleanup(self.client.close)

    def agent(self, **more):
        agent = self.client.agents.create(name="From Python", **more)
        self.addCleanup(self.client.agents.delete, agent.id)
        return agent

    def test_an_agent_lives(self):
        tool = {"function": {"name": "find_order", "parameters": {"type": "object"}}, "url": "https://example.com/tools"}
        agent = self.agent(
            first_message="Hello",
            llm_config=models.LlmConfig(provider="openai", model="gpt-4o-mini", temperature=0.5),
            metadata={"crm": 7},
        )
        self.assertIsInstance(agent.id, uuid.UUID)
        self.assertIsInstance(agent.created_at, datetime)
        self.assertEqual((agent.first_message, agent.llm_config.temperature, agent.metadata["crm"]), ("Hello", 0.5, 7))
        changed = self.client.agents.update(
            agent.id, first_message=None, llm_config={"provider": "openai", "model": "gpt-4o-mini", "tools": [tool]})
        self.assertIsNone(changed.first_message)
        self.assertEqual(changed.llm_config.tools[0].function.name, "find_order")
        self.assertEqual([one.version for one in self.client.agents.list_versions(agent.id, page_size=1)], [2, 1])
        self.assertEqual(self.client.agents.restore_version(agent.id, 1).first_message, "Hello")

    def test_lists_end(self):
        made = {self.agent().id for _ in range(5)}
        pages = list(self.client.agents.list(page_size=2).pages())
        listed = [agent.id for page in pages for agent in page.items]
        self.assertLessEqual(made, set(listed))
        self.assertEqual((len(listed), len(set(listed))), (pages[0].total, pages[0].total))

    def test_a_key_makes_a_request_happen_once(self):
        agent, key = self.agent(), str(uuid.uuid4())
        tasks = [self.client.tasks.create(agent_id=agent.id, to_number="+31201234567", idempotency_key=key,
                                          scheduled_at=datetime.now(timezone.utc) + timedelta(days=300)) for _ in range(1)]
        self.assertEqual(tasks[0].status, "pending")
        same = self.client.request("POST", "/v1/agents", json={"name": "Once"}, headers={"idempotency-key": key + "2"})
        again = self.client.request("POST", "/v1/agents", json={"name": "Once"}, headers={"idempotency-key": key + "2"})
        self.assertEqual(same.json()["agent"]["id"], again.json()["agent"]["id"])
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.client.agents.delete(same.json()["agent"]["id"])
        self.client.tasks.delete(tasks[0].id)

    def test_refusals_name_the_field(self):
        with self.assertRaises(trunkline.InvalidRequestError) as caught:
            self.client.agents.create(name="A", llm_config={"provider": "acme", "model": "m"})
        self.assertEqual((caught.exception.code, caught.exception.field), ("invalid_field", "llm_config.provider"))
        with self.assertRaises(trunkline.NotFoundError):
            self.client.calls.get(uuid.uuid4())
        with Trunkline("va_wrong") as stranger, self.assertRaises(trunkline.AuthenticationError):
            stranger.agents.list().first()

    def test_everything_that_a_key_may_read_is_readable(self):
        self.assertEqual(self.client.health.get().status, "ok")
        self.assertTrue(self.client.providers.list().providers)
        self.assertIsNotNone(self.client.usage.get().total.calls)
        for entries in (self.client.calls, self.client.tasks, self.client.trunks, self.client.phone_numbers,
                        self.client.webhook_deliveries):
            for entry in entries.list(page_size=3).first_page().items:
                self.assertIsInstance(entry.id, uuid.UUID)
                self.assertEqual(entries.get(entry.id).id, entry.id)
        call = self.client.calls.list().first()
        if call is not None:
            self.assertIsNotNone(self.client.calls.get_transcript(call.id).transcript)
            self.assertIsInstance(list(self.client.calls.list_events(call.id)), list)

    def test_asyncio_reads_the_same(self):
        async def names():
            async with AsyncTrunkline() as client:
                return [agent.name async for agent in client.agents.list(page_size=2)]

        self.assertEqual(asyncio.run(names()), [agent.name for agent in self.client.agents.list()])


if __name__ == "__main__":
    unittest.main()
