// Live data: loaded once, and reloaded whenever a call of the organization changes.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

type Listener = () => void;
const listeners = new Set<Listener>();
/** Everything on the page that was loaded: reloaded once the server is back. */
const loads = new Set<Listener>();
let socket: WebSocket | null = null;
let again = 0;
let wanted = false;
/** Calls change several times within a moment. */
const SETTLE_MS = 150;
const AGAIN_MIN_MS = 500;
const AGAIN_MAX_MS = 15_000;
let wait = AGAIN_MIN_MS;
let settling = 0;
let connected = false;
/** Whether the connection was lost since the last time. */
let lost = false;
const states = new Set<(connected: boolean) => void>();

function notifyListeners() {
  clearTimeout(settling);
  settling = window.setTimeout(() => {
    for (const listener of listeners) listener();
  }, SETTLE_MS);
}

function setConnected(now: boolean) {
  if (connected === now) return;
  connected = now;
  for (const state of states) state(now);
}

function open() {
  const url = new URL("/ws/events", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data as string) as { type: string };
    if (message.type === "connected") {
      wait = AGAIN_MIN_MS;
      setConnected(true);
      if (lost) for (const load of loads) load();
      lost = false;
    }
    // Reload what was missed while disconnected.
    notifyListeners();
  });
  socket.addEventListener("close", () => {
    socket = null;
    lost = true;
    setConnected(false);
    if (!wanted) return;
    again = window.setTimeout(open, wait);
    wait = Math.min(wait * 2, AGAIN_MAX_MS);
  });
}

/** Subscribes to the organization's events; returns the unsubscribe function. */
export function subscribe(): () => void {
  wanted = true;
  if (!socket) open();
  addEventListener("online", hurry);
  return () => {
    wanted = false;
    removeEventListener("online", hurry);
    clearTimeout(again);
    socket?.close();
  };
}

function hurry() {
  if (!wanted || socket) return;
  clearTimeout(again);
  wait = AGAIN_MIN_MS;
  open();
}

/** Whether events come in. */
export function useConnected(): boolean {
  const [now, set] = useState(connected);
  useEffect(() => {
    states.add(set);
    set(connected);
    return () => void states.delete(set);
  }, []);
  return now;
}

export interface Loaded<T> {
  data: T | null;
  error: Error | null;
  reload: () => void;
}

/** Loads at once, when `deps` change, when calls change (`live`), and every `everyMs`. */
export function useLoad<T>(
  load: () => Promise<T>,
  deps: unknown[],
  { live = false, everyMs = 0 }: { live?: boolean; everyMs?: number } = {},
): Loaded<T> {
  const [state, set] = useState<{ data: T | null; error: Error | null }>({ data: null, error: null });
  const turn = useRef(0);
  const reload = useCallback(() => {
    const mine = ++turn.current;
    load().then(
      (data) => mine === turn.current && set({ data, error: null }),
      (error: Error) => mine === turn.current && set((before) => ({ ...before, error })),
    );
  }, deps);
  useEffect(() => {
    reload();
    loads.add(reload);
    if (live) listeners.add(reload);
    const timer = everyMs ? window.setInterval(reload, everyMs) : 0;
    return () => {
      turn.current++;
      listeners.delete(reload);
      loads.delete(reload);
      clearInterval(timer);
    };
  }, [reload]);
  return { ...state, reload };
}
