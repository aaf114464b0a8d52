/** Entries that one request asks for. */
export const PAGE_SIZE = 100;

/** Names an entry: the next page begins behind it. */
export type Cursor = string | number | undefined;

/** One page of a list. */
export interface Page<T> {
  items: T[];
  /** Entries of all pages together. */
  total: number;
  /** Names the last entry; undefined where the page is empty. */
  last: Cursor;
}

/**
 * A list, for `for await`: it asks for the next page when one is used up. Entries that are added meanwhile do not shift
 * it.
 */
export class Pages<T> implements AsyncIterable<T> {
  constructor(
    private readonly size: number,
    private readonly fetchPage: (before: Cursor) => Promise<Page<T>>,
  ) {}

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for await (const page of this.pages()) yield* page.items;
  }

  /** The pages one by one. */
  async *pages(): AsyncGenerator<Page<T>> {
    let before: Cursor;
    do {
      const page = await this.fetchPage(before);
      yield page;
      before = page.items.length < this.size ? undefined : page.last;
    } while (before !== undefined);
  }

  /** The first page alone, with the total. */
  firstPage(): Promise<Page<T>> {
    return this.fetchPage(undefined);
  }

  /** The first entry. */
  async first(): Promise<T | undefined> {
    return (await this.firstPage()).items[0];
  }
}
