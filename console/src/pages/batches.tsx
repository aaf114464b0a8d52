import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Call, type Task, get, post, query, remove } from "../api";
import { reasonOf } from "../callstate";
import { save, write } from "../csv";
import { lineText } from "../errors";
import { patiently } from "../import";
import { t } from "../i18n";
import { useLoad } from "../live";
import { useListQuery } from "../router";
import { Badge, Button, Card, Checkbox, Confirm, Dialog, EmptyState, ErrorMessage, Form, Input, Link, LoadedView, Page, Pager, Table, TextArea, formatDateTime, formatNumber, useAction } from "../ui";
import { plainNumber } from "../phone";

const LIMIT = 25;
const STATUSES = ["pending", "in_progress", "completed", "failed"] as const;

interface Batch {
  /** Calls that are over, by their end reason; where one batch is asked for. */
  ended_calls?: Record<string, number>;
  id: string;
  name: string;
  status: "paused" | "running";
  tasks: Partial<Record<(typeof STATUSES)[number], number>>;
  created_at: string;
}

const countOf = (batch: Batch) => STATUSES.reduce((sum, status) => sum + (batch.tasks[status] ?? 0), 0);

type Step = "start" | "pause" | "retry";

const canStart = (batch: Batch) => batch.status === "paused" && (batch.tasks.pending ?? 0) > 0;
const canRetry = (batch: Batch) => (batch.tasks.failed ?? 0) > 0;
/** A batch of which calls were made goes on; one that has not begun starts. */
const startLabel = (batch: Batch) => (countOf(batch) > (batch.tasks.pending ?? 0) ? t("batch: resume") : t("Start"));

const retryQuestion = (running: boolean) => (running ? t("The failed tasks of this batch are called again at once.") : t("The failed tasks of this batch become pending again."));
const startQuestion = (pending: number) => `${t("Call these numbers now, or at their times:")} ${formatNumber(pending)}`;

/** Tasks in one exported file. */
const EXPORT_MAX = 10_000;
const EXPORT_PAGE = 100;

async function pages<T>(path: string, name: string): Promise<T[]> {
  const rows: T[] = [];
  for (let offset = 0; offset < EXPORT_MAX; offset += EXPORT_PAGE) {
    const page = await patiently(() => get<Record<string, unknown> & { total: number }>(`${path}&limit=${EXPORT_PAGE}&offset=${offset}`));
    rows.push(...(page[name] as T[]));
    if (!(page[name] as T[]).length || rows.length >= page.total) break;
  }
  return rows;
}

type ExportedTask = Pick<Task, "id" | "name" | "to_number" | "status" | "scheduled_at"> & { context_data: unknown };
type ExportedCall = Pick<Call, "id" | "task_id" | "started_at" | "end_reason" | "duration_seconds" | "summary">;

/** The tasks of batches with their last calls, as a file for spreadsheets. */
export async function exportBatches(batches: Pick<Batch, "id" | "name">[]) {
  const rows: (string | number | null | undefined)[][] = [];
  for (const batch of batches) {
    const tasks = await pages<ExportedTask>(`/tasks?batch_id=${batch.id}&fields=id,name,to_number,status,scheduled_at,context_data`, "tasks");
    const calls = await pages<ExportedCall>(`/calls?batch_id=${batch.id}&fields=id,task_id,started_at,end_reason,duration_seconds,summary`, "calls");
    // The newest comes first.
    const last = new Map<string, ExportedCall>();
    const attempts = new Map<string, number>();
    for (const call of calls) {
      if (!call.task_id) continue;
      if (!last.has(call.task_id)) last.set(call.task_id, call);
      attempts.set(call.task_id, (attempts.get(call.task_id) ?? 0) + 1);
    }
    for (const task of tasks) {
      const call = last.get(task.id);
      rows.push([batch.name, task.id, task.name, task.to_number, task.status, task.scheduled_at, attempts.get(task.id) ?? 0, call?.end_reason, call?.started_at, call?.duration_seconds, call?.summary, call?.id, task.context_data ? JSON.stringify(task.context_data) : ""]);
    }
  }
  const header = ["batch", "task_id", "name", "to_number", "status", "scheduled_at", "calls", "end_reason", "called_at", "duration_seconds", "summary", "call_id", "context_data"];
  save(`${t("tasks")}-${new Date().toISOString().slice(0, 10)}.csv`, write(header, rows));
}

