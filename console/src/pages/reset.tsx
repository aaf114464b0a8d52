import { useState } from "preact/hooks";
import { ApiError, post } from "../api";
import { t } from "../i18n";
import { Form, Input, Link } from "../ui";
import { LoginCard } from "./login";

/** Asks for the link that sets a new password. */
export function Forgotten() {
  const [email, setEmail] = useState("");
  const [sent, setSent] = useState<{ sends_mail: boolean } | null>(null);
  return (
    <LoginCard title={t("Forgotten password")}>
      {!sent && (
        <>
          <p class="soft">{t("We send you a link that sets a new password.")}</p>
          <Form label={t("Send the link")} submit={async () => setSent(await post<{ sends_mail: boolean }>("/auth/password-reset", { email: email.trim() }))}>
            <Input label={t("E-mail")} type="email" required autocomplete="username" maxLength={320} value={email} set={setEmail} />
          </Form>
        </>
      )}
      {sent?.sends_mail && (
        <div role="status">
          <p>{t("If this address has an account, a mail is on its way:")} <strong class="clip">{email}</strong></p>
          <p class="soft">{t("Its link works once, within an hour. Nothing there after a few minutes? Look in the spam folder.")}</p>
        </div>
      )}
      {sent && !sent.sends_mail && (
        <div role="status">
          <p>{t("This server sends no mail. Ask whoever runs it for a link; on the server they type:")}</p>
          <p><code>trunkline reset-password --email {email.trim()}</code></p>
        </div>
      )}
      <p><Link to="">{t("Back to the login")}</Link></p>
    </LoginCard>
  );
}

/** Sets the new password. */
export function Reset({ token }: { token: string }) {
  const [password, setPassword] = useState("");
  const [done, setDone] = useState<string | null>(null);
  if (done) {
    return (
      <LoginCard title={t("Password changed")}>
        <div role="status">
          <p>{t("Log in with the new password:")} <strong class="clip">{done}</strong></p>
          <p class="soft">{t("All sessions of this account have ended.")}</p>
        </div>
        <p><Link to="">{t("Log in")}</Link></p>
      </LoginCard>
    );
  }
  return (
    <LoginCard title={t("New password")}>
      <Form label={t("Set the password")} submit={async () => {
        try {
          setDone((await post<{ email: string }>("/auth/password-reset/confirm", { token, password })).email);
        } catch (error) {
          throw error instanceof ApiError && error.field === "token" ? new Error("This link does not work, or no longer") : error;
        }
      }}>
        <Input label={t("New password")} type="password" required minLength={10} autocomplete="new-password" hint={t("At least ten characters. It applies to this organization; your other organizations keep their own.")} value={password} set={setPassword} />
      </Form>
      <p class="soft">{t("Has the link run out?")} <Link to="forgot">{t("Send another one")}</Link></p>
    </LoginCard>
  );
}
