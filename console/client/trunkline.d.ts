/** Types of trunkline.js, the client for calls from a web page. */

export interface CallOptions {
  /** Identifier of the agent. */
  agent: string;
  /** Of `POST /api/v1/calls/web`, by your own server. */
  token: string;
  /** Origin of the Trunkline server; without it the one this module came from. */
  server?: string;
  /** `false` for listening only; a stream replaces the microphone. */
  microphone?: boolean | MediaStream;
  /** As `POST /api/v1/calls/web` answers them. */
  iceServers?: RTCIceServer[];
  /** Element that plays the agent; without it one of its own. */
  audio?: HTMLAudioElement;
}

export type CallState = "connecting" | "connected" | "reconnecting" | "ended";

export interface Turn {
  role: "user" | "assistant" | "tool" | "system";
  content: string;
  /** Place in the transcript; null while it is interim. */
  position: number | null;
  is_final: boolean;
  started_at_ms?: number;
  ended_at_ms?: number;
  /** The caller interrupted; `content` is the part that was played. */
  interrupted?: boolean;
  confidence?: number | null;
}

export interface CallEvents {
  state: CustomEvent<{ state: CallState; endReason: string | null }>;
  /** Everything said so far, in order. */
  transcript: CustomEvent<{ turns: Turn[] }>;
  /** Root mean square of both sides, 0 to 1, about 16 times a second. */
  level: CustomEvent<{ mine: number; agent: number }>;
  /** The browser wants a click before it plays sound: call `call.audio.play()`. */
  blocked: CustomEvent<Record<string, never>>;
  error: CustomEvent<{ error: Error }>;
}

export interface Call extends EventTarget {
  readonly id: string | null;
  readonly state: CallState;
  readonly endReason: string | null;
  readonly transcript: Turn[];
  readonly muted: boolean;
  readonly audio: HTMLAudioElement;
  mute(muted?: boolean): void;
  /** 0-9, *, #, A-D. */
  dtmf(digits: string): void;
  hangUp(): Promise<void>;
  getStats(): Promise<RTCStatsReport>;
  addEventListener<K extends keyof CallEvents>(type: K, listener: (event: CallEvents[K]) => void): void;
}

export class TrunklineError extends Error {
  /** `no_microphone`, `insecure_page`, `unreachable`, or the server's: `token_expired`, `too_many_calls`, … */
  readonly code: string;
  /** HTTP status of a refusal. */
  readonly status: number | null;
}

export class Trunkline {
  static call(options: CallOptions): Promise<Call>;
}
