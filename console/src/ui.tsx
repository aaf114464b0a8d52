// Shared UI components.

import { ApiError } from "./api";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
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
  completed: "good", delivered: "good", open: "good", own: "good", reachable: "good", connected: "good",
  failed: "bad", closed: "bad", none: "bad", unreachable: "bad",
  in_progress: "live", initiated: "live", pending: "wait", trying: "wait", waiting: "wait", connecting: "wait", reconnecting: "wait",
};

export function Badge({ value, tone, children }: Children & { value: string; tone?: string }) {
  return <span class={`badge ${tone ?? TONES[value] ?? ""}`}>{children ?? t(value.replaceAll("_", " "))}</span>;
}

/** What an error says in the user's language: by its code where there is a translation, else in the server's words. */
function errorText(error: Error): string {
  if (!(error instanceof ApiError)) return t(error.message);
  // The list below names them one by one.
  if (error.faults.length > 1) return t("Please correct these fields:");
  const key = `error: ${error.code}`;
  const byCode = t(key);
  if (byCode === key) return t(error.message);
  return error.faults.length === 1 && error.field ? `${byCode} ${error.field}: ${t(error.faults[0]?.message ?? "")}` : byCode;
}

export function ErrorMessage({ error }: { error: Error | null }) {
  if (!error) return null;
  const faults = error instanceof ApiError ? error.faults : [];
  return (
    <div class="problem" role="alert">
      <p>{errorText(error)}</p>
      {faults.length > 1 && <ul>{faults.map((fault) => <li key={fault.field}><code>{fault.field}</code> {t(fault.message)}</li>)}</ul>}
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
  if (of.data) return <>{of.error && <ErrorMessage error={of.error} />}{children(of.data)}</>;
  if (of.error) return <ErrorMessage error={of.error} />;
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
  const look = (column: Column<T>) => [column.right && "right", column.extra && "extra"].filter(Boolean).join(" ");
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>{columns.map((column) => <th key={column.name} scope="col" class={look(column)}>{column.name || <span class="unseen">{t("Actions")}</span>}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>{columns.map((column) => <td key={column.name} class={look(column)}>{column.cell(row)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Pager({ total, limit, offset, go }: { total: number; limit: number; offset: number; go: (offset: number) => void }) {
  if (total <= limit) return null;
  return (
    <nav class="pager" aria-label={t("Pages")}>
      <Button disabled={offset === 0} onClick={() => go(Math.max(0, offset - limit))}>{t("Newer")}</Button>
      <span>{offset + 1}–{Math.min(offset + limit, total)} {t("of")} {total}</span>
      <Button disabled={offset + limit >= total} onClick={() => go(offset + limit)}>{t("Older")}</Button>
    </nav>
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

export function Input({ label, hint, error, value, set, ...rest }: FieldProps & { value: string; set: (value: string) => void } & Omit<JSX.HTMLAttributes<HTMLInputElement>, "label"> & { type?: string; required?: boolean; placeholder?: string; min?: number | string; max?: number | string; step?: number | string; autocomplete?: string; minLength?: number }) {
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

export function Checkbox({ label, checked, set }: { label: string; checked: boolean; set: (checked: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(event) => set(event.currentTarget.checked)} /> {label}
    </label>
  );
}

/** Form that shows server validation errors. */
export function Form({ submit, label, children, danger }: Children & { submit: () => Promise<unknown>; label: string; danger?: boolean }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const send = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    submit().catch(setError).finally(() => setBusy(false));
  };
  return (
    <form onSubmit={send}>
      {children}
      <ErrorMessage error={error} />
      <div class="actions"><Button kind={danger ? "danger" : "main"} type="submit" busy={busy}>{label}</Button></div>
    </form>
  );
}

/** A question in front of everything else; Escape closes it. */
export function Dialog({ title, close, children, wide }: Children & { title: string; close: () => void; wide?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} class={wide ? "wide" : ""} onClose={close} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" onClick={() => dialog.current?.close()} aria-label={t("Close")}>✕</Button>
      </header>
      {children}
    </dialog>
  );
}

/** Button with a confirmation dialog. */
export function Confirm({ label, question, act, name }: { label: string; question: string; act: () => Promise<unknown>; name?: string }) {
  const [asking, ask] = useState(false);
  return (
    <>
      <Button kind="quiet" onClick={() => ask(true)} aria-label={name && `${label}: ${name}`}>{label}</Button>
      {asking && (
        <Dialog title={label} close={() => ask(false)}>
          <Form label={label} danger submit={async () => { await act(); ask(false); }}><p>{question}</p></Form>
        </Dialog>
      )}
    </>
  );
}

/** A secret that is shown only once. */
export function ShownOnce({ label, text }: { label: string; text: string }) {
  const [copied, set] = useState(false);
  return (
    <div class="once">
      <p>{label}</p>
      <code>{text}</code>
      <Button onClick={() => navigator.clipboard.writeText(text).then(() => set(true))}>{copied ? t("Copied") : t("Copy")}</Button>
    </div>
  );
}

/** Runs an action and keeps its busy state and error. */
export function useAction(): { busy: boolean; error: Error | null; run: (act: () => Promise<unknown>) => void } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const run = (act: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    act().catch(setError).finally(() => setBusy(false));
  };
  return { busy, error, run };
}

export function formatDateTime(iso: string | null): string {
  if (!iso) return "–";
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

export function formatTime(iso: string): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(new Date(iso));
}

export function formatDuration(seconds: number | null): string {
  if (seconds === null) return "–";
  return `${Math.floor(seconds / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`;
}

export function formatNumber(value: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

export function formatMoney(value: number, currency: string): string {
  const digits = value !== 0 && Math.abs(value) < 1 ? 4 : 2;
  return new Intl.NumberFormat(locale(), { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}
