// Two people have changed one agent: both changes side by side, merged field by field.

import { useState } from "preact/hooks";
import { type Agent, type Tagged, getTagged } from "../api";
import { type Merge, mergeOf, same, settled } from "../diff";
import { t } from "../i18n";
import { useLoad } from "../live";
import { Button, Dialog, Form, LoadedView } from "../ui";
import { documentOf } from "./agents";

interface Conflict {
  id: string;
  base: Partial<Agent>;
  mine: Partial<Agent>;
  /** Saves the merged document over the other's version with this tag. */
  save: (merged: Partial<Agent>, theirs: Partial<Agent>, etag: string | null) => Promise<void>;
  close: () => void;
}

const shown = (value: unknown): string => (value === undefined || value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value, null, 2));

export function MergeDialog({ id, base, mine, save, close }: Conflict) {
  const loaded = useLoad<Tagged<{ agent: Agent }>>(() => getTagged<{ agent: Agent }>(`/agents/${id}`), [id]);
  return (
    <Dialog title={t("Merge both changes")} close={close} wide unsaved={false}>
      <LoadedView of={loaded}>
        {({ agent, etag }) => {
          const theirs = documentOf(agent);
          return <Choices key={etag} merge={mergeOf(base, mine, theirs)} save={(merged) => save(merged as Partial<Agent>, theirs, etag)} close={close} />;
        }}
      </LoadedView>
    </Dialog>
  );
}

function Choices({ merge, save, close }: { merge: Merge; save: (merged: Record<string, unknown>) => Promise<void>; close: () => void }) {
  const [theirs, choose] = useState(new Set<string>());
  const put = (path: string, taken: boolean) => choose((before) => new Set(taken ? [...before, path] : [...before].filter((one) => one !== path)));
  return (
    <Form label={t("Merge and save")} submit={async () => { await save(settled(merge, theirs)); close(); }} beside={<Button onClick={close}>{t("Cancel")}</Button>}>
      <Fields title={t("Only you have changed")} paths={merge.onlyMine} />
      <Fields title={t("Only the other has changed")} paths={merge.onlyTheirs} />
      {!merge.clashes.length && <p>{t("Nothing was changed by both: the merged agent has both changes.")}</p>}
      {merge.clashes.map(({ path, mine, theirs: other, base }) => (
        <fieldset class="clash" key={path}>
          <legend><code>{path}</code></legend>
          {!same(base, undefined) && <details class="more"><summary>{t("Before both changes")}</summary><pre tabIndex={0}>{shown(base)}</pre></details>}
          <label class={theirs.has(path) ? "choice" : "choice chosen"}><span><input type="radio" name={path} checked={!theirs.has(path)} onChange={() => put(path, false)} /> <strong>{t("Mine")}</strong></span><pre tabIndex={0}>{shown(mine)}</pre></label>
          <label class={theirs.has(path) ? "choice chosen" : "choice"}><span><input type="radio" name={path} checked={theirs.has(path)} onChange={() => put(path, true)} /> <strong>{t("The other's")}</strong></span><pre tabIndex={0}>{shown(other)}</pre></label>
        </fieldset>
      ))}
    </Form>
  );
}

function Fields({ title, paths }: { title: string; paths: string[] }) {
  if (!paths.length) return null;
  return <p><strong>{title}:</strong> {paths.map((path, index) => <span key={path}>{index > 0 && ", "}<code>{path}</code></span>)}</p>;
}
