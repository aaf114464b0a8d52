import createClient, { type Client } from "openapi-fetch";
import { type ClientOptions, Core } from "./core.js";
import { Resources } from "./resources.js";
import type { paths } from "./schema.js";

export type { ClientOptions, ConditionalOptions, KeyedOptions, RequestOptions } from "./core.js";
export * from "./errors.js";
export { type Page, Pages } from "./pages.js";
export type { Schemas } from "./resources.js";
export * as webhooks from "./webhooks.js";

/**
 * A client. Failed connections, 429, 502, 503 and 504 are tried again; requests that create something carry an
 * `Idempotency-Key`, so that they are carried out once.
 */
export class Trunkline extends Resources {
  /** Every path of the API as it is, without attempts and exceptions: `client.raw.GET("/v1/agents")`. */
  readonly raw: Client<paths>;

  constructor(options: ClientOptions = {}) {
    const core = new Core(options);
    super(core);
    this.raw = createClient<paths>({ baseUrl: core.baseUrl, headers: core.headers });
  }
}
