// One setting as it is shown: the control, its documentation beside it, and its default.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { Button, formatNumber } from "../ui";
import type { Setting } from "./settings";
import { readHeaders, writeHeaders } from "../headers";
import { type Block, isSet, moved, readLines, valueAt, withValue } from "./values";

/** Changes the document, or the entry of a list. */
export type Change = (document: Block) => void;

/** Draws a setting that has a form of its own; undefined: the usual one. */
export type Own = (place: string, setting: Setting, document: Block, change: Change) => ComponentChildren | undefined;

export interface Field {
  setting: Setting;
  document: Block;
  change: Change;
  /** Place of the document that `setting.path` begins in, such as `llm_config.tools[].`. */
  prefix?: string;
  own?: Own;
  /** A part that stays when its last field is taken away. */
  kept?: string;
  /** What fits a search; all without it. */
  finds?: (setting: Setting) => boolean;
}

/** The default in words. */
export function standardOf({ standard, options, kind }: Setting): string {
  if (standard === undefined) return kind === "yes" ? t("off") : "";
  if (typeof standard === "boolean") return standard ? t("on") : t("off");
  if (typeof standard === "number") return formatNumber(standard, Number.isInteger(standard) ? 0 : 1);
  if (standard.startsWith("=")) return t(standard.slice(1));
  const name = options?.find(([key]) => key === standard)?.[1];
  return name ? t(name) : standard;
}

const shownPairs = (value: unknown) => writeHeaders((value ?? {}) as Record<string, string>);
const readPairs = (text: string) => (text.trim() ? readHeaders(text) : undefined);

/** A setting, with its documentation beside it. */
export function Row({ place, setting, set, reset, children, id, wide }: { place: string; setting: Setting; set: boolean; reset?: () => void; children: ComponentChildren; id?: string; wide?: boolean }) {
  const standard = standardOf(setting);
  return (
    <div class={wide ? "setting wide" : "setting"} data-setting={place}>
      <div class="control">{children}</div>
      {(setting.hint || standard || (set && reset)) && (
        <p class="doc" id={id && `${id}-hint`}>
          {setting.hint && <span>{t(setting.hint)} </span>}
          {standard && <span class="standard">{t("Default")}: {standard}{/[.!?]$/.test(standard) ? "" : "."} </span>}
          {set && reset && <button type="button" class="link" aria-label={`${t("Use the default")}: ${t(setting.label)}`} onClick={reset}>{t("Use the default")}</button>}
        </p>
      )}
    </div>
  );
}

export function Fields({ settings, ...rest }: Omit<Field, "setting"> & { settings: Setting[] }) {
  return <>{settings.map((setting) => <SettingField key={setting.path} setting={setting} {...rest} />)}</>;
}

export function SettingField(field: Field) {
  const { setting, document, change, prefix = "", own, kept, finds } = field;
  const place = prefix + setting.path;
  const id = useId();
  const special = own?.(place, setting, document, change);
  if (special === null) return null;
  if (special === undefined && finds && !finds(setting)) return null;
  if (special !== undefined) return <>{special}</>;
  const value = valueAt(document, setting.path);
  const put = (next: unknown) => change(withValue(document, setting.path, next, kept));
  const same = value === setting.standard;
  const row = { place, setting, id, set: isSet(value) && !same, reset: setting.required || setting.standard === undefined ? undefined : () => put(undefined) };
  const label = t(setting.label);
  switch (setting.kind) {
    case "yes": return (
      <Row {...row} set={value !== undefined && value !== null && value !== (setting.standard ?? false)} reset={() => put(undefined)}>
        <label class="check"><input type="checkbox" checked={(value ?? setting.standard ?? false) === true} onChange={(event) => put(event.currentTarget.checked)} aria-describedby={`${id}-hint`} /> {label}</label>
      </Row>
    );
    case "part": return <Part {...field} />;
    case "rows": return <Rows {...field} />;
    case "many": return <Many {...field} />;
    case "words": return <Words {...row} value={value} put={put} />;
    case "json": return <Row {...row}><Json id={id} label={label} value={value} put={put} rows={setting.rows ?? 5} /></Row>;
    case "lines": return <Row {...row}><Typed id={id} label={label} value={value} shown={(now) => ((now ?? []) as string[]).join("\n")} read={readLines} put={put} rows={setting.rows ?? 3} /></Row>;
    case "pairs": return <Row {...row}><Typed id={id} label={label} value={value} shown={shownPairs} read={readPairs} put={put} rows={setting.rows ?? 2} code /></Row>;
    default: return <Row {...row}><Control id={id} setting={setting} value={value} put={put} /></Row>;
  }
}

