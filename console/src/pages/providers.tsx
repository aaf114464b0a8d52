import { useState } from "preact/hooks";
import { type Provider, type Secret, type User, get, post, remove } from "../api";
import { t } from "../i18n";
import { useLoad } from "../live";
import { Badge, Button, Card, Confirm, Dialog, Form, Input, Page, LoadedView, Table, useAction } from "../ui";

interface ProviderTest {
  ok: boolean;
  latency_ms: number;
  problem: { kind: string; message: string } | null;
  missing_models?: string[];
}

export function Providers({ user }: { user: User }) {
  const state = useLoad(async () => {
    const [{ providers }, secrets] = await Promise.all([
      get<{ providers: Provider[] }>("/providers"),
      user.role === "member" ? [] : get<{ secrets: Secret[] }>("/secrets?limit=100").then((answer) => answer.secrets),
    ]);
    return { providers: providers.map((provider) => ({ ...provider, id: provider.name })), secrets };
  }, [], { everyMs: 10_000 });
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Page title={t("Providers")}>
      <p class="soft">{t("Providers for STT, LLM and TTS. Your own key takes precedence over the server's.")}</p>
      <LoadedView of={state}>
        {({ providers, secrets }) => (
          <Card wide>
            <Table caption={t("Providers")} rows={providers} columns={[
              { name: t("Provider"), cell: (provider) => provider.name },
              { name: t("Provider key"), cell: (provider) => <Badge value={provider.key} tone={provider.key === "own" || provider.key === "server" ? "good" : ""}>{t(`key: ${provider.key}`)}</Badge> },
              { name: t("Stages"), cell: (provider) => (
                <ul class="inline">{provider.stages.map((stage) => (
                  <li key={stage.stage}>{t(`stage: ${stage.stage}`)} <Badge value={stage.breaker}>{t(`breaker: ${stage.breaker}`)}{stage.failures_in_a_row > 0 && ` (${stage.failures_in_a_row})`}</Badge></li>
                ))}</ul>
              ) },
              { name: t("Test"), cell: (provider) => <Test provider={provider} /> },
              { name: "", right: true, cell: (provider) => {
                const own = secrets.filter((one) => one.provider === provider.name);
                if (user.role === "member" || provider.key === "not_needed") return null;
                return (
                  <span class="actions">
                    <Button kind="quiet" aria-label={`${t("Set key")}: ${provider.name}`} onClick={() => setOpen(provider.name)}>{t("Set key")}</Button>
                    {own.map((secret) => (
                      <Confirm key={secret.id} label={t("Remove key")} name={secret.base_url ?? provider.name} question={t("Remove this key? Calls use the server's, if it has one.")} act={async () => { await remove(`/secrets/${secret.id}`); state.reload(); }} />
                    ))}
                  </span>
                );
              } },
            ]} />
          </Card>
        )}
      </LoadedView>
      {open && <SetKey provider={open} close={() => { setOpen(null); state.reload(); }} />}
    </Page>
  );
}

function Test({ provider }: { provider: Provider }) {
  const [trial, set] = useState<ProviderTest | null>(null);
  const { busy, error, run } = useAction();
  return (
    <span class="actions">
      <Button kind="quiet" busy={busy} aria-label={`${t("Test")}: ${provider.name}`} onClick={() => run(async () => set(await post<ProviderTest>(`/providers/${provider.name}/test`)))}>{t("Test")}</Button>
      {trial?.ok && <span role="status"><Badge value="open">{`${t("works")} · ${trial.latency_ms} ms`}</Badge></span>}
      {trial?.problem && <span class="bad" role="alert">{trial.problem.message}</span>}
      {trial?.missing_models?.map((advice) => <span key={advice} class="soft">{advice}</span>)}
      {error && <span class="bad" role="alert">{error.message}</span>}
    </span>
  );
}

function SetKey({ provider, close }: { provider: string; close: () => void }) {
  const [value, set] = useState("");
  const [base_url, setAddress] = useState("");
  return (
    <Dialog title={`${t("Provider key")}: ${provider}`} close={close}>
      <Form label={t("Save")} submit={async () => { await post("/secrets", { name: provider, provider, value, ...(base_url ? { base_url } : {}) }); close(); }}>
        <Input label={t("Provider key")} type="password" required autocomplete="off" hint={t("Stored encrypted; it is never shown again.")} value={value} set={set} />
        <Input label={t("Address (base_url)")} type="url" hint={t("Empty: the provider's own address. Otherwise the only base_url that this key is sent to.")} value={base_url} set={setAddress} />
      </Form>
    </Dialog>
  );
}
