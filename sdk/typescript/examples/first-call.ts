// Creates an agent, a number and a task, calls, receives the signed webhooks, and prints the transcript:
//
//   node dist/examples/first-call.js --to +15550199 --number +31208080808
//
// TRUNKLINE_URL and TRUNKLINE_API_KEY say which server. It sends its webhooks to this program: for an address on this
// machine it needs `webhooks.allow_private = true`, which the demo has.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { type Schemas, Trunkline, webhooks } from "trunkline-client";

const { values: options } = parseArgs({
  options: {
    to: { type: "string" },
    number: { type: "string" },
    listen: { type: "string", default: "127.0.0.1:0" },
  },
});
if (!options.to || !options.number) throw new Error("--to and --number are needed");

const secret = `whsec_${randomBytes(32).toString("base64")}`;
let onReport: (report: Schemas["EndOfCallReport"]) => void;
const report = new Promise<Schemas["EndOfCallReport"]>((resolve) => (onReport = resolve));

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  try {
    const event = webhooks.unwrap(Buffer.concat(chunks), request.headers, secret);
    if ("type" in event && event.type === "status-update") console.log(`verified ${event.type}: ${event.status}`);
    if ("type" in event && event.type === "end-of-call-report") onReport(event);
    response.writeHead(204).end();
  } catch (error) {
    console.log(`refused: ${(error as Error).message}`);
    response.writeHead(401).end();
  }
});
const [host, port] = options.listen.split(":");
await new Promise<void>((resolve) => server.listen(Number(port), host, resolve));

const client = new Trunkline();
const agent = await client.agents.create({
  name: "Address check",
  system_prompt: "You ask whether the customer's address is still correct.",
  first_message: "Hello, this is Acme. Is your delivery address still correct?",
  llm_config: { provider: "openai", model: "gpt-4o-mini" },
  webhook_url: `http://${host}:${(server.address() as AddressInfo).port}/hooks`,
  webhook_secret: secret,
  webhook_events: ["status-update", "end-of-call-report"],
});
const number = await client.phoneNumbers.create({ number: options.number, agent_id: agent.id });
const task = await client.tasks.create({ agent_id: agent.id, to_number: options.to, from_number: number.number });
const { call_id } = await client.tasks.execute(task.id);
console.log(`call ${call_id}`);

const over = await report;
console.log(`verified ${over.type}: ${over.end_reason}`);
for (const turn of (await client.calls.getTranscript(call_id)).transcript) console.log(`${turn.role}: ${turn.content}`);
await client.phoneNumbers.delete(number.id);
server.close();
server.closeAllConnections();
