import { useState } from "preact/hooks";
import { type Agent, type Version, get, getAll, post } from "../api";
import { type Difference, differences } from "../diff";
import { readDraft } from "../drafts";
import { t } from "../i18n";
import { useLoad } from "../live";
import { navigate } from "../router";
import { Badge, Button, Card, Confirm, Dialog, EmptyState, Input, Link, Page, LoadedView, Select, Table, formatDateTime, usePage } from "../ui";

const LIMIT = 25;
const VERSIONS = 50;

/** What the server makes; a saved document is sent back without it. */
export const SERVER_FIELDS = ["id", "organization_id", "created_at", "updated_at", "starting_message", "enabled", "webhook_secret_set"];

export const config = (agent: Partial<Agent>, block: string, field: string): string =>
  String((agent[block] as Record<string, unknown> | null | undefined)?.[field] ?? "");

/** What people set, without what the server makes. */
export const documentOf = (agent: Partial<Agent>): Partial<Agent> =>
  Object.fromEntries(Object.entries(agent).filter(([name, value]) => !SERVER_FIELDS.includes(name) && value !== null));

export function Agents() {
  const state = useLoad(() => getAll<Agent>("/agents?fields=id,name,business_name,first_message,llm_config,is_active,updated_at", "agents"), []);
  const [words, setWords] = useState("");
  return (
    <Page title={t("Agents")} actions={<Button kind="main" onClick={() => navigate("agents/new")}>{t("New agent")}</Button>}>
      <LoadedView of={state}>
        {(agents) => agents.length ? (
          <>
            <search class="filters"><Input label={t("Search")} type="search" placeholder={t("Name, greeting, model")} value={words} set={setWords} /></search>
            <AgentList agents={agents.filter((agent) => matches(agent, words))} key={words} />
          </>
        ) : (
          <EmptyState title={t("No agents yet")}>{t("An agent defines how calls are answered: its purpose, greeting, voice and model.")} <Link to="agents/new">{t("Create the first one")}</Link></EmptyState>
        )}
      </LoadedView>
    </Page>
  );
}

function matches(agent: Agent, words: string): boolean {
  const text = [agent.name, agent.business_name, agent.first_message, config(agent, "llm_config", "model"), agent.id].join(" ").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function AgentList({ agents }: { agents: Agent[] }) {
  const { shown, pager } = usePage(agents, LIMIT);
  if (!agents.length) return <EmptyState title={t("No matching agents")}>{t("Try fewer words.")}</EmptyState>;
  return (
    <Card>
      <Table caption={t("Agents")} rows={shown} columns={[
        { name: t("Name"), cell: (agent) => <><Link to={`agents/${agent.id}`}>{agent.name}</Link>{readDraft(`agent.${agent.id}`) !== null && <small> · {t("Unsaved changes")}</small>}</> },
        { name: t("Greeting"), extra: true, cell: (agent) => <span class="clip">{agent.first_message ?? "–"}</span> },
        { name: t("Model"), extra: true, cell: (agent) => config(agent, "llm_config", "model") || config(agent, "llm_config", "provider") || "–" },
        { name: t("State"), cell: (agent) => <Badge value={agent.is_active ? "active" : "inactive"} tone={agent.is_active ? "good" : ""} /> },
        { name: t("Changed"), extra: true, cell: (agent) => formatDateTime(agent.updated_at) },
        { name: "", right: true, cell: (agent) => <Link to={`agents/new?from=${agent.id}`} aria-label={`${t("Duplicate")}: ${agent.name}`}>{t("Duplicate")}</Link> },
      ]} />
      {pager}
    </Card>
  );
}

/** What changed from one version to the next. */
function changesOf(versions: Version[], index: number): Difference[] | null {
  const [now, before] = [versions[index]?.agent, versions[index + 1]?.agent];
  return now && before ? differences(documentOf(before), documentOf(now)) : null;
}

export function Versions({ id, restored }: { id: string; restored: () => void }) {
  const state = useLoad(() => get<{ versions: Version[]; total: number }>(`/agents/${id}/versions?limit=${VERSIONS}`), [id]);
  const [shown, show] = useState<{ title: string; changes: Difference[] } | null>(null);
  const [pair, choose] = useState<[string, string] | null>(null);
  return (
    <Card wide title={t("Versions")}>
      <LoadedView of={state}>
        {({ versions, total }) => (
          <>
            <Table caption={t("Versions")} rows={versions.map((version, index) => ({ ...version, id: String(version.version), changes: changesOf(versions, index), index }))} columns={[
              { name: t("Version"), cell: (row) => row.version },
              { name: t("Saved"), cell: (row) => formatDateTime(row.created_at) },
              { name: t("Changed"), cell: (row) => row.changes ? (
                row.changes.length ? <button type="button" class="link" aria-label={`${t("Show changes")}: ${row.version}`} onClick={() => show({ title: `${t("Changes in version")} ${row.version}`, changes: row.changes ?? [] })}>{[...new Set(row.changes.map(({ path }) => path.split(/[.[]/)[0]))].join(", ")}</button> : t("nothing")
              ) : row.version === 1 ? t("created") : "–" },
              { name: "", right: true, cell: (row) => row.index > 0 && <Confirm label={t("Restore")} name={`${t("Version")} ${row.version}`} question={t("The agent becomes as it was in this version. The present one stays in the list.")} act={async () => { await post(`/agents/${id}/versions/${row.version}/restore`); state.reload(); restored(); }} /> },
            ]} />
            {versions.length > 1 && <Compare versions={versions} pair={pair ?? [String(versions[1]!.version), String(versions[0]!.version)]} choose={choose} show={(title, changes) => show({ title, changes })} />}
            {total > versions.length && <p class="soft">{t("The latest 50 versions are shown.")}</p>}
          </>
        )}
      </LoadedView>
      {shown && (
        <Dialog title={shown.title} close={() => show(null)} wide>
          {!shown.changes.length && <p>{t("These versions are the same.")}</p>}
          <div class="scroll" tabIndex={0} role="region" aria-label={t("Changes")}>
            <table class="diff">
              <caption class="unseen">{t("Changes")}</caption>
              <thead><tr><th scope="col">{t("Field")}</th><th scope="col">{t("Before")}</th><th scope="col">{t("After")}</th></tr></thead>
              <tbody>{shown.changes.map((one) => <tr key={one.path}><td>{one.path}</td><td class={one.before && "old"}>{one.before || "–"}</td><td class={one.after && "new"}>{one.after || "–"}</td></tr>)}</tbody>
            </table>
          </div>
        </Dialog>
      )}
    </Card>
  );
}

/** Any two of the versions, side by side. */
function Compare({ versions, pair, choose, show }: { versions: Version[]; pair: [string, string]; choose: (pair: [string, string]) => void; show: (title: string, changes: Difference[]) => void }) {
  const options = versions.map(({ version, created_at }): [string, string] => [String(version), `${version} · ${formatDateTime(created_at)}`]);
  const of = (number: string) => documentOf(versions.find(({ version }) => String(version) === number)?.agent ?? {});
  return (
    <div class="compare">
      <Select label={t("Compare version")} value={pair[0]} set={(one) => choose([one, pair[1]])} options={options} />
      <Select label={t("with version")} value={pair[1]} set={(one) => choose([pair[0], one])} options={options} />
      <Button onClick={() => show(`${t("Version")} ${pair[0]} → ${pair[1]}`, differences(of(pair[0]), of(pair[1])))}>{t("Compare")}</Button>
    </div>
  );
}
