// Models and voices as the provider lists them, once for each provider and server.

import { useEffect, useState } from "preact/hooks";
import { get, query } from "../api";

export interface Catalog {
  models: { id: string; name: string | null; stage: string }[];
  voices: { id: string; name: string; language: string | null; about: string | null }[];
  problem: { kind: string; message: string } | null;
}

const ACCOUNTS: Record<string, string> = { openai_realtime: "openai", xai_realtime: "xai", elevenlabs_agent: "elevenlabs" };
const asked = new Map<string, Promise<Catalog>>();

/** What a provider offers; null while it is asked, and where it cannot be asked. */
export function useCatalog(provider: string, baseUrl: string): Catalog | null {
  const account = ACCOUNTS[provider] ?? provider;
  const key = `${account} ${baseUrl}`;
  const [catalog, set] = useState<Catalog | null>(null);
  useEffect(() => {
    let here = true;
    set(null);
    if (!provider) return undefined;
    // An address that is being typed is not asked at each letter.
    const timer = setTimeout(() => {
      const known = asked.get(key) ?? get<Catalog>(`/providers/${account}/catalog${query({ base_url: baseUrl })}`);
      asked.set(key, known);
      known.then((found) => here && set(found), () => undefined);
      // A failure is asked for again by the next page.
      known.then((found) => found.problem && asked.delete(key), () => asked.delete(key));
    }, baseUrl && !asked.has(key) ? 700 : 0);
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, [key]);
  return catalog;
}
