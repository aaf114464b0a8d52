// Headers and other pairs as people write them: one `Name: value` a line.

/** A line without a colon becomes a name without a value, which the server refuses: nothing that was typed is lost. */
export function readHeaders(text: string): Record<string, string> {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return Object.fromEntries(lines.map((line) => {
    const colon = line.indexOf(":");
    return colon < 0 ? [line, ""] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  }));
}

export const writeHeaders = (headers: Record<string, string>): string =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join("\n");
