// The calls before and after one in the list that it was opened from.

import { type Call, get, query } from "./api";

export type CallFilter = Record<string, string | undefined>;

export interface Neighbours {
  newer: string | null;
  older: string | null;
}

/** Midnight of a day in this browser's time zone or in UTC, or of the day after. */
export function midnight(day: string, plus = 0, utc = false): string | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day);
  if (!match) return undefined;
  const [year, month, date] = [Number(match[1]), Number(match[2]) - 1, Number(match[3]) + plus];
  return (utc ? new Date(Date.UTC(year, month, date)) : new Date(year, month, date)).toISOString();
}

/** What the address says about a list of calls, as the API takes it. */
export function filterOf(of: (name: string) => string): CallFilter {
  const utc = of("zone") === "utc";
  return {
    q: of("q"), number: of("number"), status: of("status"), direction: of("direction"), agent_id: of("agent"), task_id: of("task"), batch_id: of("batch"), end_reason: of("reason"), provider: of("provider"), success: of("success"),
    started_after: midnight(of("from"), 0, utc), started_before: midnight(of("to"), 1, utc),
  };
}

/** Of calls that began in one millisecond some may be passed over. */
export async function neighboursOf(call: Pick<Call, "id" | "started_at">, filter: CallFilter): Promise<Neighbours> {
  const older = get<{ calls: Call[] }>(`/calls${query({ ...filter, before: call.id, limit: 1 })}`);
  const since = { ...filter, started_after: call.started_at };
  const { total } = await get<{ total: number }>(`/calls${query({ ...since, limit: 1 })}`);
  const newer = total > 1 ? (await get<{ calls: Call[] }>(`/calls${query({ ...since, limit: 2, offset: total - 2 })}`)).calls : [];
  const at = newer.findIndex((one) => one.id === call.id);
  return { newer: newer[at - 1]?.id ?? null, older: (await older).calls[0]?.id ?? null };
}
