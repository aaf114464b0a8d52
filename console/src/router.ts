// Hash routes: `#/calls/ID?status=failed`.

import { useEffect, useState } from "preact/hooks";

export interface Route {
  parts: string[];
  params: URLSearchParams;
}

/** A part that is no valid encoding is taken as it stands: a link that was cut off opens a page, not an error. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function readRoute(hash: string): Route {
  const [path, search] = hash.replace(/^#\/?/, "").split("?");
  return { parts: (path ?? "").split("/").filter(Boolean).map(decoded), params: new URLSearchParams(search ?? "") };
}

/** The page part of a hash, without its parameters. */
const pageOf = (hash: string) => hash.split("?")[0];

let shown = "";
let guard: (() => boolean) | null = null;
const listeners = new Set<() => void>();

function changed() {
  // Whoever is asked and stays gets the address of the page back.
  if (guard && pageOf(location.hash) !== pageOf(shown) && !guard()) {
    history.pushState(null, "", shown || "#/");
    return;
  }
  shown = location.hash;
  for (const listener of listeners) listener();
}

/** Asked before another page is opened; false stays. Returns what takes the guard away. */
export function guardLeaving(ask: () => boolean): () => void {
  guard = ask;
  return () => {
    if (guard === ask) guard = null;
  };
}

export function useRoute(): Route {
  const [route, set] = useState(() => readRoute(location.hash));
  useEffect(() => {
    const change = () => set(readRoute(shown));
    if (!listeners.size) {
      shown = location.hash;
      addEventListener("hashchange", changed);
    }
    listeners.add(change);
    return () => {
      listeners.delete(change);
      if (!listeners.size) removeEventListener("hashchange", changed);
    };
  }, []);
  return route;
}

export function navigate(path: string) {
  location.hash = `#/${path}`;
}

/** Changes the query parameters without a history entry. */
export function setQuery(params: Record<string, string>) {
  const { parts } = readRoute(location.hash);
  const entries = Object.entries(params).filter(([, value]) => value !== "");
  const search = new URLSearchParams(entries).toString();
  const hash = `#/${parts.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
  history.replaceState(null, "", hash);
  changed();
}

/** Filters and page of a list, kept in the address: Back and links lead to the same rows. */
export function useListQuery(limit: number) {
  const route = useRoute();
  const of = (name: string) => route.params.get(name) ?? "";
  const page = Math.max(1, Math.floor(Number(of("page"))) || 1);
  return {
    of,
    offset: (page - 1) * limit,
    /** Another filter begins at the first page. */
    put: (changes: Record<string, string>) => setQuery({ ...Object.fromEntries(readRoute(location.hash).params), page: "", ...changes }),
    go: (offset: number) => setQuery({ ...Object.fromEntries(readRoute(location.hash).params), page: offset ? String(Math.floor(offset / limit) + 1) : "" }),
  };
}
