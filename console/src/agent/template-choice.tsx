// The choice of a template, and the few things that it asks for.

import "../pages/welcome.css";
import { useState } from "preact/hooks";
import { type Agent, type Provider, get, post } from "../api";
import { language, t } from "../i18n";
import { useLoad } from "../live";
import { plainNumber } from "../phone";
import { Dialog, Form, Input, LoadedView, Select } from "../ui";
import { TEMPLATES, type TemplateAnswers, type TemplateName, agentOf, hasModel, hears } from "./templates";

export const TEMPLATE_NAMES = Object.keys(TEMPLATES) as TemplateName[];

/** Templates side by side. */
export function TemplateCards({ choose }: { choose: (name: TemplateName) => void }) {
  return (
    <ul class="templates" aria-label={t("Templates")}>
      {TEMPLATE_NAMES.map((name) => <li key={name}><button type="button" onClick={() => choose(name)}><strong>{t(TEMPLATES[name].title)}</strong><small>{t(TEMPLATES[name].about)}</small></button></li>)}
    </ul>
  );
}

/** Makes the agent of a template. */
export async function createFrom(name: TemplateName, answers: TemplateAnswers, providers: Provider[]): Promise<Agent> {
  return (await post<{ agent: Agent }>("/agents", agentOf(name, answers, providers))).agent;
}

export function TemplateDialog({ name, made, close }: { name: TemplateName; made: (agent: Agent) => void; close: () => void }) {
  const template = TEMPLATES[name];
  const providers = useLoad(() => get<{ providers: Provider[] }>("/providers"), []);
  const [answers, set] = useState<TemplateAnswers>({ business: "", language: language(), person: "", orders: "" });
  const put = (field: keyof TemplateAnswers) => (value: string) => set({ ...answers, [field]: value });
  return (
    <Dialog title={t(template.title)} close={close}>
      <LoadedView of={providers}>
        {({ providers }) => (
          <Form label={t("Create")} submit={async () => made(await createFrom(name, { ...answers, person: plainNumber(answers.person) }, providers))}>
            <p class="soft">{t(template.about)}</p>
            <Input label={t("Business")} required maxLength={200} hint={t("Company that the agent speaks for.")} value={answers.business} set={put("business")} />
            <Select label={t("Language")} value={answers.language} set={put("language")} options={[["en", "English"], ["nl", "Nederlands"]]} />
            {template.asks.includes("person") && <Input label={t("Number of a colleague")} type="tel" placeholder="+31201234567" hint={t("Callers who want a person are put through. Empty: a message is taken.")} value={answers.person} set={put("person")} />}
            {template.asks.includes("orders") && <Input label={t("Address of your order system")} type="url" placeholder="https://example.com/orders" hint={t("Asked with ?order_number=… (GET). Empty: the number is noted for a colleague.")} value={answers.orders} set={put("orders")} />}
            {!hasModel(providers) && <p class="wait">{t("No language model has a key yet: until then, this agent takes messages by rules.")}</p>}
            {!hears(providers, answers.language) && <p class="wait">{t("This server understands English only: set the key of a provider for speech recognition first.")}</p>}
          </Form>
        )}
      </LoadedView>
    </Dialog>
  );
}
