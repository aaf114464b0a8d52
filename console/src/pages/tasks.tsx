import { useEffect, useRef, useState } from "preact/hooks";
import { AGENT_NAMES, type AgentName, type Task, get, getAll, patch, post, query, remove, request } from "../api";
import { ListError, read as readList } from "../csv";
import { columnOrder, readDate, type ColumnOrder, type DateOrder } from "../dates";
import { lineText, translated } from "../errors";
import { type ImportState, importKey, importLines, patiently } from "../import";
import { t } from "../i18n";
import { useLoad } from "../live";
import { plainNumber } from "../phone";
import { useListQuery } from "../router";
import { Badge, Button, Card, Checkbox, Confirm, Dialog, EmptyState, Form, Input, Link, Page, Pager, ErrorMessage, Select, LoadedView, Table, TextArea, useAction, formatDateTime, formatNumber } from "../ui";
import { BatchHead } from "./batches";

const LIMIT = 25;
/** What the list shows. */
const FIELDS = "id,name,to_number,agent_id,scheduled_at,status,failure_reason";
const STATUSES = ["pending", "in_progress", "completed", "failed"] as const;

export function Tasks() {
  const { of, offset, put, go } = useListQuery(LIMIT);
  const [open, setOpen] = useState<"" | "new" | "import">("");
  const [selected, select] = useState<Map<string, Task>>(new Map());
  const filter = { status: of("status"), agent_id: of("agent"), batch_id: of("batch") };
  const agents = useLoad(() => getAll<AgentName>(AGENT_NAMES, "agents"), []);
  const state = useLoad(() => get<{ tasks: Task[]; total: number }>(`/tasks${query({ ...filter, fields: FIELDS, limit: LIMIT, offset })}`), [JSON.stringify(filter), offset], { live: true, everyMs: 15_000 });
  const counts = useLoad(() => Promise.all(STATUSES.map((one) => get<{ total: number }>(`/tasks${query({ agent_id: filter.agent_id, batch_id: filter.batch_id, status: one, fields: "id", limit: 1 })}`).then(({ total }) => total))), [filter.agent_id, filter.batch_id], { live: true, everyMs: 15_000 });
  const { busy, error, run } = useAction();
  // Whoever looks at other rows does not act on those out of sight.
  useEffect(() => select(new Map()), [JSON.stringify(filter), offset]);
  const reload = () => {
    state.reload();
    counts.reload();
  };
  const named = (id: string) => agents.data?.find((agent) => agent.id === id)?.name ?? "–";
  const close = () => {
    setOpen("");
    reload();
  };
  const tick = (task: Task, on: boolean) => {
    const now = new Map(selected);
    if (on) now.set(task.id, task);
    else now.delete(task.id);
    select(now);
  };
  const filtered = Boolean(filter.status || filter.agent_id || filter.batch_id);
  const list = (
    <>
      <search class="filters">
        <Select label={t("Status")} value={filter.status} set={(status) => put({ status })} options={[["", t("All")], ...STATUSES.map((one): [string, string] => [one, t(one.replaceAll("_", " "))])]} />
        <Select label={t("Agent")} value={filter.agent_id} set={(agent) => put({ agent })} options={[["", t("All")], ...choices(agents.data ?? [])]} />
      </search>
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ tasks, total }) => tasks.length ? (
          <Card>
            <Selected tasks={tasks} selected={[...selected.values()]} all={(on) => select(on ? new Map(tasks.map((task) => [task.id, task])) : new Map())} done={() => { select(new Map()); reload(); }} />
            <Table caption={t("Tasks")} rows={tasks} columns={[
              { name: t("Select"), cell: (task) => <input type="checkbox" aria-label={`${t("Select")}: ${task.name ?? task.to_number}`} checked={selected.has(task.id)} onChange={(event) => tick(task, event.currentTarget.checked)} /> },
              { name: t("Name"), cell: (task) => task.name ?? t("Call") },
              { name: t("Number"), cell: (task) => task.to_number },
              { name: t("Agent"), extra: true, cell: (task) => named(task.agent_id) },
              { name: t("Scheduled for"), extra: true, cell: (task) => formatDateTime(task.scheduled_at) },
              { name: t("Status"), cell: (task) => <><Badge value={task.status} />{task.failure_reason && <span class="soft"> {translated(task.failure_reason)}</span>}</> },
              { name: t("Calls"), cell: (task) => (task.status === "pending" ? "–" : <Link to={`calls?task=${task.id}`} aria-label={`${t("Calls")}: ${task.name ?? task.to_number}`}>{t("Show")}</Link>) },
              { name: "", right: true, cell: (task) => (
                <span class="actions">
                  {task.status === "pending" && <Button kind="quiet" busy={busy} aria-label={`${t("Call now")}: ${task.to_number}`} onClick={() => run(async () => { await post(`/tasks/${task.id}/execute`); reload(); })}>{t("Call now")}</Button>}
                  {task.status === "pending" && task.scheduled_at && <Button kind="quiet" busy={busy} aria-label={`${t("Pause")}: ${task.to_number}`} onClick={() => run(async () => { await patch(`/tasks/${task.id}`, { scheduled_at: null }); reload(); })}>{t("Pause")}</Button>}
                  {task.status !== "pending" && <Confirm label={t("Reset to pending")} name={task.to_number} question={task.status === "in_progress" ? t("This ends the call that is in progress. The task can then be called again.") : t("The task can then be called again. Its earlier calls stay.")} act={async () => { await post(`/tasks/${task.id}/reset`); reload(); }} />}
                  {(task.status === "pending" || task.status === "failed") && <Confirm label={t("Delete")} name={task.to_number} question={t("Delete this task?")} act={async () => { await remove(`/tasks/${task.id}`); reload(); }} />}
                </span>
              ) },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={go} />
          </Card>
        ) : filtered || offset ? (
          <EmptyState title={t("No matching tasks")}><Button kind="quiet" onClick={() => put({ status: "", agent: "", batch: "" })}>{t("Clear the filters")}</Button></EmptyState>
        ) : (
          <EmptyState title={t("No tasks yet")}>{t("A task is a call that an agent makes: now, at a set time, or within hours that you allow. Import a list to call many people.")}</EmptyState>
        )}
      </LoadedView>
    </>
  );
  return (
    <Page title={t("Tasks")} actions={<><Link to="batches">{t("Batches")}</Link><Button onClick={() => setOpen("import")}>{t("Import CSV")}</Button><Button kind="main" onClick={() => setOpen("new")}>{t("New task")}</Button></>}>
      {filter.batch_id && <p><Button kind="quiet" onClick={() => put({ batch: "" })}>{t("Show the tasks of all batches")}</Button></p>}
      {!filter.batch_id && !counts.error && (!counts.data || counts.data.some(Boolean)) && (
        <ul class="counts" aria-label={filter.agent_id ? t("Tasks of this agent") : t("All tasks")}>
          {STATUSES.map((one, index) => <li key={one}><Badge value={one} /> {counts.data ? formatNumber(counts.data[index] ?? 0) : "…"}</li>)}
        </ul>
      )}
      {filter.batch_id ? <BatchHead key={filter.batch_id} id={filter.batch_id} changed={reload}>{list}</BatchHead> : list}
      {open === "new" && <NewTask agents={agents.data ?? []} close={close} />}
      {open === "import" && <Import agents={agents.data ?? []} close={close} />}
    </Page>
  );
}

