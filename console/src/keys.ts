// The keys of a dictionary: English sentences, or in a built console their hashes (vite.config.ts).

/** True in a built console. */
const SHORT = false;

const KNOWN = new Map<string, string>();

/** FNV-1a of a text's UTF-16, in 32 bits, as short text. */
export function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(36);
}

/** Where a sentence stands in a dictionary. Sentences that are asked for again and again are hashed once. */
export function keyOf(text: string): string {
  if (!SHORT) return text;
  let key = KNOWN.get(text);
  if (key === undefined) {
    key = hashOf(text);
    if (KNOWN.size < 5_000) KNOWN.set(text, key);
  }
  return key;
}
