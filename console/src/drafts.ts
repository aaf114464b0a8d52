// What somebody has typed and not saved, kept for the time of this tab: it survives other pages, reloads and logins.

const PREFIX = "trunkline.draft.";
/** Larger texts are kept in the page only. */
const CHARACTERS_MAX = 1_000_000;

export function readDraft<T>(key: string): T | null {
  try {
    const text = sessionStorage.getItem(PREFIX + key);
    return text === null ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}

export function writeDraft(key: string, draft: unknown) {
  try {
    const text = JSON.stringify(draft);
    if (draft === null || draft === undefined || text.length > CHARACTERS_MAX) sessionStorage.removeItem(PREFIX + key);
    else sessionStorage.setItem(PREFIX + key, text);
  } catch {
    // No room: the draft lives as long as the page.
  }
}

/** Whether anything is typed and not saved. */
export const hasDrafts = () => Array.from({ length: sessionStorage.length }, (_, index) => sessionStorage.key(index) ?? "").some((key) => key.startsWith(PREFIX));

/** Forgets all drafts: the next person at this browser does not read them. */
export function forgetDrafts() {
  const keys = Array.from({ length: sessionStorage.length }, (_, index) => sessionStorage.key(index) ?? "");
  for (const key of keys) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}

const OWNER = "trunkline.drafts-of";

/** Somebody has logged in: drafts of another person are forgotten. */
export function keepDraftsOf(user: string) {
  if (sessionStorage.getItem(OWNER) !== user) forgetDrafts();
  sessionStorage.setItem(OWNER, user);
}
