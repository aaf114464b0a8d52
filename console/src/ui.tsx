// Shared UI components.

import { ApiError } from "./api";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { errorText, translated } from "./errors";
import { locale, t } from "./i18n";
import type { Loaded } from "./live";

type Children = { children?: ComponentChildren };

export function Page({ title, actions, children }: Children & { title: string; actions?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Trunkline`;
  }, [title]);
  return (
    <>
      <header class="page">
        <h1 ref={heading} tabIndex={-1}>{title}</h1>
        <div class="actions">{actions}</div>
      </header>
      {children}
    </>
  );
}

export function Card({ title, actions, children, wide }: Children & { title?: string; actions?: ComponentChildren; wide?: boolean }) {
  return (
    <section class={wide ? "card wide" : "card"}>
      {(title || actions) && (
        <header>
          {title && <h2>{title}</h2>}
          <div class="actions">{actions}</div>
        </header>
      )}
      {children}
    </section>
  );
}

export function Button({ kind = "plain", busy, children, ...rest }: JSX.HTMLAttributes<HTMLButtonElement> & { kind?: "plain" | "main" | "danger" | "quiet"; busy?: boolean; type?: "button" | "submit"; disabled?: boolean }) {
  return (
    <button type="button" {...rest} class={kind} disabled={busy || rest.disabled} aria-busy={busy}>
      {children}
    </button>
  );
}

export function Link({ to, children, ...rest }: Children & { to: string; "aria-label"?: string }) {
  return <a href={`#/${to}`} {...rest}>{children}</a>;
}

const TONES: Record<string, string> = {
  completed: "good", delivered: "good", reachable: "good", connected: "good",
  running: "live",
  failed: "bad", unreachable: "bad",
  in_progress: "live", initiated: "live", pending: "wait", connecting: "wait", reconnecting: "wait",
};

export function Badge({ value, tone, children }: Children & { value: string; tone?: string }) {
  return <span class={`badge ${tone ?? TONES[value] ?? ""}`}>{children ?? t(value.replaceAll("_", " "))}</span>;
}

export function ErrorMessage({ error, retry }: { error: Error | null; retry?: () => void }) {
  if (!error) return null;
  const faults = error instanceof ApiError ? error.faults : [];
  return (
    <div class="problem" role="alert">
      <p>{errorText(error)}</p>
      {faults.length > 1 && <ul>{faults.map((fault, index) => <li key={index}><code>{fault.field}</code> {translated(fault.message)}</li>)}</ul>}
      {retry && <p><Button onClick={retry}>{t("Try again")}</Button></p>}
    </div>
  );
}

/** Empty state with a hint. */
export function EmptyState({ title, children }: Children & { title: string }) {
  return (
    <div class="empty">
      <p class="title">{title}</p>
      <p>{children}</p>
    </div>
  );
}

/** Shows loaded data, a loading state or an error. */
export function LoadedView<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
  if (of.data) return <>{of.error && <ErrorMessage error={of.error} retry={of.reload} />}{children(of.data)}</>;
  if (of.error) return <ErrorMessage error={of.error} retry={of.reload} />;
  return <p class="loading" role="status">{t("Loading…")}</p>;
}

export interface Column<T> {
  name: string;
  cell: (row: T) => ComponentChildren;
  /** Right-aligned. */
  right?: boolean;
  /** Left out on telephones. */
  extra?: boolean;
}

