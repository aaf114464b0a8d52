// The console: login state, routing and page layout.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, type Me, get, post, setLoggedOutHandler } from "./api";
import { forgetDrafts, hasDrafts, keepDraftsOf } from "./drafts";
import { applyLanguage, loadLanguage, t } from "./i18n";
import { subscribe, useConnected } from "./live";
import { AuditLog, Settings, Usage, Webhooks } from "./pages/account";
import { AlertPage, Alerts } from "./pages/alerts";
import { Analytics } from "./pages/analytics";
import { Agents } from "./pages/agents";
import { Batches, DoNotCall } from "./pages/batches";
import { CallPage, Calls } from "./pages/calls";
import { Doctor } from "./pages/doctor";
import { Invitation, Login, LoginAgain } from "./pages/login";
import { Numbers } from "./pages/numbers";
import { Overview } from "./pages/overview";
import { Keys, Organizations, Users } from "./pages/people";
import { Providers } from "./pages/providers";
import { Forgotten, Reset } from "./pages/reset";
import { Shared } from "./pages/shared";
import { Tasks } from "./pages/tasks";
import { type Route, useRoute } from "./router";
import "./style.css";
import { applyTheme } from "./theme";
import { Button, Dialog, EmptyState, ErrorMessage, Link, Page } from "./ui";

/** Path, name, whether it is for admins alone, whether another group begins. */
const MENU: [string, string, boolean, boolean?][] = [
  ["", "Overview", false],
  ["agents", "Agents", false],
  ["numbers", "Numbers", false],
  ["providers", "Providers", false],
  ["webhooks", "Webhooks", false],
  ["calls", "Calls", false, true],
  ["tasks", "Tasks", false],
  ["batches", "Batches", false],
  ["do-not-call", "Do not call", false],
  ["analytics", "Analytics", false, true],
  ["alerts", "Alerts", false],
  ["usage", "Usage", false],
  ["health", "Health check", true],
  ["people", "People", false, true],
  ["organizations", "Organizations", false],
  ["keys", "API keys", true],
  ["audit", "Audit log", true],
  ["settings", "Settings", false],
];

function Content({ route, me, changed }: { route: Route; me: Me; changed: () => void }) {
  const [page = "", id] = route.parts;
  switch (page) {
    case "": return <Overview manages={me.user.role !== "member"} />;
    case "agents": return id ? <Editor key={`${id} ${route.params.get("from") ?? ""}`} id={id} route={route} /> : <Agents />;
    case "calls": return id ? <CallPage key={id} id={id} route={route} /> : <Calls />;
    case "tasks": return <Tasks />;
    case "batches": return <Batches />;
    case "do-not-call": return <DoNotCall />;
    case "numbers": return <Numbers key={route.params.get("new") ?? ""} route={route} />;
    case "providers": return <Providers user={me.user} />;
    case "webhooks": return <Webhooks />;
    case "health": return me.user.role === "member" ? <NoPage /> : <Doctor />;
    case "analytics": return <Analytics />;
    case "alerts": return id ? <AlertPage key={id} id={id} /> : <Alerts />;
    case "usage": return <Usage />;
    case "keys": return <Keys />;
    case "people": return <Users me={me.user} />;
    case "organizations": return <Organizations me={me} />;
    case "audit": return me.user.role === "member" ? <NoPage /> : <AuditLog />;
    case "settings": return <Settings me={me} changed={changed} />;
    default: return <NoPage />;
  }
}

/** The editor of agents, loaded by those who open it. */
function Editor(props: { id: string; route: Route }) {
  const [page, set] = useState<typeof import("./pages/agent-edit") | null>(null);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => void import("./pages/agent-edit").then(set, () => setError(new Error("This part of the console could not be loaded."))), []);
  if (error) return <ErrorMessage error={error} retry={() => location.reload()} />;
  return page ? <page.AgentEdit {...props} /> : <p class="loading" role="status">{t("Loading…")}</p>;
}

const NoPage = () => <Page title={t("Not found")}><EmptyState title={t("There is no such page")}><Link to="">{t("Overview")}</Link></EmptyState></Page>;

