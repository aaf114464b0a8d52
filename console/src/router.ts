// Hash routes: `#/calls/ID?status=failed`.

import { useEffect, useState } from "preact/hooks";

export interface Route {
  parts: string[];
  params: URLSearchParams;
}

function currentRoute(): Route {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: (path ?? "").split("/").filter(Boolean).map(decodeURIComponent), params: new URLSearchParams(search ?? "") };
}

export function useRoute(): Route {
  const [route, set] = useState(currentRoute);
  useEffect(() => {
    const change = () => set(currentRoute());
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  return route;
}

export function navigate(path: string) {
  location.hash = `#/${path}`;
}

/** Changes the query parameters without a history entry. */
export function setQuery(params: Record<string, string>) {
  const { parts } = currentRoute();
  const entries = Object.entries(params).filter(([, value]) => value !== "");
  const search = new URLSearchParams(entries).toString();
  const hash = `#/${parts.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
  history.replaceState(null, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