export function Table<T extends { id: string }>({ rows, columns, caption }: { rows: T[]; columns: Column<T>[]; caption: string }) {
  const look = (column: Column<T>) => [column.right && "right", column.extra && "extra", !column.name && "acts"].filter(Boolean).join(" ");
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table class="list">
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>{columns.map((column) => <th key={column.name} scope="col" class={look(column)}>{column.name || <span class="unseen">{t("Actions")}</span>}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>{columns.map((column) => <td key={column.name} class={look(column)} data-label={column.name || undefined}>{column.cell(row)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Pager({ total, limit, offset, go }: { total: number; limit: number; offset: number; go: (offset: number) => void }) {
  if (total <= limit && !offset) return null;
  return (
    <nav class="pager" aria-label={t("Pages of the list")}>
      <Button disabled={offset === 0} onClick={() => go(Math.max(0, Math.min(offset, Math.floor(Math.max(total - 1, 0) / limit) * limit + limit) - limit))}>{t("Previous")}</Button>
      <span>{total > offset ? `${formatNumber(offset + 1)}–${formatNumber(Math.min(offset + limit, total))}` : "–"} {t("of")} {formatNumber(total)}</span>
      <Button disabled={offset + limit >= total} onClick={() => go(offset + limit)}>{t("Next")}</Button>
    </nav>
  );
}

/** Rows that the page holds already, a page of them at a time. */
export function usePage<T>(rows: T[], limit: number): { shown: T[]; pager: ComponentChildren } {
  const [offset, go] = useState(0);
  const from = offset < rows.length ? offset : 0;
  return { shown: rows.slice(from, from + limit), pager: <Pager total={rows.length} limit={limit} offset={from} go={go} /> };
}

/** Tabs of one page; arrow keys, Home and End move between them. */
export function Tabs<T extends string>({ label, tabs, tab, set }: { label: string; tabs: [T, string][]; tab: T; set: (tab: T) => void }) {
  const move = (event: KeyboardEvent) => {
    const at = tabs.findIndex(([name]) => name === tab);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const [next] = tabs[(to + tabs.length) % tabs.length]!;
    set(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map(([name, text]) => <button type="button" key={name} role="tab" id={`tab-${name}`} aria-selected={tab === name} aria-controls="panel" tabIndex={tab === name ? 0 : -1} onClick={() => set(name)}>{text}</button>)}
    </div>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  error?: string;
}

function Labelled({ label, hint, error, id, children }: Children & FieldProps & { id: string }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint && <small id={`${id}-hint`}>{hint}</small>}
      {error && <small class="bad" role="alert">{error}</small>}
    </div>
  );
}

export function Input({ label, hint, error, value, set, ...rest }: FieldProps & { value: string; set: (value: string) => void } & Omit<JSX.HTMLAttributes<HTMLInputElement>, "label"> & { type?: string; required?: boolean; placeholder?: string; min?: number | string; max?: number | string; step?: number | string; autocomplete?: string; minLength?: number; maxLength?: number; list?: string; disabled?: boolean; spellcheck?: boolean }) {
  const id = useId();
  return (
    <Labelled {...{ label, hint, error, id }}>
      <input id={id} value={value} onInput={(event) => set(event.currentTarget.value)} aria-describedby={hint && `${id}-hint`} aria-invalid={Boolean(error)} {...rest} />
    </Labelled>
  );
}

export function TextArea({ label, hint, error, value, set, rows = 4, code }: FieldProps & { value: string; set: (value: string) => void; rows?: number; code?: boolean }) {
  const id = useId();
  return (
    <Labelled {...{ label, hint, error, id }}>
      <textarea id={id} rows={rows} class={code ? "code" : ""} spellcheck={!code} value={value} onInput={(event) => set(event.currentTarget.value)} aria-describedby={hint && `${id}-hint`} />
    </Labelled>
  );
}

export function Select({ label, hint, error, value, set, options }: FieldProps & { value: string; set: (value: string) => void; options: [string, string][] }) {
  const id = useId();
  return (
    <Labelled {...{ label, hint, error, id }}>
      <select id={id} value={value} onChange={(event) => set(event.currentTarget.value)} aria-describedby={hint && `${id}-hint`}>
        {options.map(([key, name]) => <option key={key} value={key}>{name}</option>)}
      </select>
    </Labelled>
  );
}

export function Checkbox({ label, checked, set }: { label: ComponentChildren; checked: boolean; set: (checked: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(event) => set(event.currentTarget.checked)} /> {label}
    </label>
  );
}

/** Form that shows server validation errors. `locked`: somebody may read it and not change it. */
export function Form({ submit, label, children, danger, locked, beside }: Children & { submit: () => Promise<unknown>; label: string; danger?: boolean; locked?: string; beside?: ComponentChildren }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const send = (event: Event) => {
    event.preventDefault();
    if (busy || locked) return;
    setBusy(true);
    setError(null);
    submit().catch(setError).finally(() => setBusy(false));
  };
  return (
    <form onSubmit={send}>
      {locked ? <fieldset class="locked" disabled>{children}</fieldset> : children}
      <ErrorMessage error={error} />
      {locked ? <p class="soft">{locked}</p> : <div class="actions submit"><Button kind={danger ? "danger" : "main"} type="submit" busy={busy}>{label}</Button>{beside}</div>}
    </form>
  );
}

const FIELDS = "input:not([type=hidden]):not(:disabled), select:not(:disabled), textarea:not(:disabled)";

/** A question in front of everything else. Escape closes it, and asks first if something was typed. */
export function Dialog({ title, close, children, wide, unsaved }: Children & { title: string; close: () => void; wide?: boolean; unsaved?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [touched, touch] = useState(false);
  const typed = unsaved ?? touched;
  const [asking, ask] = useState(false);
  const id = useId();
  useEffect(() => {
    const box = dialog.current;
    box?.showModal();
    // The first thing to fill in, not the cross in the corner.
    (box?.querySelector<HTMLElement>(`:scope > .inner :is(${FIELDS})`) ?? box?.querySelector<HTMLElement>(":scope > .inner button, :scope > .inner a"))?.focus();
  }, []);
  const leave = () => (typed ? ask(true) : dialog.current?.close());
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide" : ""}
      onClose={(event) => event.target === dialog.current && close()}
      onCancel={(event) => {
        if (event.target !== dialog.current || !typed) return;
        event.preventDefault();
        ask(true);
      }}
      onInput={() => touch(true)}
      onSubmit={() => ask(false)}
      aria-labelledby={id}
    >
      <header>
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" onClick={leave} aria-label={t("Close")}>✕</Button>
      </header>
      {asking && (
        <div class="problem" role="alert">
          <p>{t("What you have entered is not saved.")}</p>
          <p class="actions"><Button onClick={() => ask(false)}>{t("Keep editing")}</Button><Button kind="danger" onClick={() => dialog.current?.close()}>{t("Discard")}</Button></p>
        </div>
      )}
      <div class="inner">{children}</div>
    </dialog>
  );
}

/** Button with a confirmation dialog. */
export function Confirm({ label, question, act, name, kind = "quiet", disabled, yes = label }: { label: string; question: string; act: () => Promise<unknown>; name?: string; kind?: "plain" | "danger" | "quiet"; disabled?: boolean; yes?: string }) {
  const [asking, ask] = useState(false);
  return (
    <>
      <Button kind={kind} disabled={disabled} onClick={() => ask(true)} aria-label={name && `${label}: ${name}`}>{label}</Button>
      {asking && (
        <Dialog title={name ? `${label}: ${name}` : label} close={() => ask(false)}>
          <p>{question}</p>
          <Form label={yes} danger submit={async () => { await act(); ask(false); }} beside={<Button onClick={() => ask(false)}>{t("Cancel")}</Button>} />
        </Dialog>
      )}
    </>
  );
}

/** Copies a text; pages without https have no clipboard of their own. */
async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = Object.assign(document.createElement("textarea"), { value: text });
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

export function CopyButton({ text, name }: { text: string; name?: string }) {
  const [state, set] = useState<"" | "done" | "failed">("");
  const said = state === "done" ? t("Copied") : state === "failed" ? t("Select it and copy it by hand") : t("Copy");
  return <Button kind={name ? "quiet" : "plain"} aria-label={name && !state ? `${t("Copy")}: ${name}` : undefined} onClick={() => void copied(text).then((done) => set(done ? "done" : "failed"))}><span role={state ? "status" : undefined}>{said}</span></Button>;
}

/** An identifier to hand on. */
export function Copyable({ text, name }: { text: string; name: string }) {
  return <span class="copyable"><code>{text}</code> <CopyButton text={text} name={name} /></span>;
}

/** Secrets that are shown only once. */
export function ShownOnce({ label, text }: { label: string; text: string }) {
  return (
    <div class="once">
      <p>{label}</p>
      <code>{text}</code> <CopyButton text={text} />
    </div>
  );
}

/** Runs an action and keeps its busy state and error. */
export function useAction(): { busy: boolean; error: Error | null; run: (act: () => Promise<unknown>) => void; clear: () => void } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const run = (act: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    act().catch(setError).finally(() => setBusy(false));
  };
  return { busy, error, run, clear: () => setError(null) };
}

export function formatDateTime(iso: string | null): string {
  if (!iso) return "–";
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

/** A day that is written YYYY-MM-DD, in UTC. */
export function formatDay(day: string): string {
  return new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${day}T00:00:00Z`));
}

/** The present moment, every second as long as something on the page goes on. */
export function useNow(ticking: boolean): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    if (!ticking) return;
    set(Date.now());
    const timer = setInterval(() => set(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [ticking]);
  return now;
}

export function formatTime(iso: string): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(new Date(iso));
}

export function formatDuration(seconds: number | null): string {
  if (seconds === null) return "–";
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export function formatNumber(value: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

export function formatMoney(value: number, currency: string): string {
  const digits = value !== 0 && Math.abs(value) < 1 ? 4 : 2;
  return new Intl.NumberFormat(locale(), { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}