export function Batches() {
  const { offset, go } = useListQuery(LIMIT);
  const state = useLoad(() => get<{ batches: Batch[]; total: number }>(`/batches${query({ limit: LIMIT, offset })}`), [offset], { live: true, everyMs: 15_000 });
  const [selected, select] = useState<Set<string>>(new Set());
  useEffect(() => select(new Set()), [offset]);
  const { busy, error, run } = useAction();
  const act = (batch: Batch, what: Step) => async () => {
    await post(`/batches/${batch.id}/${what}`);
    state.reload();
  };
  const tick = (id: string, on: boolean) => {
    const now = new Set(selected);
    if (on) now.add(id);
    else now.delete(id);
    select(now);
  };
  return (
    <Page title={t("Batches")} actions={<Link to="tasks">{t("Tasks")}</Link>}>
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ batches, total }) => batches.length ? (
          <Card>
            <SelectedBatches batches={batches} selected={batches.filter((batch) => selected.has(batch.id))} all={(on) => select(new Set(on ? batches.map((batch) => batch.id) : []))} done={state.reload} />
            <Table caption={t("Batches")} rows={batches} columns={[
              { name: t("Select"), cell: (batch) => <input type="checkbox" aria-label={`${t("Select")}: ${batch.name}`} checked={selected.has(batch.id)} onChange={(event) => tick(batch.id, event.currentTarget.checked)} /> },
              { name: t("Name"), cell: (batch) => <Link to={`tasks?batch=${batch.id}`}>{batch.name}</Link> },
              { name: t("Status"), cell: (batch) => <Badge value={batch.status} /> },
              { name: t("Tasks"), cell: (batch) => <Progress batch={batch} /> },
              { name: t("Created"), extra: true, cell: (batch) => formatDateTime(batch.created_at) },
              { name: "", right: true, cell: (batch) => (
                <span class="actions">
                  {canStart(batch) && <Confirm label={startLabel(batch)} name={batch.name} question={startQuestion(batch.tasks.pending ?? 0)} act={act(batch, "start")} />}
                  {batch.status === "running" && <Button kind="quiet" busy={busy} aria-label={`${t("Pause")}: ${batch.name}`} onClick={() => run(act(batch, "pause"))}>{t("Pause")}</Button>}
                  {canRetry(batch) && <Confirm label={t("Retry failed")} name={batch.name} question={retryQuestion(batch.status === "running")} act={act(batch, "retry")} />}
                  <Confirm label={t("Delete")} name={batch.name} question={t("Delete this batch with its pending and failed tasks? Completed tasks and calls stay.")} act={async () => { await remove(`/batches/${batch.id}`); state.reload(); }} />
                </span>
              ) },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={go} />
          </Card>
        ) : (
          <EmptyState title={t("No batches yet")}>{t("A list that you import under Tasks becomes a batch: start, pause and repeat its calls together.")} <Link to="tasks">{t("Tasks")}</Link></EmptyState>
        )}
      </LoadedView>
    </Page>
  );
}

