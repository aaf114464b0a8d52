// Links that show one call to people without an account: made, copied, revoked.

import { useState } from "preact/hooks";
import { type CallShare, get, post, remove } from "./api";
import { t } from "./i18n";
import { useLoad } from "./live";
import { Button, Checkbox, Confirm, CopyButton, Dialog, Form, LoadedView, Select, formatDateTime } from "./ui";

const DAYS: [string, string][] = [["1", "1 hour"], ["24", "1 day"], ["168", "1 week"], ["720", "30 days"]];

export function Share({ call, recording }: { call: string; recording: boolean }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t("Share")}</Button>
      {open && <ShareDialog call={call} recording={recording} close={() => setOpen(false)} />}
    </>
  );
}

function ShareDialog({ call, recording, close }: { call: string; recording: boolean; close: () => void }) {
  const [hours, setHours] = useState("168");
  const [plays, setPlays] = useState(recording);
  const state = useLoad(() => get<{ shares: CallShare[] }>(`/calls/${call}/shares`), [call]);
  return (
    <Dialog title={t("Share this call")} close={close} unsaved={false}>
      <p>{t("Whoever has the link sees the transcript of this one call, without an account. Numbers, costs and figures stay hidden.")}</p>
      <Form label={t("Create a link")} submit={async () => {
        await post(`/calls/${call}/share`, { expires_in_hours: Number(hours), recording: plays });
        state.reload();
      }}>
        <Select label={t("Works for")} value={hours} set={setHours} options={DAYS.map(([value, name]) => [value, t(name)])} />
        {recording && <Checkbox label={t("With the recording")} checked={plays} set={setPlays} />}
      </Form>
      <LoadedView of={state}>
        {({ shares }) => shares.length > 0 && (
          <ul class="shares" aria-label={t("Links that work")}>
            {shares.map((share) => (
              <li key={share.id}>
                <input readOnly value={share.url} aria-label={t("Link")} onFocus={(event) => event.currentTarget.select()} />
                <span class="actions"><CopyButton text={share.url} name={t("Link")} /><Confirm label={t("Revoke")} question={t("Revoke this link? It stops working at once.")} act={async () => { await remove(`/calls/${call}/shares/${share.id}`); state.reload(); }} /></span>
                <span class="soft">{t("until")} {formatDateTime(share.expires_at)} · {share.recording ? t("with the recording") : t("without the recording")} · {share.created_by}</span>
              </li>
            ))}
          </ul>
        )}
      </LoadedView>
    </Dialog>
  );
}
