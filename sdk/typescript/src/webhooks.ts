import { createHmac, timingSafeEqual } from "node:crypto";
import { WebhookVerificationError } from "./errors.js";
import type { Schemas } from "./resources.js";

/** What the server sends; `type` tells the messages of agents apart, `event_type` those of tasks. */
export type WebhookEvent =
  | Schemas["AssistantRequest"]
  | Schemas["ToolCallsMessage"]
  | Schemas["StatusUpdate"]
  | Schemas["AgentChanged"]
  | Schemas["EndOfCallReport"];

/** Headers of a request, as Node, Express or the Fetch API have them. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/** How a message is verified. */
export interface VerifyOptions {
  /** Seconds that a message may be older or newer than our clock; 300 by default. */
  toleranceSeconds?: number;
  /** Our clock, Unix time in seconds. */
  nowSeconds?: number;
}

function header(headers: WebhookHeaders, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return Array.isArray(found) ? found[0] : found;
}

/** The key of a secret: base64 in either alphabet behind `whsec_`, else the secret's own bytes. */
function keyOf(secret: string): Buffer {
  if (!secret.startsWith("whsec_")) return Buffer.from(secret);
  const text = secret.slice("whsec_".length);
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw new TypeError("the secret behind whsec_ is not base64");
  return Buffer.from(text, "base64");
}

/**
 * Throws {@link WebhookVerificationError} unless the body was signed with the secret a short while ago. Give the body as
 * it came, before it is parsed. While you change a secret, give both.
 */
export function verify(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): void {
  const secrets = (typeof secret === "string" ? [secret] : secret).filter((one) => one !== "");
  if (secrets.length === 0) throw new TypeError("there is no secret");
  const [id, timestamp, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) =>
    header(headers, name),
  );
  if (!id || !timestamp || !signatures) {
    throw new WebhookVerificationError("webhook-id, webhook-timestamp or webhook-signature is missing");
  }
  if (!/^[0-9]{1,15}$/.test(timestamp)) throw new WebhookVerificationError("webhook-timestamp is not a number");
  const age = (options.nowSeconds ?? Date.now() / 1_000) - Number(timestamp);
  if (Math.abs(age) > (options.toleranceSeconds ?? 300)) {
    throw new WebhookVerificationError(age > 0 ? "the message is too old" : "the message is from the future");
  }
  const wanted = secrets.map((one) => createHmac("sha256", keyOf(one)).update(`${id}.${timestamp}.`).update(body).digest());
  let fits = false;
  for (const signature of signatures.split(" ")) {
    if (!signature.startsWith("v1,")) continue;
    const given = Buffer.from(signature.slice(3), "base64");
    for (const one of wanted) {
      if (given.length === one.length && timingSafeEqual(given, one)) fits = true;
    }
  }
  if (!fits) throw new WebhookVerificationError("no signature fits");
}

/** Reads a message without asking who sent it. */
export function parse(body: string | Uint8Array): WebhookEvent | Schemas["TaskEvent"] {
  const event: unknown = JSON.parse(typeof body === "string" ? body : Buffer.from(body).toString());
  if (typeof event !== "object" || event === null || !("type" in event || "event_type" in event)) {
    throw new TypeError("the message is not an event");
  }
  return event as WebhookEvent | Schemas["TaskEvent"];
}

/** Whether a message is a task's. */
export function isTaskEvent(event: WebhookEvent | Schemas["TaskEvent"]): event is Schemas["TaskEvent"] {
  return "event_type" in event;
}

/** Verifies a message and reads it. */
export function unwrap(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): WebhookEvent | Schemas["TaskEvent"] {
  verify(body, headers, secret, options);
  return parse(body);
}