/** What may be done to many batches at once; each action takes those that it fits. */
function SelectedBatches({ batches, selected, all, done }: { batches: Batch[]; selected: Batch[]; all: (on: boolean) => void; done: () => void }) {
  const [faults, setFaults] = useState<string[]>([]);
  const { busy, error, run } = useAction();
  const each = (fitting: Batch[], act: (batch: Batch) => Promise<unknown>) => async () => {
    const failed: string[] = [];
    for (const batch of fitting) await patiently(() => act(batch)).catch((fault: Error) => failed.push(`${batch.name}: ${lineText(fault)}`));
    setFaults(failed);
    done();
  };
  const to = (what: Step) => (batch: Batch) => post(`/batches/${batch.id}/${what}`);
  const counted = (text: string, fitting: Batch[]) => `${text} (${formatNumber(fitting.length)})`;
  const [startable, running, retryable] = [selected.filter(canStart), selected.filter((batch) => batch.status === "running"), selected.filter(canRetry)];
  return (
    <>
      <div class="selected" role="group" aria-label={t("Selected batches")}>
        <Checkbox label={selected.length ? `${formatNumber(selected.length)} ${t("selected")}` : t("Select all on this page")} checked={selected.length > 0 && selected.length === batches.length} set={all} />
        {startable.length > 0 && <Confirm kind="plain" label={counted(t("Start"), startable)} yes={t("Start")} question={startQuestion(startable.reduce((sum, batch) => sum + (batch.tasks.pending ?? 0), 0))} act={each(startable, to("start"))} />}
        {running.length > 0 && <Button busy={busy} onClick={() => run(each(running, to("pause")))}>{counted(t("Pause"), running)}</Button>}
        {retryable.length > 0 && <Confirm kind="plain" label={counted(t("Retry failed"), retryable)} yes={t("Retry failed")} question={t("The failed tasks of these batches become pending again; those of running batches are called at once.")} act={each(retryable, to("retry"))} />}
        {selected.length > 0 && <Button busy={busy} onClick={() => run(() => exportBatches(selected))}>{t("Export CSV")}</Button>}
        {selected.length > 0 && <Confirm kind="danger" label={counted(t("Delete"), selected)} yes={t("Delete")} question={t("Delete these batches with their pending and failed tasks? Completed tasks and calls stay.")} act={each(selected, (batch) => remove(`/batches/${batch.id}`))} />}
      </div>
      <ErrorMessage error={error} />
      {faults.length > 0 && <ul class="faults" role="alert">{faults.map((fault) => <li key={fault}>{fault}</li>)}</ul>}
    </>
  );
}

/** What one batch has come to, above its tasks, which come with it: nothing moves afterwards. */
export function BatchHead({ id, changed, children }: { id: string; changed: () => void; children: ComponentChildren }) {
  const state = useLoad(() => get<{ batch: Batch }>(`/batches/${id}`), [id], { live: true, everyMs: 15_000 });
  const { busy, error, run } = useAction();
  const act = (what: Step) => async () => {
    await post(`/batches/${id}/${what}`);
    state.reload();
    changed();
  };
  const batch = state.data?.batch;
  if (!batch) return state.error ? <><ErrorMessage error={state.error} retry={state.reload} />{children}</> : <p class="loading" role="status">{t("Loading…")}</p>;
  const outcomes = Object.entries(batch.ended_calls ?? {}).sort(([, a], [, b]) => b - a);
  return (
    <><Card title={batch.name} wide actions={
      <>
        <Badge value={batch.status} />
        {canStart(batch) && <Confirm kind="plain" label={startLabel(batch)} question={startQuestion(batch.tasks.pending ?? 0)} act={act("start")} />}
        {batch.status === "running" && <Button busy={busy} onClick={() => run(act("pause"))}>{t("Pause")}</Button>}
        {canRetry(batch) && <Confirm kind="plain" label={t("Retry failed")} question={retryQuestion(batch.status === "running")} act={act("retry")} />}
        {countOf(batch) > 0 && <Button busy={busy} onClick={() => run(() => exportBatches([batch]))}>{t("Export CSV")}</Button>}
      </>
    }>
      <ErrorMessage error={error} />
      <Progress batch={batch} />
      {outcomes.length > 0 && (
        <>
          <h3>{t("Calls by outcome")}</h3>
          <ul class="counts" aria-label={t("Calls by outcome")}>{outcomes.map(([reason, count]) => <li key={reason}><Link to={`calls?batch=${id}&reason=${reason}`}>{reasonOf(reason)}</Link> {formatNumber(count)}</li>)}</ul>
        </>
      )}
    </Card>{children}</>
  );
}

