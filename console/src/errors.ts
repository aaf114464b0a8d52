// What an error says in the reader's language: by its code, then by the server's words, field by field.

import { ApiError, type FieldFault } from "./api";
import { language, t } from "./i18n";
import { nlMessages } from "./nl-messages";

/** A sentence of the server in the reader's language; its own words where there is no translation. */
export function translated(message: string): string {
  const exact = t(message);
  if (language() !== "nl" || exact !== message) return exact;
  for (const [pattern, dutch] of nlMessages) {
    if (pattern.test(message)) return message.replace(pattern, dutch);
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
