// The transcript of a call or chat that goes on, as it grows, and the commands that it is given.

import { useEffect, useState } from "preact/hooks";
import { type CallControl, type Turn, get } from "./api";

export type LiveTurn = Turn & { position: number | null; is_final: boolean };

/** What the WebSocket of a call sends. */
interface Message {
  type: string;
  data: { transcript: LiveTurn[]; status: string; end_reason: string | null } & CallControl;
}

export interface LiveTurns {
  turns: LiveTurn[];
  controls: CallControl[];
  /** Why the call ended, once it has. */
  over: string | null;
}

const AGAIN_MS = 1_000;
/** The server closes with it when the call is over. */
const NORMAL = 1000;

/** Follows a call; a lost connection is made again, and nothing is missed. */
export function useTurns(id: string | null, going: boolean): LiveTurns {
  const [state, set] = useState<LiveTurns>({ turns: [], controls: [], over: null });
  useEffect(() => {
    if (!going || !id) return;
    const known = new Map<number, LiveTurn>();
    let controls: CallControl[] = [];
    let over: string | null = null;
    let socket: WebSocket | null = null;
    let timer = 0;
    let left = false;
    const again = () => {
      if (!left && over === null) timer = window.setTimeout(connect, AGAIN_MS);
    };
    const take = ({ type, data }: Message) => {
      let interim: LiveTurn | null = null;
      if (type === "call_control") controls = [...controls, data];
      else if (type === "call_status_update" && ["completed", "failed"].includes(data.status)) over = data.end_reason ?? data.status;
      else if (type === "transcript_update") {
        for (const turn of data.transcript) {
          if (turn.position === null) interim = { ...turn, started_at_ms: 0, ended_at_ms: 0, interrupted: false, confidence: null };
          else known.set(turn.position, turn);
        }
      } else return;
      const all = [...known].sort(([a], [b]) => a - b).map(([, turn]) => turn);
      set({ turns: interim ? [...all, interim] : all, controls, over });
    };
    const connect = () => {
      get<{ temp_token: string }>(`/calls/${id}/live`).then(({ temp_token }) => {
        if (left) return;
        const url = new URL(`/ws/calls/${id}`, location.href);
        url.protocol = url.protocol.replace("http", "ws");
        url.searchParams.set("session_token", temp_token);
        socket = new WebSocket(url);
        socket.addEventListener("message", ({ data }) => take(JSON.parse(data as string) as Message));
        socket.addEventListener("close", ({ code }) => code !== NORMAL && again());
      }, again);
    };
    set({ turns: [], controls: [], over: null });
    connect();
    return () => {
      left = true;
      clearTimeout(timer);
      socket?.close();
    };
  }, [id, going]);
  return state;
}