/** How many tasks of a batch are over, and what became of the others. */
function Progress({ batch }: { batch: Batch }) {
  const all = countOf(batch);
  const over = (batch.tasks.completed ?? 0) + (batch.tasks.failed ?? 0);
  return (
    <div class="batch">
      {all > 0 && <progress max={all} value={over} aria-label={`${t("Tasks that are over")}: ${batch.name}`} />}{" "}
      {STATUSES.filter((status) => batch.tasks[status]).map((status) => <span key={status}><Badge value={status} /> {formatNumber(batch.tasks[status]!)} </span>)}
      {all === 0 && "–"}
    </div>
  );
}

interface Entry {
  id: string;
  number: string;
  reason: string | null;
  created_at: string;
}

/** The numbers that nobody calls. */
export function DoNotCall() {
  const { of, offset, put, go } = useListQuery(LIMIT);
  const [open, setOpen] = useState(false);
  const number = of("number");
  const state = useLoad(() => get<{ do_not_call: Entry[]; total: number }>(`/do-not-call${query({ number: number ? plainNumber(number) : undefined, limit: LIMIT, offset })}`), [number, offset]);
  return (
    <Page title={t("Do not call")} actions={<Button kind="main" onClick={() => setOpen(true)}>{t("Add numbers")}</Button>}>
      <p>{t("These numbers are never called, by no task and no transfer.")}</p>
      <search class="filters">
        <Input label={t("Number")} type="search" placeholder="+31201234567" value={number} set={(text) => put({ number: text })} />
      </search>
      <LoadedView of={state}>
        {({ do_not_call: entries, total }) => entries.length ? (
          <Card>
            <Table caption={t("Do not call")} rows={entries} columns={[
              { name: t("Number"), cell: (entry) => entry.number },
              { name: t("Reason"), cell: (entry) => entry.reason ?? "–" },
              { name: t("Added"), extra: true, cell: (entry) => formatDateTime(entry.created_at) },
              { name: "", right: true, cell: (entry) => <Confirm label={t("Remove")} name={entry.number} question={t("This number may then be called again.")} act={async () => { await remove(`/do-not-call/${encodeURIComponent(entry.number)}`); state.reload(); }} /> },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={go} />
          </Card>
        ) : number || offset ? (
          <EmptyState title={t("This number is not on the list")}><Button kind="quiet" onClick={() => put({ number: "" })}>{t("Clear the filters")}</Button></EmptyState>
        ) : (
          <EmptyState title={t("No numbers yet")}>{t("Add the numbers of people who do not want to be called.")}</EmptyState>
        )}
      </LoadedView>
      {open && <AddNumbers close={() => { setOpen(false); state.reload(); }} />}
    </Page>
  );
}

function AddNumbers({ close }: { close: () => void }) {
  const [text, setText] = useState("");
  const [reason, setReason] = useState("");
  return (
    <Dialog title={t("Add numbers")} close={close} unsaved={Boolean(text)}>
      <Form label={t("Add")} submit={async () => {
        const numbers = text.split(/[\n,;]/).map(plainNumber).filter(Boolean);
        await post("/do-not-call", { numbers, ...(reason ? { reason } : {}) });
        close();
      }}>
        <TextArea label={t("Numbers")} hint={t("One on each line, with the country code, such as +31 20 123 4567. 1,000 at most.")} value={text} set={setText} rows={8} />
        <Input label={t("Reason")} value={reason} set={setReason} />
      </Form>
    </Dialog>
  );
}
