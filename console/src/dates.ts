// Dates in lists of other people: which of two numbers is the month depends on the country, and nobody may guess.

/** How the numbers of a date are ordered. */
export type DateOrder = "dmy" | "mdy";
/** What the dates of a column show together. "mixed": some can only be the one, and some only the other. */
export type ColumnOrder = DateOrder | "ambiguous" | "mixed" | "none";

const NUMBERS = /^(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?:[ T,]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?\s*([ap])?\.?m?\.?)?$/i;
/** The year first: the same everywhere. */
const YEAR_FIRST = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/i;
/** A month that is written out, in English. */
const NAMED_MONTH = /\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)/i;

/** The order of a column's dates, as far as they tell. Points are used where the day comes first. */
export function columnOrder(cells: string[]): ColumnOrder {
  const orders = new Set<ColumnOrder>();
  for (const cell of cells) {
    const match = NUMBERS.exec(cell.trim());
    if (!match) continue;
    const [first, second] = [Number(match[1]), Number(match[3])];
    if (match[2] === "." || first > 12) orders.add("dmy");
    else if (second > 12) orders.add("mdy");
    else if (first !== second) orders.add("ambiguous");
  }
  if (orders.has("dmy") && orders.has("mdy")) return "mixed";
  return orders.has("dmy") ? "dmy" : orders.has("mdy") ? "mdy" : orders.has("ambiguous") ? "ambiguous" : "none";
}

/** The instant of a date and time in this browser's time zone; undefined if it is none, or if only a guess would do. */
export function readDate(text: string, order: DateOrder | undefined): Date | undefined {
  const cell = text.trim();
  const iso = YEAR_FIRST.exec(cell);
  if (iso) {
    const [, year, month, day, hour, minute, second, offset] = iso;
    const local = instant(Number(year), Number(month), Number(day), Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0));
    if (!local || !offset) return local;
    const exact = new Date(`${year}-${pad(month)}-${pad(day)}T${pad(hour)}:${minute}:${second ?? "00"}${offset.length === 5 ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset.toUpperCase()}`);
    return Number.isNaN(exact.getTime()) ? undefined : exact;
  }
  const match = NUMBERS.exec(cell);
  if (match) {
    const [, first, separator, second, year, hour, minute, seconds, half] = match;
    const [a, b] = [Number(first), Number(second)];
    const known = separator === "." || a > 12 || a === b ? "dmy" : b > 12 ? "mdy" : order;
    if (!known) return undefined;
    const [day, month] = known === "dmy" ? [a, b] : [b, a];
    const clock = hours(Number(hour ?? 0), half);
    if (clock === undefined) return undefined;
    return instant(Number(year!.length === 2 ? `20${year}` : year), month, day, clock, Number(minute ?? 0), Number(seconds ?? 0));
  }
  if (!NAMED_MONTH.test(cell)) return undefined;
  const parsed = new Date(cell);
  return Number.isNaN(parsed.getTime()) ? undefined : parsed;
}

const pad = (text: string | undefined) => (text ?? "0").padStart(2, "0");

function hours(hour: number, half: string | undefined): number | undefined {
  if (!half) return hour;
  if (hour < 1 || hour > 12) return undefined;
  return (hour % 12) + (half.toLowerCase() === "p" ? 12 : 0);
}

/** An instant of this browser's time zone, if there is such a day and such a time: 31 February is none. */
function instant(year: number, month: number, day: number, hour: number, minute: number, second: number): Date | undefined {
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const at = new Date(year, month - 1, day, hour, minute, second);
  return at.getFullYear() === year && at.getMonth() === month - 1 && at.getDate() === day ? at : undefined;
}
