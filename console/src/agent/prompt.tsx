// Texts with variables: they are marked where they stand, and the tokens are estimated.

import { useId, useRef } from "preact/hooks";
import { t } from "../i18n";
import { formatNumber } from "../ui";

/** A variable, or what looks like the beginning of one. */
const VARIABLE = /\{\{\s*([^{}|]*?)\s*(?:\|([^{}]*))?\}\}|\{\{/g;

/** Names that the server fills in by itself. */
const KNOWN = new Set(["call_id", "direction", "from_number", "caller_number", "to_number", "called_number", "date", "time", "weekday", "now", "time_zone", "agent_name"]);

export interface Piece {
  text: string;
  /** `variable`, or `broken` where the braces are never closed or hold no name. */
  kind: "text" | "variable" | "broken";
}

/** A text, cut at its variables. */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const found of text.matchAll(VARIABLE)) {
    if (found.index > at) pieces.push({ text: text.slice(at, found.index), kind: "text" });
    pieces.push({ text: found[0], kind: found[1] ? "variable" : "broken" });
    at = found.index + found[0].length;
  }
  if (at < text.length) pieces.push({ text: text.slice(at), kind: "text" });
  return pieces;
}

/** The names of a text's variables, each once. */
export const variablesOf = (text: string): string[] => [...new Set([...text.matchAll(VARIABLE)].map((found) => found[1] ?? "").filter(Boolean))];

/**
 * About how many tokens a text is: words of Latin letters have 1.3 each, signs and figures one each, and writing without
 * spaces one for each character. Vendors count differently by a tenth or so.
 */
export function tokensOf(text: string): number {
  const wide = text.match(/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/gu)?.length ?? 0;
  const words = text.match(/[\p{L}\p{M}]+/gu)?.filter((word) => !/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/u.test(word)) ?? [];
  const ofWords = words.reduce((sum, word) => sum + Math.max(1, Math.ceil(word.length / 5)), 0);
  const signs = text.match(/[^\p{L}\p{M}\s\d]|\d{1,3}/gu)?.length ?? 0;
  return wide + ofWords + signs;
}

/** A text area whose variables are marked. */
export function PromptField({ label, place, hint, value, set, rows, standard }: { label: string; place: string; hint: string; value: string; set: (value: string) => void; rows: number; standard: string }) {
  const id = useId();
  const back = useRef<HTMLDivElement>(null);
  const pieces = piecesOf(value);
  const names = variablesOf(value);
  const broken = pieces.some(({ kind }) => kind === "broken");
  return (
    <div class="setting wide" data-setting={place}>
      <div class="control">
        <div class="field">
          <label for={id}>{label}</label>
          <div class="marked">
            <div class="behind" ref={back} aria-hidden="true">{pieces.map((piece, index) => (piece.kind === "text" ? piece.text : <mark key={index} class={piece.kind}>{piece.text}</mark>))}{"\n"}</div>
            <textarea id={id} rows={rows} value={value} aria-describedby={`${id}-hint`} aria-invalid={broken} onInput={(event) => set(event.currentTarget.value)} onScroll={(event) => { if (back.current) back.current.scrollTop = event.currentTarget.scrollTop; }} />
          </div>
          <div class="under">
            {names.length > 0 && <ul class="chips" aria-label={t("Variables")}>{names.map((name) => <li key={name}><code>{name}</code>{KNOWN.has(name) && <span class="soft"> {t("by the server")}</span>}</li>)}</ul>}
            {value && <span class="soft tokens">≈ {formatNumber(tokensOf(value))} {t("tokens (an estimate)")}</span>}
          </div>
          {broken && <small class="bad" role="alert">{t("A variable is never closed, or has no name: write {{name}}.")}</small>}
        </div>
      </div>
      <p class="doc" id={`${id}-hint`}>{t(hint)} <span class="standard">{t("Default")}: {standard}.</span></p>
    </div>
  );
}
