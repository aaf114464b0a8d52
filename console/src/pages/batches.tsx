import { useState } from "preact/hooks";
import { get, post, query, remove } from "../api";
import { t } from "../i18n";
import { useLoad } from "../live";
import { useListQuery } from "../router";
import { Badge, Button, Card, Confirm, Dialog, EmptyState, ErrorMessage, Form, Input, Link, LoadedView, Page, Pager, Table, TextArea, formatDateTime, formatNumber, useAction } from "../ui";
import { plainNumber } from "./tasks";

const LIMIT = 25;
const STATUSES = ["pending", "in_progress", "completed", "failed"] as const;

interface Batch {
  id: string;
  name: string;
  status: "paused" | "running";
  tasks: Partial<Record<(typeof STATUSES)[number], number>>;
  created_at: string;
}

const countOf = (batch: Batch) => STATUSES.reduce((sum, status) => sum + (batch.tasks[status] ?? 0), 0);

export function Batches() {
  const { offset, go } = useListQuery(LIMIT);
  const state = useLoad(() => get<{ batches: Batch[]; total: number }>(`/batches${query({ limit: LIMIT, offset })}`), [offset], { live: true, everyMs: 15_000 });
  const { busy, error, run } = useAction();
  const act = (batch: Batch, what: "start" | "pause" | "retry") => run(async () => {
    await post(`/batches/${batch.id}/${what}`);
    state.reload();
  });
  return (
    <Page title={t("Batches")} actions={<Link to="tasks">{t("Tasks")}</Link>}>
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ batches, total }) => batches.length ? (
          <Card>
            <Table caption={t("Batches")} rows={batches} columns={[
              { name: t("Name"), cell: (batch) => <Link to={`tasks?batch=${batch.id}`}>{batch.name}</Link> },
              { name: t("Status"), cell: (batch) => <Badge value={batch.status} /> },
              { name: t("Tasks"), cell: (batch) => <Progress batch={batch} /> },
              { name: t("Created"), extra: true, cell: (batch) => formatDateTime(batch.created_at) },
              { name: "", right: true, cell: (batch) => (
                <span class="actions">
                  {batch.status === "paused" && countOf(batch) > 0 && <Confirm label={t("Start")} name={batch.name} question={`${t("Call these numbers now, or at their times:")} ${formatNumber(batch.tasks.pending ?? 0)}`} act={async () => { await post(`/batches/${batch.id}/start`); state.reload(); }} />}
                  {batch.status === "running" && <Button kind="quiet" busy={busy} aria-label={`${t("Pause")}: ${batch.name}`} onClick={() => act(batch, "pause")}>{t("Pause")}</Button>}
                  {(batch.tasks.failed ?? 0) > 0 && <Confirm label={t("Retry failed")} name={batch.name} question={batch.status === "running" ? t("The failed tasks of this batch are called again at once.") : t("The failed tasks of this batch become pending again.")} act={async () => { await post(`/batches/${batch.id}/retry`); state.reload(); }} />}
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

/** How many tasks of a batch are over, and what became of the others. */
function Progress({ batch }: { batch: Batch }) {
  const all = countOf(batch);
  const over = (batch.tasks.completed ?? 0) + (batch.tasks.failed ?? 0);
  return (
    <>
      {all > 0 && <progress max={all} value={over} aria-label={`${t("Tasks that are over")}: ${batch.name}`} />}{" "}
      {STATUSES.filter((status) => batch.tasks[status]).map((status) => <span key={status}><Badge value={status} /> {formatNumber(batch.tasks[status]!)} </span>)}
      {all === 0 && "–"}
    </>
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
      <p>{t("No task and no transfer calls these numbers.")}</p>
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
