// Hash routes: `#/calls/ID?status=failed`.

import { useEffect, useState } from "preact/hooks";

export interface Place {
  parts: string[];
  params: URLSearchParams;
}

function here(): Place {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: (path ?? "").split("/").filter(Boolean).map(decodeURIComponent), params: new URLSearchParams(search ?? "") };
}

export function usePlace(): Place {
  const [place, set] = useState(here);
  useEffect(() => {
    const change = () => set(here());
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  return place;
}

export function go(path: string) {
  location.hash = `#/${path}`;
}

/** Changes the query parameters without a history entry. */
export function narrow(params: Record<string, string>) {
  const { parts } = here();
  const entries = Object.entries(params).filter(([, value]) => value !== "");
  const search = new URLSearchParams(entries).toString();
  const hash = `#/${parts.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
  history.replaceState(null, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
