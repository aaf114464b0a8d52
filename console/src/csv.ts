// Comma separated values (RFC 4180), including semicolons and tabs, as written by spreadsheets.

/** Bytes of a file: it is read into this page's memory. */
const BYTES_MAX = 10_000_000;
/** Lines of a list: each becomes a request. */
const ROWS_MAX = 10_000;
/** Columns of a list: each is a row of the form. */
const COLUMNS_MAX = 100;
/** Letters of a cell: a task's texts are no longer. A quote that is never closed would swallow the rest. */
const CELL_MAX = 10_000;

/** Why a file is rejected; a translation key. */
export class ListError extends Error {}

/** A list, and how its bytes were read. */
export interface List {
  rows: string[][];
  encoding: string;
}

export async function read(file: File): Promise<List> {
  if (file.size > BYTES_MAX) throw new ListError("The file is larger than 10 MB.");
  const { text, encoding } = decode(await file.arrayBuffer());
  return { rows: parse(text), encoding };
}

/** The text of a file: UTF-8, UTF-16 with its mark, or else what spreadsheets of Western Europe and America write. */
export function decode(bytes: ArrayBuffer): { text: string; encoding: string } {
  const [first, second] = new Uint8Array(bytes.slice(0, 2));
  const marked = first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : undefined;
  let encoding = marked ?? "utf-8";
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    encoding = "windows-1252";
    text = new TextDecoder(encoding).decode(bytes);
  }
  // No text has these: the bytes mean something else.
  if (/[\0\u0080-\u009f]/.test(text)) throw new ListError("The letters of the file cannot be read: save it as UTF-8.");
  return { text, encoding };
}

export function parse(text: string): string[][] {
  const body = text.replace(/^\uFEFF/, "");
  const end = body.indexOf("\n");
  const first = end < 0 ? body : body.slice(0, end);
  const separator = [";", "\t", ","].find((one) => first.includes(one)) ?? ",";
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  const push = () => {
    if (row.length >= COLUMNS_MAX) throw new ListError("The list has more than 100 columns.");
    row.push(cell.replace(/\r$/, ""));
    cell = "";
  };
  const next = () => {
    push();
    if (row.some((one) => one.trim())) rows.push(row);
    if (rows.length > ROWS_MAX) throw new ListError("The list has more than 10,000 lines.");
    row = [];
  };
  for (let at = 0; at < body.length; at++) {
    const letter = body[at]!;
    if (quoted) {
      if (letter === '"' && body[at + 1] === '"') cell += body[++at];
      else if (letter === '"') quoted = false;
      else cell += letter;
    } else if (letter === '"' && cell === "") quoted = true;
    else if (letter === separator) push();
    else if (letter === "\n") next();
    else cell += letter;
    if (cell.length > CELL_MAX) throw new ListError(quoted ? "A quote in the list is never closed." : "A cell of the list has more than 10,000 characters.");
  }
  if (quoted) throw new ListError("A quote in the list is never closed.");
  if (cell || row.length) next();
  return rows;
}

/** A phone number may begin with a plus; other cells that a spreadsheet would compute are marked as text. */
const COMPUTED = /^[=+\-@\t\r]/;
const NUMBER = /^[+-]?[\d\s().,-]+$/;

function cellText(value: string | number | null | undefined): string {
  const text = String(value ?? "");
  const safe = COMPUTED.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return /[",\r\n;]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A list as a file that spreadsheets open: UTF-8 with its mark, lines ending in CRLF. */
export function write(header: string[], rows: (string | number | null | undefined)[][]): string {
  return `\uFEFF${[header, ...rows].map((row) => row.map(cellText).join(",")).join("\r\n")}\r\n`;
}

/** Saves a text as a file of the browser's user. */
export function save(name: string, text: string) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