/** What may be done to many tasks at once; each action takes those that it fits. */
function Selected({ tasks, selected, all, done }: { tasks: Task[]; selected: Task[]; all: (on: boolean) => void; done: () => void }) {
  const [faults, setFaults] = useState<string[]>([]);
  const of = (...statuses: Task["status"][]) => selected.filter((task) => statuses.includes(task.status));
  const each = (fitting: Task[], act: (task: Task) => Promise<unknown>) => async () => {
    const failed: string[] = [];
    for (const task of fitting) await patiently(() => act(task)).catch((error: Error) => failed.push(`${task.to_number}: ${lineText(error)}`));
    setFaults(failed);
    done();
  };
  const [pending, deletable, resettable] = [of("pending"), of("pending", "failed"), of("completed", "failed", "in_progress")];
  const live = of("in_progress").length;
  const counted = (text: string, fitting: Task[]) => `${text} (${fitting.length})`;
  return (
    <>
      <div class="selected" role="group" aria-label={t("Selected tasks")}>
        <Checkbox label={selected.length ? `${formatNumber(selected.length)} ${t("selected")}` : t("Select all on this page")} checked={selected.length > 0 && selected.length === tasks.length} set={all} />
        {pending.length > 0 && <Confirm kind="plain" label={counted(t("Call now"), pending)} yes={t("Call now")} question={t("Call all of these numbers now?")} act={each(pending, (task) => post(`/tasks/${task.id}/execute`))} />}
        {pending.some((task) => task.scheduled_at) && <Confirm kind="plain" label={counted(t("Pause"), pending.filter((task) => task.scheduled_at))} yes={t("Pause")} question={t("Paused tasks lose their time and wait until you start them.")} act={each(pending.filter((task) => task.scheduled_at), (task) => patch(`/tasks/${task.id}`, { scheduled_at: null }))} />}
        {resettable.length > 0 && <Confirm kind="plain" label={counted(t("Reset to pending"), resettable)} yes={t("Reset to pending")} question={live ? `${t("This ends calls that are in progress:")} ${live}. ${t("The tasks can then be called again.")}` : t("The tasks can then be called again.")} act={each(resettable, (task) => post(`/tasks/${task.id}/reset`))} />}
        {deletable.length > 0 && <Confirm kind="danger" label={counted(t("Delete"), deletable)} yes={t("Delete")} question={t("Delete these tasks?")} act={each(deletable, (task) => remove(`/tasks/${task.id}`))} />}
      </div>
      {faults.length > 0 && <div class="problem" role="alert"><p>{t("Not done:")}</p><ul>{faults.map((fault) => <li key={fault}>{fault}</li>)}</ul></div>}
    </>
  );
}

const timeZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

const choices = (agents: AgentName[]): [string, string][] => agents.map((agent) => [agent.id, agent.name]);

function NoAgent() {
  return <p>{t("A task needs an agent.")} <Link to="agents/new">{t("Create the first one")}</Link></p>;
}

function NewTask({ agents, close }: { agents: AgentName[]; close: () => void }) {
  const [fields, set] = useState({ agent_id: agents[0]?.id ?? "", name: "", to_number: "", description: "", at: "" });
  const [now, setNow] = useState(false);
  const [past, setPast] = useState(false);
  // A task that was made is not made again when only its call was refused.
  const made = useRef<Task | null>(null);
  const put = (name: keyof typeof fields) => (value: string) => set({ ...fields, [name]: value });
  return (
    <Dialog title={t("New task")} close={close}>
      {agents.length ? (
        <Form label={now ? t("Call now") : t("Create")} submit={async () => {
          const { at, to_number, ...rest } = fields;
          const time = at && !now ? new Date(at) : null;
          if (time && time.getTime() < Date.now() && !past) {
            setPast(true);
            throw new Error("This time is in the past: the call would be made at once. Press the button again if you want that.");
          }
          const body = { ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value)), to_number: plainNumber(to_number), ...(time ? { scheduled_at: time.toISOString() } : {}) };
          if (made.current) await patch(`/tasks/${made.current.id}`, { ...body, scheduled_at: time?.toISOString() ?? null });
          else made.current = (await post<{ task: Task }>("/tasks", body)).task;
          if (now) await post(`/tasks/${made.current.id}/execute`);
          close();
        }}>
          <Select label={t("Agent")} value={fields.agent_id} set={put("agent_id")} options={choices(agents)} />
          <Input label={t("Number")} hint={t("With the country code, such as +31 20 123 4567.")} type="tel" required placeholder="+31201234567" value={fields.to_number} set={put("to_number")} />
          <Input label={t("Name")} value={fields.name} set={put("name")} />
          <TextArea label={t("What the call is for")} value={fields.description} set={put("description")} />
          <Checkbox label={t("Call now")} checked={now} set={setNow} />
          {!now && <Input label={t("Scheduled for")} hint={`${t("Without a time, the task waits until you start it.")} ${t("Time zone")}: ${timeZone()}.`} type="datetime-local" value={fields.at} set={(at) => { setPast(false); put("at")(at); }} />}
        </Form>
      ) : <NoAgent />}
    </Dialog>
  );
}

