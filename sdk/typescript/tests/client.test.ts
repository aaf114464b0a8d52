// The client against a server of this file's own, which answers as told.
import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import {
  APIError,
  ConnectionFailedError,
  InvalidRequestError,
  NotFoundError,
  RateLimitedError,
  ServerError,
  Trunkline,
} from "trunkline-client";

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
}
interface Sent {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

const A = "17a0cb75-fa09-4bdd-9a44-000000000001";
const [B, C] = [A.replace(/1$/, "2"), A.replace(/1$/, "3")];
const EXECUTED = { status: 200, body: { call_id: A, message: "Call initiated" } };
/** "Try again at once". */
const BUSY = { status: 503, headers: { "retry-after": "0" } };
const keys = (...ids: string[]): Answer => ({
  status: 200,
  body: { api_keys: ids.map((id) => ({ id })), total: 3, limit: 2, offset: 0 },
});

async function client(...answers: Answer[]): Promise<{ client: Trunkline; sent: Sent[]; baseUrl: string }> {
  const sent: Sent[] = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    sent.push({ method: request.method!, path: request.url!, headers: request.headers, body: text && JSON.parse(text) });
    const answer = answers.shift() ?? { status: 500 };
    if (answer.status === 0) return void request.socket.destroy();
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(JSON.stringify(answer.body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => (server.close(), server.closeAllConnections()));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { client: new Trunkline({ apiKey: "va_k", baseUrl }), sent, baseUrl };
}

async function caught(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail("it was taken"),
    (error: unknown) => error,
  );
}

test("a repeated request has the same key", async () => {
  const { client: trunkline, sent } = await client(BUSY, { status: 0 }, EXECUTED);
  assert.equal((await trunkline.tasks.execute(A)).message, "Call initiated");
  assert.deepEqual([sent[0]!.method, sent[0]!.path], ["POST", `/v1/tasks/${A}/execute`]);
  assert.equal(sent[0]!.headers.authorization, "Bearer va_k");
  assert.equal(sent.length, 3);
  assert.equal(new Set(sent.map((one) => one.headers["idempotency-key"])).size, 1);
});

test("an attempt that is still answered is waited for", async () => {
  const { client: trunkline, sent } = await client(
    { status: 409, headers: { "retry-after": "0" }, body: { error: "x", details: { code: "idempotency_key_in_use" } } },
    EXECUTED,
  );
  await trunkline.tasks.execute(A, { idempotencyKey: "mine" });
  assert.deepEqual(sent.map((one) => one.headers["idempotency-key"]), ["mine", "mine"]);
});

test("a request without a key is sent once, and attempts end", async () => {
  const one = await client(BUSY);
  assert.ok((await caught(one.client.apiKeys.create({ name: "CRM" }))) instanceof ServerError);
  assert.equal(one.sent.length, 1);
  const many = await client(BUSY, BUSY, BUSY);
  assert.ok((await caught(many.client.agents.get(A))) instanceof ServerError);
  assert.equal(many.sent.length, 3);
});

test("warnings of the server are told", async () => {
  const told = { status: 200, body: { ...EXECUTED.body, warnings: ["the model is not there"] } };
  const none = { status: 200, body: { ...EXECUTED.body, message: 'a "warnings"', warnings: null } };
  const { baseUrl } = await client(told, none);
  const heard: string[] = [];
  const trunkline = new Trunkline({ apiKey: "va_k", baseUrl, onWarning: (text) => heard.push(text) });
  await trunkline.tasks.execute(A);
  await trunkline.tasks.execute(A);
  assert.deepEqual(heard, ["the model is not there"]);
});

test("no server is a failed connection", async () => {
  const trunkline = new Trunkline({ apiKey: "va_k", baseUrl: "http://127.0.0.1:1", maxRetries: 0 });
  assert.ok((await caught(trunkline.agents.get(A))) instanceof ConnectionFailedError);
});

test("retry-after is kept, or too long", async () => {
  const wait = (seconds: string) => ({ status: 429, headers: { "retry-after": seconds } });
  const { client: trunkline, sent } = await client(wait("0"), wait("3600"));
  const error = await caught(trunkline.agents.get(A));
  assert.ok(error instanceof RateLimitedError);
  assert.deepEqual([error.retryAfterSeconds, sent.length], [3600, 2]);
});

test("errors name their field", async () => {
  const faults = [{ field: "name", message: "is required" }];
  const body = { error: "`name` is required", details: { code: "invalid_field", field: "name", faults } };
  const { client: trunkline } = await client({ status: 400, headers: { "x-request-id": "r" }, body });
  const error = await caught(trunkline.agents.create({ name: "" }));
  assert.ok(error instanceof InvalidRequestError && error instanceof APIError);
  assert.deepEqual([error.status, error.code, error.field, error.requestId], [400, "invalid_field", "name", "r"]);
  assert.deepEqual([error.faults, error.message, error.name], [faults, "`name` is required", "InvalidRequestError"]);
});

test("lists are read page by page", async () => {
  const { client: trunkline, sent } = await client(keys(A, B!), keys(C!));
  const ids: string[] = [];
  for await (const key of trunkline.apiKeys.list({ pageSize: 2 })) ids.push(key.id);
  assert.deepEqual(ids, [A, B, C]);
  assert.deepEqual(sent.map((one) => one.path), ["/v1/api-keys?limit=2", `/v1/api-keys?limit=2&before=${B}`]);
});

test("a change names the state it was made from", async () => {
  const { client: trunkline, sent } = await client({ status: 404 });
  const error = await caught(trunkline.agents.update(A, { voicemail_message: null }, { ifMatch: '"1"' }));
  assert.ok(error instanceof NotFoundError);
  assert.deepEqual([sent[0]!.headers["if-match"], sent[0]!.body], ['"1"', { voicemail_message: null }]);
});

test("identifiers cannot lead to other paths", async () => {
  const { client: trunkline, sent } = await client({ status: 404 });
  assert.ok((await caught(trunkline.agents.get(""))) instanceof TypeError);
  await caught(trunkline.agents.get("../calls?x"));
  assert.equal(sent[0]!.path, "/v1/agents/..%2Fcalls%3Fx");
});

test("a request can be ended", async () => {
  const { client: trunkline } = await client(EXECUTED);
  const error = await caught(trunkline.agents.get(A, { signal: AbortSignal.abort() }));
  assert.equal((error as Error).name, "AbortError");
});

test("events of a call are told apart by their type", async () => {
  const report = { type: "end-of-call-report", message_id: B, end_reason: "customer_hung_up" };
  const task = { event_type: "call_completed", message_id: C, status: "completed" };
  const page = (...events: unknown[]): Answer => ({ status: 200, body: { call_id: A, events, total: 3, limit: 2, offset: 0 } });
  const { client: trunkline, sent } = await client(page(report, task), page());
  const seen: (string | null | undefined)[] = [];
  for await (const event of trunkline.calls.listEvents(A, { pageSize: 2 })) {
    if ("event_type" in event) seen.push(event.status);
    else if (event.type === "end-of-call-report") seen.push(event.end_reason);
  }
  assert.deepEqual(seen, ["customer_hung_up", "completed"]);
  assert.equal(sent[1]!.path, `/v1/calls/${A}/events?limit=2&before=${C}`);
});
