// Reading and changing a document by the places of its fields.

export type Block = Record<string, unknown>;

const isBlock = (value: unknown): value is Block => typeof value === "object" && value !== null && !Array.isArray(value);

export const isSet = (value: unknown) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length);

export function valueAt(document: Block, path: string): unknown {
  return path.split(".").reduce<unknown>((value, name) => (isBlock(value) ? value[name] : undefined), document);
}

/** The document with another value at a place; undefined takes it away, and with it what is empty then. `kept` is a part that stays without fields. */
export function withValue(document: Block, path: string, value: unknown, kept?: string): Block {
  const change = (block: Block, names: string[], at: string): Block => {
    const [name, ...rest] = names as [string, ...string[]];
    const here = at ? `${at}.${name}` : name;
    const next = rest.length ? change(isBlock(block[name]) ? block[name] : {}, rest, here) : value;
    const whole = { ...block };
    const isEmpty = rest.length > 0 && isBlock(next) && !Object.keys(next).length && here !== kept;
    if (next === undefined || isEmpty) delete whole[name];
    else whole[name] = next;
    return whole;
  };
  return change(document, path.split("."), "");
}

/** What of a document is not the same as before, by the names of its first fields; what is gone is null. */
export function changesTo(before: Block, after: Block): Block {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries([...names].filter((name) => before[name] !== after[name]).map((name) => [name, after[name] ?? null]));
}

export function readLines(text: string): string[] | undefined {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.length ? lines : undefined;
}

/** The list with one entry at another place. */
export function moved<T>(list: T[], from: number, to: number): T[] {
  const rest = list.filter((_, at) => at !== from);
  return [...rest.slice(0, to), list[from]!, ...rest.slice(to)];
}
