// What differs between two versions of a document, field by field.

export interface Difference {
  /** Path such as `llm_config.model`. */
  path: string;
  before: string;
  after: string;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const shown = (value: unknown): string => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value, null, 2));

/** Whether two values say the same; the order of an object's fields says nothing. */
export function same(a: unknown, b: unknown): boolean {
  if (isObject(a) && isObject(b)) return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) => same(a[name] ?? null, b[name] ?? null));
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, index) => same(one, b[index]));
  return (a ?? null) === (b ?? null);
}

export function differences(before: unknown, after: unknown, path = ""): Difference[] {
  if (same(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => differences(before[name], after[name], path ? `${path}.${name}` : name));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, index) => index).flatMap((index) => differences(before[index], after[index], `${path}[${index}]`));
  }
  return [{ path, before: shown(before), after: shown(after) }];
}

/** The fields of a document that were changed, as a PATCH takes them: what was removed is null. */
export function changedFields(before: Record<string, unknown>, after: Record<string, unknown>): Record<string, unknown> {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries([...names].filter((name) => !same(before[name], after[name])).map((name) => [name, after[name] ?? null]));
}
