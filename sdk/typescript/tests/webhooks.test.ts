// Signatures of webhooks. The first is the example of the specification's own libraries.
import assert from "node:assert/strict";
import { test } from "node:test";
import { WebhookVerificationError, webhooks } from "trunkline-client";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AT = 1_614_265_330;
const BODY = '{"test": 2432232314}';
const SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const headers = (changed: Record<string, string> = {}) => ({
  "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
  "webhook-timestamp": String(AT),
  "webhook-signature": SIGNATURE,
  ...changed,
});

const check = (
  changed: { body?: string | Uint8Array; sent?: webhooks.WebhookHeaders; secret?: string | string[]; now?: number } = {},
) =>
  webhooks.verify(changed.body ?? BODY, changed.sent ?? headers(), changed.secret ?? SECRET, {
    nowSeconds: changed.now ?? AT,
  });
const refused = (why: RegExp, changed: Parameters<typeof check>[0]) =>
  assert.throws(
    () => check(changed),
    (error: unknown) => error instanceof WebhookVerificationError && why.test(error.message),
  );

test("what is signed is taken", () => {
  check();
  check({ body: Buffer.from(BODY) });
  check({ sent: new Headers(headers()) });
  check({ sent: { "Webhook-Id": headers()["webhook-id"], "Webhook-Timestamp": [String(AT)], "WEBHOOK-SIGNATURE": SIGNATURE } });
  check({ now: AT + 300 });
});

test("while a secret changes either is taken", () => {
  check({ sent: headers({ "webhook-signature": `v1,AAAA ${SIGNATURE}` }) });
  check({ secret: ["another secret", SECRET] });
  refused(/no signature fits/, { secret: ["another secret", "a third"] });
});

test("what is not signed is refused", () => {
  refused(/no signature fits/, { body: `${BODY} ` });
  refused(/no signature fits/, { secret: "another secret" });
  refused(/missing/, { sent: { "webhook-id": "a" } });
  refused(/not a number/, { sent: headers({ "webhook-timestamp": "-1" }) });
  refused(/too old/, { now: AT + 301 });
  refused(/future/, { now: AT - 301 });
  assert.throws(() => check({ secret: [] }), TypeError);
  assert.throws(() => check({ secret: "whsec_?" }), TypeError);
});

test("events are read by their type", () => {
  const event = webhooks.parse('{"type":"status-update","status":"ended"}');
  assert.ok("type" in event && event.type === "status-update" && event.status === "ended");
  assert.ok(webhooks.isTaskEvent(webhooks.parse('{"event_type":"call_started"}')));
  assert.throws(() => webhooks.parse("[]"), TypeError);
});
