import { useState } from "preact/hooks";
import { type Agent, type Task, get, post, query, remove } from "../api";
import { ListError, read as readList } from "../csv";
import { columnOrder, readDate, type ColumnOrder, type DateOrder } from "../dates";
import { t } from "../i18n";
import { useLoad } from "../live";
import { Badge, Button, Card, Checkbox, Confirm, Dialog, EmptyState, Form, Input, Link, Page, Pager, ErrorMessage, Select, LoadedView, Table, TextArea, useAction, formatDateTime } from "../ui";

const LIMIT = 25;
const STATUSES = ["pending", "in_progress", "completed", "failed"] as const;

export function Tasks() {
  const [status, setStatus] = useState("");
  const [offset, setOffset] = useState(0);
  const [open, setOpen] = useState<"" | "new" | "import">("");
  const agents = useLoad(() => get<{ agents: Agent[] }>("/agents?limit=100"), []);
  const state = useLoad(() => get<{ tasks: Task[]; total: number }>(`/tasks${query({ status, limit: LIMIT, offset })}`), [status, offset], { live: true, everyMs: 15_000 });
  const counts = useLoad(() => Promise.all(STATUSES.map((one) => get<{ total: number }>(`/tasks?status=${one}&limit=1`).then(({ total }) => total))), [], { live: true, everyMs: 15_000 });
  const { busy, error, run } = useAction();
  const reload = () => {
    state.reload();
    counts.reload();
  };
  const named = (id: string) => agents.data?.agents.find((agent) => agent.id === id)?.name ?? "–";
  const close = () => {
    setOpen("");
    reload();
  };
  const all = counts.data?.reduce((sum, one) => sum + one, 0) ?? 0;
  const over = (counts.data?.[2] ?? 0) + (counts.data?.[3] ?? 0);
  return (
    <Page title={t("Tasks")} actions={<><Button onClick={() => setOpen("import")}>{t("Import CSV")}</Button><Button kind="main" onClick={() => setOpen("new")}>{t("New task")}</Button></>}>
      {all > 0 && counts.data && (
        <div class="progress">
          <label for="done">{t("Progress")}: {over} {t("of")} {all}</label>
          <progress id="done" max={all} value={over} />
          <ul>{STATUSES.map((one, index) => <li key={one}><Badge value={one} /> {counts.data![index]}</li>)}</ul>
        </div>
      )}
      <search class="filters">
        <Select label={t("Status")} value={status} set={(value) => { setOffset(0); setStatus(value); }} options={[["", t("All")], ...STATUSES.map((one): [string, string] => [one, t(one.replaceAll("_", " "))])]} />
      </search>
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ tasks, total }) => tasks.length ? (
          <Card>
            <Table caption={t("Tasks")} rows={tasks} columns={[
              { name: t("Name"), cell: (task) => task.name ?? t("Call") },
              { name: t("Number"), cell: (task) => task.to_number },
              { name: t("Agent"), extra: true, cell: (task) => named(task.agent_id) },
              { name: t("Scheduled"), extra: true, cell: (task) => formatDateTime(task.scheduled_at) },
              { name: t("Status"), cell: (task) => <Badge value={task.status} /> },
              { name: "", right: true, cell: (task) => (
                <span class="actions">
                  {task.status === "pending" && <Button kind="quiet" busy={busy} aria-label={`${t("Call now")}: ${task.to_number}`} onClick={() => run(async () => { await post(`/tasks/${task.id}/execute`); reload(); })}>{t("Call now")}</Button>}
                  {task.status !== "pending" && <Button kind="quiet" busy={busy} aria-label={`${t("Again")}: ${task.to_number}`} onClick={() => run(async () => { await post(`/tasks/${task.id}/reset`); reload(); })}>{t("Again")}</Button>}
                  {(task.status === "pending" || task.status === "failed") && <Confirm label={t("Delete")} name={task.to_number} question={t("Delete this task?")} act={async () => { await remove(`/tasks/${task.id}`); reload(); }} />}
                </span>
              ) },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={setOffset} />
          </Card>
        ) : (
          <EmptyState title={status ? t("No matching tasks") : t("No tasks yet")}>{t("A task is a call that an agent makes: now, at a set time, or within hours that you allow. Import a list to call many people.")}</EmptyState>
        )}
      </LoadedView>
      {open === "new" && <NewTask agents={agents.data?.agents ?? []} close={close} />}
      {open === "import" && <Import agents={agents.data?.agents ?? []} close={close} />}
    </Page>
  );
}

const choices = (agents: Agent[]): [string, string][] => agents.map((agent) => [agent.id, agent.name]);

function NoAgent() {
  return <p>{t("A task needs an agent.")} <Link to="agents/new">{t("Create the first one")}</Link></p>;
}