function Shell({ me, changed, leave }: { me: Me; changed: () => void; leave: () => void }) {
  const route = useRoute();
  const connected = useConnected();
  const main = useRef<HTMLElement>(null);
  const [open, setOpen] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const here = route.parts[0] ?? "";
  const whole = route.parts.join("/");
  const first = useRef(true);
  useEffect(subscribe, []);
  useEffect(() => {
    setOpen(false);
    // Whoever uses a keyboard or a screen reader is taken to the new page.
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [whole]);
  const manages = me.user.role !== "member";
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>{t("Skip to content")}</a>
      <nav class={open ? "side open" : "side"} aria-label={t("Pages")}>
        <div class="brand">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          <span>Trunkline</span>
          <button type="button" class="menu" aria-expanded={open} aria-controls="menu" onClick={() => setOpen(!open)}>{t("Menu")}</button>
        </div>
        <ul id="menu">
          {MENU.filter(([, , admins]) => manages || !admins).map(([path, name, , apart]) => (
            <li key={path} class={apart ? "apart" : undefined}><a href={`#/${path}`} aria-current={here === path ? "page" : undefined}>{t(name)}</a></li>
          ))}
          <li class="me">
            <span class="clip">{me.user.email}</span>
            <button type="button" class="link" onClick={() => (hasDrafts() ? setLeaving(true) : leave())}>{t("Log out")}</button>
          </li>
        </ul>
      </nav>
      <main ref={main} id="main" tabIndex={-1}>
        <p class="connection" role="status">{connected ? "" : t("Not connected: the data may be out of date.")}</p>
        <Content route={route} me={me} changed={changed} />
        {leaving && (
          <Dialog title={t("Log out")} close={() => setLeaving(false)}>
            <p>{t("There are changes that are not saved. Logging out throws them away.")}</p>
            <p class="actions"><Button onClick={() => setLeaving(false)}>{t("Keep editing")}</Button><Button kind="danger" onClick={leave}>{t("Log out")}</Button></p>
          </Dialog>
        )}
      </main>
    </div>
  );
}

/** The session: none, one, or one that has ended while somebody worked, whose page stays until they log in again. */
type Session = { state: "unknown" } | { state: "unreachable"; error: Error } | { state: "none" } | { state: "open"; me: Me } | { state: "expired"; me: Me };

function App() {
  const [session, set] = useState<Session>({ state: "unknown" });
  const [, again] = useState(0);
  const route = useRoute();
  const enter = (me: Me) => {
    keepDraftsOf(me.user.id);
    set({ state: "open", me });
  };
  const load = () => get<Me>("/auth/me").then(enter, (error: ApiError) => set((now) => (now.state === "open" || now.state === "expired" ? now : error.status === 401 ? { state: "none" } : { state: "unreachable", error })));
  useEffect(() => {
    setLoggedOutHandler(() => set((now) => (now.state === "open" ? { state: "expired", me: now.me } : now)));
    void load();
    // Language and theme apply at once.
    const change = () => again((count) => count + 1);
    addEventListener("trunkline.changed", change);
    return () => removeEventListener("trunkline.changed", change);
  }, []);
  if (route.parts[0] === "invitation" && route.parts[1]) return <Invitation token={route.parts[1]} entered={enter} />;
  // What people without a session may see.
  if (route.parts[0] === "shared" && route.parts[1]) return <Shared key={route.parts[1]} token={route.parts[1]} />;
  if (route.parts[0] === "reset" && route.parts[1]) return <Reset key={route.parts[1]} token={route.parts[1]} />;
  if (route.parts[0] === "forgot") return <Forgotten />;
  if (session.state === "unknown") return <p class="loading" role="status">{t("Loading…")}</p>;
  if (session.state === "unreachable") return <main class="door"><h1>Trunkline</h1><ErrorMessage error={session.error} retry={load} /></main>;
  if (session.state === "none") return <Login entered={enter} />;
  const { me } = session;
  const leave = () => void post("/auth/logout").catch(() => {}).finally(() => { forgetDrafts(); set({ state: "none" }); });
  return (
    <>
      <Shell key={me.user.id} me={me} changed={load} leave={leave} />
      {session.state === "expired" && <LoginAgain email={me.user.email} organization={me.organization.id} entered={enter} close={() => set((now) => (now.state === "expired" ? { state: "none" } : now))} />}
    </>
  );
}

applyTheme();
applyLanguage();
const place = document.getElementById("app")!;
void loadLanguage().then(() => {
  // What was seen until now.
  place.textContent = "";
  render(<App />, place);
});
