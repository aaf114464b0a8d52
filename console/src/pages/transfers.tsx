// Where an agent may transfer callers: a part of its form.

import { useState } from "preact/hooks";
import { shownHeaders, readHeaders } from "../headers";
import { t } from "../i18n";
import { Button, Checkbox, Input, Select, TextArea } from "../ui";

interface Destination {
  name: string;
  target: string;
  description?: string;
  mode?: string;
  headers?: Record<string, string>;
  pass_user_to_user?: boolean;
}

export interface Transfers {
  destinations?: Destination[];
  [field: string]: unknown;
}

const MODES = ["auto", "refer", "bridge", "attended"];

export function TransferFields({ transfers, change }: { transfers: Transfers | null; change: (transfers: Transfers) => void }) {
  const all = transfers?.destinations ?? [];
  const set = (destinations: Destination[]) => change({ ...transfers, destinations });
  return (
    <fieldset>
      <legend>{t("Transfers")}</legend>
      {all.map((one, index) => (
        <DestinationFields
          key={index}
          destination={one}
          change={(changes) => set(all.map((other, at) => (at === index ? { ...other, ...changes } : other)))}
          remove={() => set(all.filter((_, at) => at !== index))}
        />
      ))}
      <p><Button onClick={() => set([...all, { name: "", target: "" }])}>{t("Add a destination")}</Button></p>
    </fieldset>
  );
}

function DestinationFields({ destination, change, remove }: { destination: Destination; change: (changes: Partial<Destination>) => void; remove: () => void }) {
  const [typed, type] = useState("");
  const headers = destination.headers ?? {};
  return (
    <div role="group" aria-label={destination.name || t("New destination")}>
      <div class="grid">
        <Input label={t("Name of the destination")} required value={destination.name} set={(name) => change({ name })} />
        <Input label={t("Number or SIP address")} required value={destination.target} set={(target) => change({ target })} />
        <Select label={t("Method")} value={destination.mode ?? ""} set={(mode) => change({ mode: mode || undefined })} options={[["", t("as for all")], ...MODES.map((mode): [string, string] => [mode, mode])]} />
      </div>
      <Input label={t("When it is chosen")} value={destination.description ?? ""} set={(text) => change({ description: text || undefined })} />
      <TextArea label={t("SIP headers")} hint={t("For the destination, one a line, such as X-Queue: vip. Names begin with X-, or are User-to-User.")} code rows={2} value={shownHeaders(typed, headers)} set={(text) => { type(text); change({ headers: readHeaders(text) }); }} />
      <Checkbox label={t("Passes the caller's User-to-User header on")} checked={destination.pass_user_to_user === true} set={(pass_user_to_user) => change({ pass_user_to_user })} />
      <p><Button kind="quiet" aria-label={`${t("Remove")}: ${destination.name}`} onClick={remove}>{t("Remove")}</Button></p>
    </div>
  );
}