function NewTask({ agents, close }: { agents: Agent[]; close: () => void }) {
  const [fields, set] = useState({ agent_id: agents[0]?.id ?? "", name: "", to_number: "", description: "", at: "" });
  const [now, setNow] = useState(false);
  const put = (name: keyof typeof fields) => (value: string) => set({ ...fields, [name]: value });
  return (
    <Dialog title={t("New task")} close={close}>
      {agents.length ? (
        <Form label={now ? t("Call now") : t("Create")} submit={async () => {
          const { at, ...rest } = fields;
          const body = Object.fromEntries(Object.entries(rest).filter(([, value]) => value));
          const { task } = await post<{ task: Task }>("/tasks", { ...body, ...(at && !now ? { scheduled_at: new Date(at).toISOString() } : {}) });
          if (now) await post(`/tasks/${task.id}/execute`);
          close();
        }}>
          <Select label={t("Agent")} value={fields.agent_id} set={put("agent_id")} options={choices(agents)} />
          <Input label={t("Number")} type="tel" required placeholder="+31201234567" value={fields.to_number} set={put("to_number")} />
          <Input label={t("Name")} value={fields.name} set={put("name")} />
          <TextArea label={t("What the call is for")} value={fields.description} set={put("description")} />
          <Checkbox label={t("Call now")} checked={now} set={setNow} />
          {!now && <Input label={t("At")} hint={t("Without a time, the task waits until you start it.")} type="datetime-local" value={fields.at} set={put("at")} />}
        </Form>
      ) : <NoAgent />}
    </Dialog>
  );
}

/** Columns of a task that a list may fill; everything else becomes context for the agent. */
const TARGETS = ["to_number", "name", "description", "scheduled_at", "context", "skip"] as const;
type Target = (typeof TARGETS)[number];
const COLUMN_PATTERNS: [RegExp, Target][] = [[/tele?(ph|f)oo?n|phone|number|nummer|mobi/i, "to_number"], [/^(name|naam|title)$/i, "name"], [/descr|purpose|omschrij|doel/i, "description"], [/sched|when|time|tijd|datum|date/i, "scheduled_at"]];
/** Requests at once. */
const CONCURRENT_REQUESTS = 4;

function Import({ agents, close }: { agents: Agent[]; close: () => void }) {
  const [agent, setAgent] = useState(agents[0]?.id ?? "");
  const [rows, setRows] = useState<string[][]>([]);
  const [map, setMap] = useState<Target[]>([]);
  const [done, setDone] = useState(0);
  const [faults, setFaults] = useState<string[]>([]);
  const [encoding, setEncoding] = useState("utf-8");
  const [order, setOrder] = useState<DateOrder | "">("");
  const [header, ...body] = rows;
  const dates = body.flatMap((cells) => cells.filter((_, index) => map[index] === "scheduled_at"));
  const found: ColumnOrder = columnOrder(dates);
  const known = found === "dmy" || found === "mdy" ? found : order || undefined;
  const read = async (file: File | undefined) => {
    if (!file) return;
    setDone(0);
    setFaults([]);
    setOrder("");
    const { rows: cells, encoding: used } = await readList(file).catch((error: Error) => {
      setFaults([error instanceof ListError ? t(error.message) : t("The file cannot be read.")]);
      return { rows: [] as string[][], encoding: "utf-8" };
    });
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
      else fields[target] = target === "to_number" ? value.replace(/[\s().-]/g, "").replace(/^00/, "+") : value;
    });
    if (Object.keys(context).length) fields.context_data = context;
    return fields;
  };
  const submit = async () => {
    setDone(0);
    if (found === "mixed") return setFaults([t("Some dates have the day first and some the month: write them as 2026-04-03.")]);
    if (found === "ambiguous" && !order) return setFaults([t("Choose how the dates are written.")]);
    setFaults([]);
    const queue = body.map((cells, index) => ({ cells, line: index + 2 }));
    const work = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const { cells, line } = next;
        await post("/tasks", task(cells)).catch((error: Error) => setFaults((before) => [...before, `${t("Line")} ${line}: ${error.message}`]));
        setDone((count) => count + 1);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT_REQUESTS }, work));
  };
  if (!agents.length) return <Dialog title={t("Import CSV")} close={close}><NoAgent /></Dialog>;
  return (
    <Dialog title={t("Import CSV")} close={close} wide>
      <Form label={`${t("Import")} ${body.length || ""}`} submit={submit}>
        <Select label={t("Agent")} value={agent} set={setAgent} options={choices(agents)} />
        <div class="field">
          <label for="csv">{t("File")}</label>
          <input id="csv" type="file" accept=".csv,text/csv" onChange={(event) => void read(event.currentTarget.files?.[0])} />
          <small>{t("The first line names the columns. One of them holds numbers such as +31201234567.")}</small>
        </div>
        {header && (
          <div class="scroll" tabIndex={0} role="region" aria-label={t("Columns")}>
            <table>
              <caption class="unseen">{t("Columns")}</caption>
              <thead><tr><th scope="col">{t("Column")}</th><th scope="col">{t("Becomes")}</th><th scope="col">{t("First line")}</th></tr></thead>
              <tbody>
                {header.map((name, index) => (
                  <tr key={index}>
                    <td>{name}</td>
                    <td>
                      <select aria-label={`${t("Becomes")}: ${name}`} value={map[index]} onChange={(event) => setMap(map.map((one, at) => (at === index ? (event.currentTarget.value as Target) : one)))}>
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
        {done > 0 && <p role="status">{done - faults.length} {t("of")} {body.length} {t("imported")}</p>}
        {faults.length > 0 && <ul class="faults">{faults.slice(0, 50).map((fault) => <li key={fault}>{fault}</li>)}</ul>}
      </Form>
    </Dialog>
  );
}
