import { useState } from "preact/hooks";
import { type Provider, type Secret, type User, get, getAll, post, remove } from "../api";
import { lineText, translated } from "../errors";
import { t } from "../i18n";
import { useLoad } from "../live";
import { providerName } from "../provider-names";
import { Badge, Button, Card, Confirm, Dialog, Form, Input, Page, LoadedView, Table, useAction } from "../ui";

interface ProviderTest {
  ok: boolean;
  latency_ms: number;
  problem: { kind: string; message: string } | null;
  missing_models?: string[];
}

/** What is known of a provider: nothing before a test or a failure. A key that is missing is no provider that works. */
export type ProviderState = "not configured" | "untested" | "ok" | "failed" | "paused" | "being tested" | "asked to wait";

/** The state of one stage; `breaker` is the API's word, where `open` lets requests through. */
export function stageState(key: Provider["key"], stage: { breaker: string; failures_in_a_row: number }, trial: { ok: boolean } | undefined): ProviderState {
  if (key === "none") return "not configured";
  if (stage.breaker === "closed") return "paused";
  if (stage.breaker === "trying") return "being tested";
  if (stage.breaker === "waiting") return "asked to wait";
  if (stage.failures_in_a_row > 0) return "failed";
  return trial ? (trial.ok ? "ok" : "failed") : "untested";
}

const STATE_TONES: Record<ProviderState, string> = { "not configured": "", untested: "", ok: "good", failed: "bad", paused: "bad", "being tested": "wait", "asked to wait": "wait" };

export function Providers({ user }: { user: User }) {
  const state = useLoad(async () => {
    const [{ providers }, secrets] = await Promise.all([
      get<{ providers: Provider[] }>("/providers"),
      user.role === "member" ? [] : getAll<Secret>("/secrets", "secrets"),
    ]);
    return { providers: providers.map((provider) => ({ ...provider, id: provider.name })), secrets };
  }, [], { everyMs: 10_000 });
  const [open, setOpen] = useState<string | null>(null);
  const [trials, setTrials] = useState<Record<string, ProviderTest>>({});
  return (
    <Page title={t("Providers")}>
      <p class="soft">{t("Speech and model providers. Your key overrides the server's.")}</p>
      <LoadedView of={state}>
        {({ providers, secrets }) => (
          <Card wide>
            <Table caption={t("Providers")} rows={providers} columns={[
              { name: t("Provider"), cell: (provider) => providerName(provider.name) },
              { name: t("Provider key"), cell: (provider) => <Badge value={provider.key} tone={provider.key === "own" || provider.key === "server" ? "good" : ""}>{t(`key: ${provider.key}`)}</Badge> },
              { name: t("State"), cell: (provider) => provider.key === "none" ? <Badge value="none" tone="">{t("not configured")}</Badge> : (
                <ul class="inline">{provider.stages.map((stage) => {
                  const now = stageState(provider.key, stage, trials[provider.name]);
                  return <li key={stage.stage}>{t(`stage: ${stage.stage}`)} <Badge value={now} tone={STATE_TONES[now]}>{t(now)}{stage.failures_in_a_row > 0 && ` (${stage.failures_in_a_row}×)`}</Badge></li>;
                })}</ul>
              ) },
              { name: t("Test"), cell: (provider) => <Test provider={provider} trial={trials[provider.name]} set={(trial) => setTrials((before) => ({ ...before, [provider.name]: trial }))} /> },
              { name: "", right: true, cell: (provider) => {
                const own = secrets.filter((one) => one.provider === provider.name);
                if (user.role === "member" || provider.key === "not_needed") return null;
                return (
                  <span class="actions">
                    <Button kind="quiet" aria-label={`${t("Set key")}: ${provider.name}`} onClick={() => setOpen(provider.name)}>{t("Set key")}</Button>
                    {own.map((secret) => (
                      <Confirm key={secret.id} label={t("Remove key")} name={secret.base_url ?? provider.name} question={t("Remove this key? Calls use the server's, if it has one.")} act={async () => { await remove(`/secrets/${secret.id}`); forget(provider.name); }} />
                    ))}
                  </span>
                );
              } },
            ]} />
          </Card>
        )}
      </LoadedView>
      {open && <SetKey provider={open} close={() => { setOpen(null); forget(open); }} />}
    </Page>
  );

  /** Another key has not been tested. */
  function forget(name: string) {
    setTrials(({ [name]: _, ...rest }) => rest);
    state.reload();
  }
}

function Test({ provider, trial, set }: { provider: Provider; trial: ProviderTest | undefined; set: (trial: ProviderTest) => void }) {
  const { busy, error, run } = useAction();
  const missing = provider.key === "none";
  return (
    <>
      <span class="actions">
        <Button kind="quiet" busy={busy} disabled={missing} aria-label={`${t("Test")}: ${provider.name}`} onClick={() => run(async () => set(await post<ProviderTest>(`/providers/${provider.name}/test`)))}>{t("Test")}</Button>
        {trial?.ok && <span role="status"><Badge value="ok" tone="good">{`${t("ok")} · ${trial.latency_ms} ms`}</Badge></span>}
      </span>
      {missing && <small class="reason">{t("Set a key to test it.")}</small>}
      {trial?.problem && <span class="bad" role="alert">{translated(trial.problem.message)}</span>}
      {trial?.missing_models?.map((advice) => <small key={advice} class="reason">{advice}</small>)}
      {error && <span class="bad" role="alert">{lineText(error)}</span>}
    </>
  );
}

function SetKey({ provider, close }: { provider: string; close: () => void }) {
  const [value, set] = useState("");
  const [base_url, setAddress] = useState("");
  return (
    <Dialog title={`${t("Provider key")}: ${provider}`} close={close}>
      <Form label={t("Save")} submit={async () => { await post("/secrets", { name: provider, provider, value, ...(base_url ? { base_url } : {}) }); close(); }}>
        <Input label={t("Provider key")} type="password" required autocomplete="off" hint={t("Stored encrypted; it is never shown again.")} value={value} set={set} />
        <Input label={t("Address (base_url)")} type="url" hint={t("Empty: the provider's own address. Otherwise the key is sent to this address only.")} value={base_url} set={setAddress} />
      </Form>
    </Dialog>
  );
}