/** A text, a number, a choice or a secret. */
function Control({ id, setting, value, put }: { id: string; setting: Setting; value: unknown; put: (value: unknown) => void }) {
  const { kind, options, required, min, max, step, placeholder, standard } = setting;
  const shown = value === undefined || value === null ? "" : String(value);
  const common = { id, "aria-describedby": setting.hint || standard !== undefined ? `${id}-hint` : undefined };
  const ghost = placeholder ?? (standard !== undefined && typeof standard !== "boolean" && !String(standard).startsWith("=") ? String(standard) : undefined);
  const write = (text: string) => put(text === "" ? (required ? "" : undefined) : kind === "number" ? Number(text) : text);
  return (
    <div class="field">
      <label for={id}>{t(setting.label)}</label>
      {kind === "choice" ? (
        <select {...common} value={shown} onChange={(event) => write(event.currentTarget.value)}>
          {!shown && <option value="">{standard !== undefined ? `${t("default")} (${standardOf(setting)})` : "–"}</option>}
          {[...(options ?? []), ...(shown && !options?.some(([key]) => key === shown) ? [[shown, shown] as [string, string]] : [])].map(([key, name]) => <option key={key} value={key}>{t(name)}</option>)}
        </select>
      ) : kind === "long" ? (
        <textarea {...common} rows={setting.rows} required={required} value={shown} placeholder={ghost} onInput={(event) => write(event.currentTarget.value)} />
      ) : (
        <input {...common} type={kind === "number" ? "number" : kind === "secret" ? "password" : "text"} autocomplete={kind === "secret" ? "new-password" : "off"} required={required} min={min} max={max} step={kind === "number" ? (step ?? 1) : undefined} placeholder={ghost} value={shown} onInput={(event) => write(event.currentTarget.value)} />
      )}
    </div>
  );
}

/** A text that stands for something else: what is typed stays as it is typed, as long as it means the same. */
function Typed({ id, label, value, shown, read, put, rows, code }: { id: string; label: string; value: unknown; shown: (value: unknown) => string; read: (text: string) => unknown; put: (value: unknown) => void; rows: number; code?: boolean }) {
  const [typed, type] = useState(shown(value));
  const text = shown(read(typed)) === shown(value) ? typed : shown(value);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea id={id} class={code ? "code" : ""} rows={Math.min(10, Math.max(rows, text.split("\n").length))} spellcheck={!code} value={text} aria-describedby={`${id}-hint`} onInput={(event) => { type(event.currentTarget.value); put(read(event.currentTarget.value)); }} />
    </div>
  );
}

