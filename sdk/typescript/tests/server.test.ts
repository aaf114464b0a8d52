// The client against a real server: TRUNKLINE_URL and TRUNKLINE_API_KEY.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AuthenticationError, InvalidRequestError, NotFoundError, Trunkline } from "trunkline-client";

const options = { skip: process.env.TRUNKLINE_URL ? false : "there is no server" };
const client = options.skip ? (undefined as unknown as Trunkline) : new Trunkline();

test("an agent lives", options, async () => {
  const agent = await client.agents.create({
    name: "From TypeScript",
    first_message: "Hello",
    llm_config: { provider: "openai", model: "gpt-4o-mini", temperature: 0.5 },
    metadata: { crm: 7 },
  });
  assert.deepEqual([agent.first_message, agent.llm_config?.temperature, agent.metadata], ["Hello", 0.5, { crm: 7 }]);
  const changed = await client.agents.update(agent.id, { first_message: null });
  assert.equal(changed.first_message, null);
  const versions: number[] = [];
  for await (const one of client.agents.listVersions(agent.id, { pageSize: 1 })) versions.push(one.version);
  assert.deepEqual(versions, [2, 1]);
  assert.equal((await client.agents.restoreVersion(agent.id, 1)).first_message, "Hello");
  await client.agents.delete(agent.id);
});

test("refusals name the field", options, async () => {
  const wrong = client.agents.create({ name: "A", max_duration_seconds: 1 });
  await assert.rejects(wrong, (error) => error instanceof InvalidRequestError && error.field === "max_duration_seconds");
  await assert.rejects(client.calls.get(crypto.randomUUID()), NotFoundError);
  await assert.rejects(new Trunkline({ apiKey: "va_wrong" }).agents.list().first(), AuthenticationError);
});

test("lists end", options, async () => {
  const made = await Promise.all([1, 2, 3].map((n) => client.agents.create({ name: `A ${n}` })));
  const ids: string[] = [];
  for await (const agent of client.agents.list({ pageSize: 2 })) ids.push(agent.id);
  assert.ok(made.every((agent) => ids.includes(agent.id)));
  assert.equal(ids.length, new Set(ids).size);
  assert.equal(ids.length, (await client.agents.list().firstPage()).total);
  await Promise.all(made.map((agent) => client.agents.delete(agent.id)));
});

test("paths can be asked without methods", options, async () => {
  const { data, response } = await client.raw.GET("/v1/usage", { params: { query: {} } });
  assert.equal(response.status, 200);
  assert.equal(typeof data?.total.calls, "number");
});
