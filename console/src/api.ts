// The REST API as the console uses it: requests are authenticated by the session cookie.

/** A field that is wrong, and why. */
export interface FieldFault {
  field: string;
  message: string;
}

export interface ApiErrorBody {
  error: string;
  details?: { code?: string; field?: string; faults?: FieldFault[]; organizations?: OrganizationChoice[] };
}

/** One of the organizations that an address and its password open. */
export interface OrganizationChoice {
  id: string;
  name: string;
  role: User["role"];
}

/** Error response of the server. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field?: string,
    readonly organizations: OrganizationChoice[] = [],
    readonly faults: FieldFault[] = [],
  ) {
    super(message);
  }
  /** Seconds after which the server would take the request; 0 if it does not say. */
  retryAfterSeconds = 0;
}

/** Called when a session has ended. */
let onLoggedOut = () => {};

export function setLoggedOutHandler(then: () => void) {
  onLoggedOut = then;
}

interface Sent {
  body?: unknown;
  headers?: Record<string, string>;
}

/** Sends a request; an answer that is not JSON is a proxy's or another server's. */
async function send(method: string, path: string, { body, headers = {} }: Sent): Promise<{ answer: unknown; etag: string | null }> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`/v1${path}`, {
      method,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    text = await response.text();
  } catch {
    throw new ApiError(0, "unreachable", "The server cannot be reached");
  }
  let answer: unknown;
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    throw new ApiError(response.status, "not_json", "The answer did not come from Trunkline. Is a proxy in front of it?");
  }
  if (!response.ok) {
    const { error, details } = answer as ApiErrorBody;
    if (response.status === 401 && !path.startsWith("/auth/") && !path.startsWith("/shared-calls/")) onLoggedOut();
    const fault = new ApiError(response.status, details?.code ?? "refused", error ?? response.statusText, details?.field, details?.organizations, details?.faults);
    fault.retryAfterSeconds = Number(response.headers.get("Retry-After")) || 0;
    throw fault;
  }
  return { answer, etag: response.headers.get("ETag") };
}

export async function request<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
  return (await send(method, path, { body, headers })).answer as T;
}

/** A document and the tag of its version. */
export type Tagged<T> = T & { etag: string | null };

export async function getTagged<T>(path: string): Promise<Tagged<T>> {
  const { answer, etag } = await send("GET", path, {});
  return { ...(answer as T), etag };
}

/** Changes the version with this tag only; without a tag, whichever there is. */
export async function patchTagged<T>(path: string, body: unknown, tag: string | null): Promise<Tagged<T>> {
  const { answer, etag } = await send("PATCH", path, { body, headers: tag ? { "If-Match": tag } : {} });
  return { ...(answer as T), etag };
}

const PAGE = 100;
/** Entries that a choice or a list that is searched in the page may have. */
export const ALL_MAX = 2_000;

/** All entries of a list, page by page. */
export async function getAll<T>(path: string, name: string): Promise<T[]> {
  const rows: T[] = [];
  for (let offset = 0; offset < ALL_MAX; offset += PAGE) {
    const page = await get<Record<string, unknown> & { total: number }>(`${path}${path.includes("?") ? "&" : "?"}limit=${PAGE}${offset ? `&offset=${offset}` : ""}`);
    rows.push(...(page[name] as T[]));
    if (rows.length >= page.total || !(page[name] as T[]).length) break;
  }
  return rows;
}

export const get = <T>(path: string) => request<T>("GET", path);
export const post = <T>(path: string, body: unknown = {}) => request<T>("POST", path, body);
export const patch = <T>(path: string, body: unknown) => request<T>("PATCH", path, body);
export const remove = (path: string) => request<unknown>("DELETE", path);

