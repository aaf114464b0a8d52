// Theme: light, dark or system.

const KEY = "trunkline.theme";

export const theme = () => localStorage.getItem(KEY) ?? "";

export function setTheme(value: string) {
  if (value) localStorage.setItem(KEY, value);
  else localStorage.removeItem(KEY);
  applyTheme();
  dispatchEvent(new Event("trunkline.changed"));
}

export function applyTheme() {
  const chosen = theme();
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}