/** A part of the document as JSON. A text that is none stays in the field and changes nothing. */
export function Json({ id, label, value, put, rows }: { id: string; label: string; value: unknown; put: (value: unknown) => void; rows: number }) {
  const written = isSet(value) ? JSON.stringify(value, null, 2) : "";
  const [text, setText] = useState(written);
  const [fault, setFault] = useState("");
  // Changed elsewhere, such as in the builder beside it.
  useEffect(() => {
    if (fault) return;
    let now: unknown;
    try {
      now = text.trim() ? JSON.parse(text) : undefined;
    } catch {
      return;
    }
    if (JSON.stringify(now) !== JSON.stringify(isSet(value) ? value : undefined)) setText(written);
  }, [written]);
  const write = (typed: string) => {
    setText(typed);
    try {
      put(typed.trim() ? JSON.parse(typed) : undefined);
      setFault("");
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea id={id} class="code" rows={rows} spellcheck={false} value={text} aria-invalid={Boolean(fault)} aria-describedby={`${id}-hint`} onInput={(event) => write(event.currentTarget.value)} />
      {fault && <small class="bad" role="alert">{fault} {t("The last valid text is kept until this is corrected.")}</small>}
    </div>
  );
}

/** Enter in a field that is not the agent's saves nothing; `then` is done instead. */
export const onEnter = (then?: () => void) => (event: KeyboardEvent) => {
  if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
  event.preventDefault();
  then?.();
};

/** Which of a few words are meant; none: all. */
function Words({ value, put, ...row }: { place: string; setting: Setting; id: string; set: boolean; reset?: () => void; value: unknown; put: (value: unknown) => void }) {
  const chosen = (value ?? []) as string[];
  return (
    <Row {...row}>
      <fieldset class="plain">
        <legend>{t(row.setting.label)}</legend>
        {row.setting.options!.map(([key]) => <label class="check" key={key}><input type="checkbox" checked={chosen.includes(key)} onChange={(event) => { const next = event.currentTarget.checked ? [...chosen, key] : chosen.filter((one) => one !== key); put(next.length ? next : undefined); }} /> <code>{key}</code></label>)}
      </fieldset>
    </Row>
  );
}

/** A part that is there or not: its settings are shown when it is. */
function Part({ setting, document, change, prefix = "", own, finds }: Field) {
  const place = prefix + setting.path;
  const value = valueAt(document, setting.path) as Block | undefined | null;
  const isThere = value !== undefined && value !== null;
  const put = (next: Block | undefined) => change(withValue(document, setting.path, next, setting.path));
  return (
    <div class="part">
      <Row place={place} setting={{ ...setting, standard: false }} set={false}>
        <label class="check"><input type="checkbox" checked={isThere} onChange={(event) => put(event.currentTarget.checked ? (setting.fresh ?? {}) : undefined)} /> {t(setting.label)}</label>
      </Row>
      {isThere && <div class="inside"><Fields settings={setting.items!} document={value} change={put} prefix={`${place}.`} own={own} finds={finds && (() => true)} /></div>}
    </div>
  );
}

/** Buttons of an entry of a list: moved by them or dragged, and removed. */
export function EntryButtons({ at, count, name, move, remove }: { at: number; count: number; name: string; move: (to: number) => void; remove: () => void }) {
  return (
    <span class="actions entry">
      <Button kind="quiet" disabled={at === 0} aria-label={`${t("Move up")}: ${name}`} onClick={() => move(at - 1)}>↑</Button>
      <Button kind="quiet" disabled={at === count - 1} aria-label={`${t("Move down")}: ${name}`} onClick={() => move(at + 1)}>↓</Button>
      <Button kind="quiet" aria-label={`${t("Remove")}: ${name}`} onClick={remove}>{t("Remove")}</Button>
    </span>
  );
}

/** Entries that are ordered by dragging, by buttons, and by Alt with an arrow key. */
export function Entries<T>({ list, set, title, most, entry, add, children }: { list: T[]; set: (list: T[]) => void; title: (one: T, at: number) => string; most?: number; entry: string; add?: () => T; children: (one: T, at: number, put: (one: T) => void) => ComponentChildren }) {
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const [said, say] = useState("");
  const box = useRef<HTMLOListElement>(null);
  const move = (from: number, to: number) => {
    if (to < 0 || to >= list.length || from === to) return;
    set(moved(list, from, to));
    say(`${title(list[from]!, from)}: ${to + 1} ${t("of")} ${list.length}`);
  };
  /** The entry that a finger or a mouse is over. */
  const under = (y: number) => {
    const rows = [...(box.current?.children ?? [])].map((row) => row.getBoundingClientRect());
    const at = rows.findIndex(({ bottom }) => y < bottom);
    return at < 0 ? rows.length - 1 : at;
  };
  const grip = (at: number) => ({
    onPointerDown: (event: PointerEvent) => {
      event.preventDefault();
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
      setDrag({ from: at, to: at });
    },
    onPointerMove: (event: PointerEvent) => drag && setDrag({ from: drag.from, to: under(event.clientY) }),
    onPointerUp: () => {
      if (drag) move(drag.from, drag.to);
      setDrag(null);
    },
    onPointerCancel: () => setDrag(null),
  });
  return (
    <>
      {list.length > 0 && (
        <ol class="entries" ref={box}>
          {list.map((one, at) => (
            <li
              key={at}
              class={[drag?.from === at && "dragged", drag && drag.to === at && drag.from !== at && "over"].filter(Boolean).join(" ")}
              onKeyDown={(event) => {
                if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
                event.preventDefault();
                event.stopPropagation();
                move(at, at + (event.key === "ArrowUp" ? -1 : 1));
              }}
            >
              <div role="group" aria-label={title(one, at)}>
                <header>
                  {list.length > 1 && <span class="grip" aria-hidden="true" title={t("Drag to another place")} {...grip(at)}>⠿</span>}
                  <strong>{title(one, at)}</strong>
                  <EntryButtons at={at} count={list.length} name={title(one, at)} move={(to) => move(at, to)} remove={() => set(list.filter((_, other) => other !== at))} />
                </header>
                {children(one, at, (next) => set(list.map((other, index) => (index === at ? next : other))))}
              </div>
            </li>
          ))}
        </ol>
      )}
      <p class="unseen" role="status">{said}</p>
      {add && list.length < (most ?? 100) && <p><Button onClick={() => set([...list, add()])} aria-label={`${t("Add")}: ${entry}`}>+ {entry}</Button></p>}
    </>
  );
}

/** A list of entries with settings of their own. */
function Rows({ setting, document, change, prefix = "", own }: Field) {
  const place = `${prefix}${setting.path}`;
  const list = (valueAt(document, setting.path) ?? []) as Block[];
  const set = (next: Block[]) => change(withValue(document, setting.path, next.length ? next : undefined));
  const entry = t(setting.entry ?? setting.label);
  return (
    <fieldset class="list" data-setting={place}>
      <legend>{t(setting.label)}</legend>
      {setting.hint && <p class="soft">{t(setting.hint)}</p>}
      <Entries list={list} set={set} most={setting.most} entry={entry} title={(one, at) => String(one.name ?? one.text ?? "") || `${entry} ${at + 1}`} add={() => ({ ...setting.fresh })}>
        {(one, _, put) => <Fields settings={setting.items!} document={one} change={put} prefix={`${place}[].`} own={own} />}
      </Entries>
    </fieldset>
  );
}

/** Entries by a name of their own, such as the code of a language. */
function Many({ setting, document, change, prefix = "", own }: Field) {
  const place = `${prefix}${setting.path}`;
  const all = (valueAt(document, setting.path) ?? {}) as Record<string, Block>;
  const [name, type] = useState("");
  const set = (next: Record<string, Block>) => change(withValue(document, setting.path, Object.keys(next).length ? next : undefined));
  const id = useId();
  const add = () => {
    if (!name.trim() || all[name.trim()]) return;
    set({ ...all, [name.trim()]: {} });
    type("");
  };
  return (
    <fieldset class="list" data-setting={place}>
      <legend>{t(setting.label)}</legend>
      <p class="soft">{t(setting.hint)}</p>
      {Object.entries(all).length > 0 && (
        <ol class="entries">
          {Object.entries(all).map(([key, one]) => (
            <li key={key}>
              <div role="group" aria-label={key}>
                <header><strong>{key}</strong><span class="actions entry"><Button kind="quiet" aria-label={`${t("Remove")}: ${key}`} onClick={() => set(Object.fromEntries(Object.entries(all).filter(([other]) => other !== key)))}>{t("Remove")}</Button></span></header>
                <Fields settings={setting.items!} document={one} change={(next) => set({ ...all, [key]: next })} prefix={`${place}{}.`} own={own} />
              </div>
            </li>
          ))}
        </ol>
      )}
      <div class="field adding">
        <label for={id}>{t("Code of another language")}</label>
        <span class="actions"><input id={id} value={name} maxLength={35} onInput={(event) => type(event.currentTarget.value)} onKeyDown={(event) => { if (event.key === "Enter") { event.preventDefault(); add(); } }} /><Button disabled={!name.trim()} onClick={add}>{t("Add")}</Button></span>
      </div>
    </fieldset>
  );
}
