/** Base of all errors of this package. */
export class TrunklineError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No complete answer came: no connection, or none in time. */
export class ConnectionFailedError extends TrunklineError {}

/** A message does not come from who knows the secret, or it is too old. */
export class WebhookVerificationError extends TrunklineError {}

/** A field that is wrong. */
export interface FieldFault {
  /** Path of the field, such as `llm_config.tools[0].url`. */
  field: string;
  /** What is wrong with it. */
  message: string;
}

interface Refusal {
  error?: string;
  details?: { code?: string; field?: string; faults?: FieldFault[]; [name: string]: unknown };
}

/** The server refused the request. */
export class APIError extends TrunklineError {
  /** The same as the message, for programs. */
  readonly details: NonNullable<Refusal["details"]>;
  /** The reason, such as `invalid_field` or `not_found`. */
  readonly code: string;
  /** The first field that is wrong. */
  readonly field: string | undefined;
  /** Every field that is wrong. */
  readonly faults: FieldFault[];

  constructor(
    /** HTTP status. */
    readonly status: number,
    body: unknown,
    /** Identifies the request in the server's log. */
    readonly requestId: string | undefined,
    /** Seconds to wait before the next attempt, if the server says so. */
    readonly retryAfterSeconds: number | undefined,
  ) {
    const refusal = (typeof body === "object" && body !== null ? body : {}) as Refusal;
    super(refusal.error ?? `status ${status}`);
    this.details = refusal.details ?? {};
    this.code = this.details.code ?? "";
    this.field = this.details.field;
    this.faults = this.details.faults ?? [];
  }
}

/** 400, 413, 415, 422: the request is wrong; `field` and `faults` say where. */
export class InvalidRequestError extends APIError {}
/** 401: no API key, or one that is not valid. */
export class AuthenticationError extends APIError {}
/** 403: the key may not do this, or a quota is reached. */
export class PermissionDeniedError extends APIError {}
/** 404: there is none, or it is another organization's. */
export class NotFoundError extends APIError {}
/** 409: the request contradicts another one. */
export class ConflictError extends APIError {}
/** 412: the document has changed since the state that `ifMatch` names. */
export class PreconditionFailedError extends APIError {}
/** 429: too many requests; `retryAfterSeconds` says when to go on. */
export class RateLimitedError extends APIError {}
/** 5xx: the server or something that it needs does not work. */
export class ServerError extends APIError {}

const BY_STATUS = new Map<number, typeof APIError>([
  [401, AuthenticationError],
  [403, PermissionDeniedError],
  [404, NotFoundError],
  [409, ConflictError],
  [412, PreconditionFailedError],
  [429, RateLimitedError],
]);

/** The error for a status. */
export function errorOf(...refused: ConstructorParameters<typeof APIError>): APIError {
  const [status] = refused;
  const kind = BY_STATUS.get(status) ?? (status >= 500 ? ServerError : InvalidRequestError);
  return new kind(...refused);
}
