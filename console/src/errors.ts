// What an error says in the reader's language: by its code, then by the server's words, field by field.

import { ApiError, type FieldFault } from "./api";
import { language, t } from "./i18n";
import { nlMessages } from "./nl-messages";

/** What the server says in the words of its document, for those who read the console. */
const PLAIN: [RegExp, string][] = [
  [/^must be an E\.164 number such as (\S+), or a SIP URI$/, "must be a number with its country code, such as $1, or a SIP address"],
  [/^must be an E\.164 number such as (\S+)$/, "must be a number with its country code, such as $1"],
  [/^must be an E\.164 number$/, "must be a number with its country code, such as +31201234567"],
  [/^must be an E\.164 number, a tel: URI with one, or a SIP URI$/, "must be a number with its country code, such as +31201234567, or a SIP address"],
];

/** A sentence of the server in the reader's language; its own words where there is no translation. */
export function translated(message: string): string {
  const exact = t(message);
  if (exact !== message) return exact;
  if (language() !== "nl") return replaced(message, PLAIN);
  return replaced(message, nlMessages);
}

function replaced(message: string, by: [RegExp, string][]): string {
  for (const [pattern, words] of by) {
    if (pattern.test(message)) return message.replace(pattern, words);
  }
  return message;
}

/** One field that is wrong: its name, and why. */
export const faultText = ({ field, message }: FieldFault): string => `\`${field}\` ${translated(message)}`;

export function errorText(error: Error): string {
  if (!(error instanceof ApiError)) return translated(error.message);
  // The list below names them one by one.
  if (error.faults.length > 1) return t("Please correct these fields:");
  if (error.faults.length === 1) return faultText(error.faults[0]!);
  const byWords = translated(error.message);
  if (byWords !== error.message) return byWords;
  const key = `error: ${error.code}`;
  const byCode = t(key);
  return byCode === key ? error.message : byCode;
}

/** The same on one line, with every field that is wrong. */
export const lineText = (error: Error): string =>
  error instanceof ApiError && error.faults.length > 1 ? error.faults.map(faultText).join("; ") : errorText(error);
