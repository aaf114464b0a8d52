import { ConnectionFailedError, errorOf } from "./errors.js";

/** What each method takes beside its own options. */
export interface RequestOptions {
  /** Ends the request. */
  signal?: AbortSignal;
}

/** Of methods that create something. */
export interface KeyedOptions extends RequestOptions {
  /** A name for this request, such as a UUID: repeated with it, it is carried out once. By default each call has a new one. */
  idempotencyKey?: string;
}

/** Of methods that change something. */
export interface ConditionalOptions extends RequestOptions {
  /** The ETag of the state that this change was made from; refused if the document has changed since. */
  ifMatch?: string;
}

/** What a client is made with. */
export interface ClientOptions {
  /** An API key, `va_…`; by default the environment variable `TRUNKLINE_API_KEY`. */
  apiKey?: string;
  /** Address of the server; by default the environment variable `TRUNKLINE_URL`, or else `http://127.0.0.1:3008`. */
  baseUrl?: string;
  /** Milliseconds that one attempt may take; 30,000 by default. */
  timeoutMs?: number;
  /** Attempts after the first one; 2 by default. */
  maxRetries?: number;
  /** Hears what the server says of something that it has saved and that will not work as it stands; by default the console. */
  onWarning?: (text: string) => void;
  /** In place of the global `fetch`. */
  fetch?: typeof fetch;
}

interface Request {
  query?: Record<string, unknown>;
  body?: unknown;
  /** Whether an `Idempotency-Key` makes it happen once. */
  keyed?: boolean;
  options?: KeyedOptions & ConditionalOptions;
}

const RETRY_STATUSES = new Set([429, 502, 503, 504]);
const RETRY_AFTER_MAX_S = 60;
const BACKOFF_MS = { first: 500, longest: 8_000 };

const environment = (name: string): string | undefined => globalThis.process?.env?.[name];

/** A part of a path: an empty one, or dots, would be another path. */
export function part(value: string | number): string {
  const text = encodeURIComponent(value);
  if (text === "" || text === "." || text === "..") throw new TypeError("an identifier must not be empty");
  return text;
}

/** The JSON of an answer. */
export const json = (response: Response): Promise<unknown> => response.json();

function retryAfterSeconds(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const seconds = Number(text);
  const wait = Number.isFinite(seconds) ? seconds : (Date.parse(text) - Date.now()) / 1_000;
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

async function failure(response: Response): Promise<Error> {
  const body: unknown = await response.json().catch(() => undefined);
  const id = response.headers.get("x-request-id") ?? undefined;
  return errorOf(response.status, body, id, retryAfterSeconds(response.headers));
}

/** What was saved although it will not work as it stands. */
async function warnings(response: Response): Promise<string[]> {
  const text = await response.clone().text();
  if (!text.includes('"warnings"')) return [];
  try {
    const told = (JSON.parse(text) as { warnings?: unknown }).warnings;
    return Array.isArray(told) ? told.map(String) : [];
  } catch {
    return [];
  }
}

/** Whether another attempt may succeed: too busy, or an earlier attempt is still being answered. */
async function mayPass(response: Response): Promise<boolean> {
  if (RETRY_STATUSES.has(response.status)) return true;
  return response.status === 409 && (await response.clone().text()).includes("idempotency_key_in_use");
}

/** Milliseconds before the next attempt; undefined if the server asks for more patience than we have. */
function pauseMs(attempt: number, response: Response | undefined): number | undefined {
  const asked = response && retryAfterSeconds(response.headers);
  if (asked !== undefined) return asked <= RETRY_AFTER_MAX_S ? asked * 1_000 : undefined;
  return Math.min(BACKOFF_MS.first * 2 ** attempt, BACKOFF_MS.longest) * (0.75 + Math.random() / 4);
}

function address(base: string, path: string, query: Record<string, unknown>): string {
  const url = new URL(base.replace(/\/+$/, "") + path);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
  }
  return url.href;
}

/** Sends requests: address, key, deadline, attempts. */
export class Core {
  readonly baseUrl: string;
  readonly headers: Record<string, string>;
  private readonly fetch: typeof fetch;
  private readonly onWarning: (text: string) => void;
  private readonly timeoutMs: number;
  private readonly maxRetries: number;

  constructor(options: ClientOptions) {
    const key = options.apiKey ?? environment("TRUNKLINE_API_KEY");
    if (!key) throw new TypeError("an API key is needed: apiKey or the environment variable TRUNKLINE_API_KEY");
    this.baseUrl = options.baseUrl ?? environment("TRUNKLINE_URL") ?? "http://127.0.0.1:3008";
    this.headers = { authorization: `Bearer ${key}` };
    this.fetch = options.fetch ?? globalThis.fetch;
    this.onWarning = options.onWarning ?? ((text) => console.warn(`trunkline: ${text}`));
    this.timeoutMs = options.timeoutMs ?? 30_000;
    this.maxRetries = options.maxRetries ?? 2;
  }

  async request(method: string, path: string, request: Request): Promise<Response> {
    const { idempotencyKey, ifMatch, signal } = request.options ?? {};
    const headers: Record<string, string> = { ...this.headers };
    const key = idempotencyKey ?? (request.keyed ? crypto.randomUUID() : undefined);
    if (key !== undefined) headers["idempotency-key"] = key;
    if (ifMatch !== undefined) headers["if-match"] = ifMatch;
    const init: RequestInit = { method, headers };
    if (request.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(request.body);
    }
    const url = address(this.baseUrl, path, request.query ?? {});
    // A POST is repeated only if a key makes it happen once.
    const response = await this.attempts(url, init, method !== "POST" || key !== undefined, signal);
    if (method !== "GET") (await warnings(response)).forEach(this.onWarning);
    return response;
  }

  private async attempts(url: string, init: RequestInit, repeatable: boolean, signal?: AbortSignal): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      let response: Response | undefined;
      let cause: unknown;
      const deadline = AbortSignal.timeout(this.timeoutMs);
      try {
        response = await this.fetch(url, { ...init, signal: signal ? AbortSignal.any([signal, deadline]) : deadline });
        if (response.ok) return response;
      } catch (error) {
        signal?.throwIfAborted();
        cause = error;
      }
      const again = repeatable && attempt < this.maxRetries && (response === undefined || (await mayPass(response)));
      const pause = again ? pauseMs(attempt, response) : undefined;
      if (pause === undefined) {
        throw response ? await failure(response) : new ConnectionFailedError(`no answer from ${url}`, { cause });
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