/** Query string of all values that are set. */
export function query(values: Record<string, string | number | undefined | null>): string {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(entries.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : "";
}

export interface User {
  id: string;
  organization_id: string;
  email: string;
  name: string | null;
  role: "owner" | "admin" | "member";
  created_at: string;
}

/** An invitation that nobody has taken up yet. */
export interface PendingInvitation {
  id: string;
  email: string;
  role: User["role"];
  created_at: string;
  expires_at: string;
}

export interface Organization {
  id: string;
  name: string;
  parent_org_id: string | null;
  billing_org_id: string;
  max_concurrent_calls: number | null;
  calls_per_second: number | null;
  max_minutes_per_day: number | null;
  max_spend_per_day: number | null;
  created_at: string;
}

export interface Me {
  user: User;
  organization: Organization;
}

/** Agents are documents: the console edits known fields and keeps the others. */
export interface Agent extends Record<string, unknown> {
  id: string;
  name: string;
  business_name: string | null;
  first_message: string | null;
  system_prompt: string | null;
  is_active: boolean;
  created_at: string;
  updated_at: string;
}

/** What choices and columns show of an agent. */
export type AgentName = Pick<Agent, "id" | "name">;
/** The names of agents, without their documents. */
export const AGENT_NAMES = "/agents?fields=id,name";

export interface Version {
  version: number;
  created_at: string;
  agent: Agent;
}

export interface Turn {
  role: "user" | "assistant" | "tool" | "system";
  content: string;
  started_at_ms: number;
  ended_at_ms: number;
  interrupted: boolean;
  confidence: number | null;
  /** Whose words the agent said, where they are not its own. */
  said_by?: "operator";
}

/** A command to a call from beside it. */
export interface CallControl {
  control: string;
  text: string | null;
  by: string;
  at_ms: number;
}

export interface TurnFigures {
  cost: Record<string, number>;
  model: string | null;
  voice: string | null;
  speech_ended_at_ms: number;
  response_ms: number | null;
}

/** What signalling says about the end of a call. */
export interface Signalling {
  sip_status?: number | null;
  sip_reason?: string | null;
  q850_cause?: number | null;
  reason_text?: string | null;
  problem?: string | null;
}

/** A provider that another one replaced. */
export interface Failover {
  stage?: string;
  from?: string;
  to?: string;
  why?: string;
  recovered?: boolean;
  [field: string]: unknown;
}

export interface CallMetrics extends Record<string, unknown> {
  turns?: TurnFigures[];
  media?: Record<string, number>;
  failovers?: Failover[];
  provider_errors?: Record<string, number>;
  controls?: CallControl[];
}

export interface Call {
  id: string;
  agent_id: string | null;
  task_id: string | null;
  direction: "inbound" | "outbound" | "web" | "chat";
  transport: string;
  from_number: string;
  to_number: string;
  status: "initiated" | "in_progress" | "completed" | "failed";
  end_reason: string | null;
  started_at: string;
  answered_at: string | null;
  ended_at: string | null;
  duration_seconds: number | null;
  sip_call_id: string | null;
  signalling: Signalling | null;
  transcript?: Turn[];
  summary: string | null;
  report: unknown;
  extracted_data: unknown;
  recording_available: boolean;
  metrics: CallMetrics | null;
  cost: { total?: number; currency?: string; items?: Record<string, unknown>[] } | null;
  metadata: unknown;
}

/** A SIP message of a call, without secrets. */
export interface SipMessage {
  at: string;
  direction: "received" | "sent";
  transport: string;
  local: string;
  remote: string;
  start_line: string;
  method: string;
  status: number | null;
  cseq: string;
  sip_call_id: string;
  length: number;
  cut: boolean;
  retransmissions: number;
  last_at: string;
  text: string;
}

export interface SipLog {
  call_id: string;
  /** No more messages will come. */
  complete: boolean;
  left_out: number;
  messages: SipMessage[];
}

export interface Task {
  id: string;
  agent_id: string;
  name: string | null;
  to_number: string;
  from_number: string | null;
  description: string | null;
  status: "pending" | "in_progress" | "completed" | "failed";
  failure_reason?: string;
  scheduled_at: string | null;
  priority: number;
  created_at: string;
}

export interface PhoneNumber {
  id: string;
  number: string;
  name: string | null;
  agent_id: string | null;
  trunk_id: string | null;
  created_at: string;
}

export interface Trunk extends Record<string, unknown> {
  id: string;
  name: string;
  host: string | null;
  port: number | null;
  transport: string;
  username: string | null;
  password_set: boolean;
  allowed_addresses: string[];
  codecs: string[];
  register: boolean;
  srtp: string;
  max_concurrent_calls: number | null;
  state: {
    registration: { registered: boolean; expires_at: string | null; sip_status: number | null; problem: string | null; since: string } | null;
    targets: { host: string; reachable: boolean; sip_status: number | null; latency_ms: number | null; checked_at: string }[];
  };
}

export interface Provider {
  name: string;
  key: "own" | "server" | "none" | "not_needed";
  stages: { stage: string; breaker: string; failures_in_a_row: number; retry_after_ms: number | null }[];
}

export interface Secret {
  id: string;
  name: string;
  provider: string;
  base_url: string | null;
  updated_at: string;
}

export interface ApiKey {
  id: string;
  name: string;
  prefix: string;
  scopes: string[] | null;
  expires_at: string | null;
  last_used_at: string | null;
  created_at: string;
}

export interface Delivery {
  id: string;
  call_id: string | null;
  event_type: string;
  url: string;
  status: "pending" | "delivered" | "failed";
  attempts: number;
  response_status: number | null;
  error: string | null;
  next_attempt_at: string | null;
  created_at: string;
  payload?: unknown;
}

export interface UsageDay {
  day: string;
  calls: number;
  seconds: number;
  prompt_tokens: number;
  completion_tokens: number;
  characters: number;
  cost: number;
}

export interface Usage {
  currency: string;
  from: string;
  to: string;
  usage: (UsageDay & { organization_id: string })[];
  total: Omit<UsageDay, "day">;
}

/** Sums of calls. */
export interface CallSums {
  calls: number;
  answered: number;
  failed: number;
  seconds: number;
  cost: number;
  judged: number;
  successes: number;
  cut_offs: number;
  failovers: number;
  answers: number;
  response_p50_ms: number | null;
  response_p95_ms: number | null;
}

export interface CallGroup extends CallSums {
  key: string | null;
  stage: "stt" | "llm" | "tts" | null;
}

export interface Analytics {
  from: string;
  to: string;
  currency: string;
  group_by: "day" | "agent" | "provider" | "end_reason";
  groups: CallGroup[];
  total: CallSums;
}

export interface AlertRule {
  id: string;
  name: string;
  condition: "failure_rate" | "response_p95" | "trunk_down" | "spend";
  threshold: number;
  window_minutes: number;
  calls_min: number;
  cool_down_minutes: number;
  agent_id: string | null;
  trunk_id: string | null;
  channel: "mail" | "webhook";
  email: string | null;
  webhook_url: string | null;
  webhook_secret_set: boolean;
  is_active: boolean;
  state: "firing" | "resolved";
  state_since: string;
  value: number | null;
  calls: number | null;
  evaluated_at: string | null;
  fired_at: string | null;
}

export interface AlertEvent {
  id: string;
  state: AlertRule["state"];
  value: number | null;
  calls: number | null;
  delivery_id: string;
  created_at: string;
}

/** A link that shows a call. */
export interface CallShare {
  id: string;
  url: string;
  recording: boolean;
  created_by: string;
  expires_at: string;
}

/** A call as a link shows it. */
export interface SharedCall {
  agent_name: string | null;
  direction: Call["direction"];
  started_at: string;
  duration_seconds: number | null;
  summary: string | null;
  transcript: Turn[];
  recording_available: boolean;
  expires_at: string;
}

export interface WebCall {
  call_id: string;
  agent_id: string;
  token: string;
  ice_servers: RTCIceServer[];
}

/** Demo settings for the console. */
export interface Demo {
  email: string;
  password: string;
  agent_id: string;
  /** Recorded phrases, which the emulated STT understands. */
  phrases: DemoPhrase[];
  /** What its agent may be asked; empty where it understands recorded phrases only. */
  examples: DemoPhrase[];
}

export interface DemoPhrase {
  name: string;
  text: string;
}

let demo: Promise<Demo | null> | null = null;

export function demoOf(): Promise<Demo | null> {
  demo ??= fetch("/demo").then(async (response) => (response.status === 200 ? ((await response.json()) as Demo) : null));
  return demo.catch(() => null);
}
