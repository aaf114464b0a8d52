import { useEffect, useState } from "preact/hooks";
import { ApiError, type Demo, type Me, type OrganizationChoice, demoOf, post } from "../api";
import { LANGUAGES, type Language, language, setLanguage, t } from "../i18n";
import { navigate } from "../router";
import { Button, Dialog, Form, Input, Link, ErrorMessage, Select, useAction } from "../ui";

export function LoginCard({ title, children }: { title: string; children: preact.ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · Trunkline`;
  }, [title]);
  return (
    <main class="door">
      <img src="/favicon.svg" alt="" width="48" height="48" />
      <h1>{title}</h1>
      {children}
      <Select label={t("Language")} value={language()} set={(value) => setLanguage(value as Language)} options={LANGUAGES} />
    </main>
  );
}

export function Login({ entered }: { entered: (me: Me) => void }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [demo, setDemo] = useState<Demo | null>(null);
  const [asked, setAsked] = useState<{ email: string; password: string; organizations: OrganizationChoice[] } | null>(null);
  const { busy, error, run } = useAction();
  useEffect(() => {
    demoOf().then(setDemo);
  }, []);
  const login = async (email: string, password: string, organization_id?: string) => {
    try {
      entered(await post<Me>("/auth/login", { email, password, organization_id }));
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "organization_required") throw error;
      setAsked({ email, password, organizations: error.organizations });
    }
  };
  if (asked) {
    return (
      <LoginCard title={t("Which organization?")}>
        <p class="soft clip">{asked.email}</p>
        <ul class="choices" aria-label={t("Organizations")}>
          {asked.organizations.map(({ id, name, role }) => (
            <li key={id}>
              <button type="button" disabled={busy} onClick={() => run(() => login(asked.email, asked.password, id))}>
                <span class="clip">{name}</span> <span class="soft">{t(role)}</span>
              </button>
            </li>
          ))}
        </ul>
        <ErrorMessage error={error} />
        <button type="button" class="link" onClick={() => { setAsked(null); setPassword(""); }}>{t("Log in as someone else")}</button>
      </LoginCard>
    );
  }
  return (
    <LoginCard title={t("Log in")}>
      {demo && (
        <section class="demo">
          <p>
            {demo.examples.length > 0
              ? t("This is the demo: everything runs on this machine, and its agent hears and speaks here too.")
              : t("This is the demo: everything runs on this machine, with emulated providers.")}
          </p>
          <Button kind="main" busy={busy} onClick={() => run(() => login(demo.email, demo.password))}>{t("Look around")}</Button>
          <ErrorMessage error={error} />
        </section>
      )}
      <Form label={t("Log in")} submit={() => login(email, password)}>
        <Input label={t("E-mail")} type="email" required autocomplete="username" value={email} set={setEmail} />
        <Input label={t("Password")} type="password" required autocomplete="current-password" value={password} set={setPassword} />
      </Form>
      {!demo && (
        <>
          <p><Link to="forgot">{t("Forgotten password?")}</Link></p>
          <details class="soft">
            <summary>{t("No account?")}</summary>
            <p>{t("Ask an owner of your organization to invite you under People.")}</p>
            <p>{t("The first owner is created on the server with")} <code>trunkline bootstrap</code>.</p>
          </details>
        </>
      )}
    </LoginCard>
  );
}

/** The session has ended while somebody worked: the page behind stays, with everything that was typed. */
export function LoginAgain({ email, organization, entered, close }: { email: string; organization: string; entered: (me: Me) => void; close: () => void }) {
  const [password, setPassword] = useState("");
  return (
    <Dialog title={t("Your session has ended")} close={close} unsaved={false}>
      <p>{t("Log in again to go on. What you have entered is still there.")}</p>
      <Form label={t("Log in")} submit={async () => entered(await post<Me>("/auth/login", { email, password, organization_id: organization }))}>
        <p class="clip">{email}</p>
        <Input label={t("Password")} type="password" required autocomplete="current-password" value={password} set={setPassword} />
      </Form>
    </Dialog>
  );
}

export function Invitation({ token, entered }: { token: string; entered: (me: Me) => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  return (
    <LoginCard title={t("Welcome to Trunkline")}>
      <Form label={t("Get started")} submit={async () => {
        const me = await post<Me>("/invitations/accept", { token, password, ...(name ? { name } : {}) });
        navigate("");
        entered(me);
      }}>
        <Input label={t("Name")} autocomplete="name" value={name} set={setName} />
        <Input label={t("New password")} type="password" required minLength={10} autocomplete="new-password" hint={t("At least ten characters. It applies to this organization; your other organizations keep their own.")} value={password} set={setPassword} />
      </Form>
    </LoginCard>
  );
}
