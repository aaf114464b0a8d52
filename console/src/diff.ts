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

/** A field that two people have changed to different values. */
export interface Clash {
  path: string;
  base: unknown;
  mine: unknown;
  theirs: unknown;
}

export interface Merge {
  /** Both changes; fields in `clashes` are as mine. */
  merged: Record<string, unknown>;
  clashes: Clash[];
  /** Fields that only one of the two has changed. */
  onlyMine: string[];
  onlyTheirs: string[];
}

/** Both changes of one document. A list that both have changed is one field. */
export function mergeOf(base: Record<string, unknown>, mine: Record<string, unknown>, theirs: Record<string, unknown>): Merge {
  const found: Merge = { merged: {}, clashes: [], onlyMine: [], onlyTheirs: [] };
  const merge = (was: unknown, own: unknown, other: unknown, path: string): unknown => {
    if (same(own, other)) return own;
    if (same(was, other)) {
      found.onlyMine.push(path);
      return own;
    }
    if (same(was, own)) {
      found.onlyTheirs.push(path);
      return other;
    }
    if (isObject(own) && isObject(other)) {
      const before = isObject(was) ? was : {};
      const names = [...new Set([...Object.keys(own), ...Object.keys(other)])];
      return Object.fromEntries(names.map((name) => [name, merge(before[name], own[name], other[name], path ? `${path}.${name}` : name)]).filter(([, value]) => value !== undefined));
    }
    found.clashes.push({ path, base: was, mine: own, theirs: other });
    return own;
  };
  found.merged = merge(base, mine, theirs, "") as Record<string, unknown>;
  return found;
}

/** The merged document with the other's value in some of the clashes. */
export function settled(merge: Merge, theirs: Set<string>): Record<string, unknown> {
  return merge.clashes.filter(({ path }) => theirs.has(path)).reduce<Record<string, unknown>>((document, clash) => placed(document, clash.path.split("."), clash.theirs), merge.merged);
}

function placed(document: Record<string, unknown>, [name, ...rest]: string[], value: unknown): Record<string, unknown> {
  const next = rest.length ? placed((document[name!] ?? {}) as Record<string, unknown>, rest, value) : value;
  const whole = { ...document };
  if (next === undefined) delete whole[name!];
  else whole[name!] = next;
  return whole;
}
