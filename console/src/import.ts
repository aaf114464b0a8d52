// A list that becomes tasks, line by line: a line that was taken is never sent again, and one whose answer was lost is
// sent with the same key, so that the server makes one task of it.

import type { ApiError } from "./api";

/** Requests at once. */
const CONCURRENT_REQUESTS = 4;
/** Times that a request is sent when the server is busy. */
const ATTEMPTS_MAX = 8;
const PAUSE_MAX_MS = 30_000;

const wait = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** Whether the same request may be taken a moment later. */
const isBusy = (error: unknown) => [429, 502, 503, 504].includes((error as ApiError).status);

/** Sends again after the pause that a busy server asks for. */
export async function patiently<T>(send: () => Promise<T>, pause: (ms: number) => Promise<void> = wait): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      if (!isBusy(error) || attempt >= ATTEMPTS_MAX) throw error;
      const asked = (error as ApiError).retryAfterSeconds * 1000;
      await pause(Math.min(asked || 500 * 2 ** attempt, PAUSE_MAX_MS));
    }
  }
}

/** Names this import; pages without https have no `randomUUID`. */
export const importKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export interface LineFault {
  line: number;
  error: Error;
}

export interface ImportState {
  taken: Set<number>;
  faults: LineFault[];
}

/**
 * Sends the lines that are not taken yet. Lines of which the server says that they are wrong are reported and may be
 * mended; a lost connection or session stops the import, and what is left goes with the next try.
 */
export async function importLines(
  lines: number[],
  before: ReadonlySet<number>,
  send: (line: number) => Promise<unknown>,
  progress: (state: ImportState) => void,
  pause?: (ms: number) => Promise<void>,
): Promise<ImportState> {
  const state: ImportState = { taken: new Set(before), faults: [] };
  const queue = lines.filter((line) => !before.has(line));
  let stopped: Error | null = null;
  const work = async () => {
    for (let line = queue.shift(); line !== undefined && !stopped; line = queue.shift()) {
      const mine = line;
      await patiently(() => send(mine), pause).then(
        () => state.taken.add(mine),
        (error: Error & { status?: number }) => {
          if (error.status === 0 || error.status === 401 || isBusy(error)) stopped = error;
          else state.faults.push({ line: mine, error });
        },
      );
      progress({ taken: new Set(state.taken), faults: [...state.faults] });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_REQUESTS }, work));
  state.faults.sort((a, b) => a.line - b.line);
  if (stopped) throw stopped;
  return state;
}