/** Columns of a task that a list may fill; everything else becomes context for the agent. */
const TARGETS = ["to_number", "name", "description", "scheduled_at", "context", "skip"] as const;
type Target = (typeof TARGETS)[number];
const COLUMN_PATTERNS: [RegExp, Target][] = [[/tele?(ph|f)oo?n|phone|number|nummer|mobi/i, "to_number"], [/^(name|naam|title)$/i, "name"], [/descr|purpose|omschrij|doel/i, "description"], [/sched|when|time|tijd|datum|date/i, "scheduled_at"]];
function Import({ agents, close }: { agents: AgentName[]; close: () => void }) {
  const [agent, setAgent] = useState(agents[0]?.id ?? "");
  const [rows, setRows] = useState<string[][]>([]);
  const [map, setMap] = useState<Target[]>([]);
  const [result, setResult] = useState<ImportState>({ taken: new Set(), faults: [] });
  const [refusal, refuse] = useState("");
  const key = useRef(importKey());
  const [name, setName] = useState("");
  const batch = useRef("");
  const [encoding, setEncoding] = useState("utf-8");
  const [order, setOrder] = useState<DateOrder | "">("");
  const [header, ...body] = rows;
  const dates = body.flatMap((cells) => cells.filter((_, index) => map[index] === "scheduled_at"));
  const found: ColumnOrder = columnOrder(dates);
  const known = found === "dmy" || found === "mdy" ? found : order || undefined;
  const read = async (file: File | undefined) => {
    if (!file) return;
    setResult({ taken: new Set(), faults: [] });
    key.current = importKey();
    batch.current = "";
    setName(file.name.replace(/\.[^.]*$/, "").slice(0, 200));
    refuse("");
    setOrder("");
    const list = await readList(file).catch((error: Error) => {
      refuse(error instanceof ListError ? t(error.message) : t("The file cannot be read."));
      return null;
    });
    const { rows: cells, encoding: used } = list ?? { rows: [] as string[][], encoding: "utf-8" };
    if (list && cells.length === 0) refuse(t("The file is empty."));
    if (cells.length === 1) refuse(t("The list has one line only, which would name the columns."));
    setEncoding(used);
    setRows(cells);
    setMap((cells[0] ?? []).map((name) => COLUMN_PATTERNS.find(([pattern]) => pattern.test(name))?.[1] ?? "context"));
  };
  const task = (cells: string[]) => {
    const fields: Record<string, unknown> = { agent_id: agent };
    const context: Record<string, string> = {};
    cells.forEach((value, index) => {
      const target = map[index];
      if (!value.trim() || !target || target === "skip") return;
      if (target === "context") context[header?.[index] ?? `column ${index + 1}`] = value;
      else if (target === "scheduled_at") fields.scheduled_at = readDate(value, known)?.toISOString() ?? value;
      else fields[target] = target === "to_number" ? plainNumber(value) : value;
    });
    if (Object.keys(context).length) fields.context_data = context;
    return fields;
  };
  // Lines are numbered as in the file: the first one names the columns.
  const lines = body.map((_, index) => index + 2);
  const left = lines.length - result.taken.size;
  const submit = async () => {
    refuse("");
    if (!body.length) return refuse(t("The list has one line only, which would name the columns."));
    if (!map.includes("to_number")) return refuse(t("No column contains the number to call."));
    if (found === "mixed") return refuse(t("Some dates have the day first and some the month: write them as 2026-04-03."));
    if (found === "ambiguous" && !order) return refuse(t("Choose how the dates are written."));
    // The lines of one file are a batch; with the same key a lost answer makes no second one.
    batch.current ||= (await patiently(() => request<{ batch: { id: string } }>("POST", "/batches", { name: name.trim() || t("Import") }, { "Idempotency-Key": `${key.current}-batch` }))).batch.id;
    await importLines(lines, result.taken, (line) => request("POST", "/tasks", { ...task(body[line - 2]!), batch_id: batch.current }, { "Idempotency-Key": `${key.current}-${line}` }), setResult);
  };
  if (!agents.length) return <Dialog title={t("Import CSV")} close={close}><NoAgent /></Dialog>;
  return (
    <Dialog title={t("Import CSV")} close={close} wide unsaved={body.length > 0 && left > 0}>
      <Form label={result.taken.size ? (left ? `${t("Import the remaining")} ${left}` : t("Done")) : `${t("Import")} ${body.length || ""}`} submit={async () => (body.length && !left ? close() : submit())} beside={result.taken.size > 0 && left > 0 && <Button onClick={close}>{t("Done")}</Button>}>
        <Select label={t("Agent")} value={agent} set={setAgent} options={choices(agents)} />
        <div class="field">
          <label for="csv">{t("File")}</label>
          <input id="csv" type="file" accept=".csv,text/csv" onChange={(event) => void read(event.currentTarget.files?.[0])} />
          <small>{t("The first line names the columns. One of them holds numbers such as +31201234567.")}</small>
        </div>
        {header && <Input label={t("Name of the batch")} hint={t("The tasks wait until you start the batch.")} value={name} set={setName} disabled={Boolean(batch.current)} />}
        {header && (
          <div class="scroll" tabIndex={0} role="region" aria-label={t("Columns")}>
            <table>
              <caption class="unseen">{t("Columns")}</caption>
              <thead><tr><th scope="col">{t("Column")}</th><th scope="col">{t("Maps to")}</th><th scope="col">{t("First row")}</th></tr></thead>
              <tbody>
                {header.map((name, index) => (
                  <tr key={index}>
                    <td>{name}</td>
                    <td>
                      <select aria-label={`${t("Maps to")}: ${name}`} value={map[index]} onChange={(event) => setMap(map.map((one, at) => (at === index ? (event.currentTarget.value as Target) : one)))}>
                        {TARGETS.map((target) => <option key={target} value={target}>{t(target.replaceAll("_", " "))}</option>)}
                      </select>
                    </td>
                    <td>{body[0]?.[index]}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {header && encoding === "windows-1252" && <p role="status">{t("The file is not UTF-8 and was read as Windows-1252: look whether the names are right.")}</p>}
        {found === "ambiguous" && <Select label={t("How are the dates written?")} hint={`${t("Example")}: ${dates.find((cell) => columnOrder([cell]) === "ambiguous") ?? ""}. ${t("Times are in the time zone")} ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`} value={order} set={(value) => setOrder(value as DateOrder | "")} options={[["", t("Choose")], ["dmy", t("day/month/year")], ["mdy", t("month/day/year")]]} />}
        {found === "mixed" && <p class="problem" role="alert">{t("Some dates have the day first and some the month: write them as 2026-04-03.")}</p>}
        {header && !map.includes("to_number") && <p class="problem" role="alert">{t("No column contains the number to call.")}</p>}
        {refusal && !(header && !map.includes("to_number") && refusal === t("No column contains the number to call.")) && <p class="problem" role="alert">{refusal}</p>}
        {(result.taken.size > 0 || result.faults.length > 0) && <p role="status">{formatNumber(result.taken.size)} {t("of")} {formatNumber(body.length)} {t("imported")}{left > 0 && `. ${t("Lines that were imported are not sent again.")}`}</p>}
        {result.faults.length > 0 && <ul class="faults">{[...result.faults].sort((one, other) => one.line - other.line).slice(0, 50).map(({ line, error }) => <li key={line}>{t("Line")} {line}: {lineText(error)}</li>)}</ul>}
      </Form>
    </Dialog>
  );
}
