// Providers as they write themselves.

import { t } from "./i18n";

const PROVIDER_NAMES: Record<string, string> = {
  openai: "OpenAI", anthropic: "Anthropic", groq: "Groq", mistral: "Mistral", xai: "xAI", deepgram: "Deepgram", elevenlabs: "ElevenLabs", cartesia: "Cartesia",
  openai_realtime: "OpenAI Realtime", xai_realtime: "xAI Realtime", elevenlabs_agent: "ElevenLabs Agents",
};
export const providerName = (name: string) => PROVIDER_NAMES[name] ?? t(name === "local" ? "this server" : name);
