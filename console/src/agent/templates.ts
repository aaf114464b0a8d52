// Agents to begin with: each is whole, and works with the providers that have a key.

import type { Agent, Provider } from "../api";

export type TemplateName = "receptionist" | "appointments" | "survey" | "voicemail" | "orders";

export interface TemplateAnswers {
  business: string;
  language: "en" | "nl";
  /** Number of a person to whom callers may be put through. */
  person: string;
  /** Where orders are looked up. */
  orders: string;
}

interface Texts {
  name: string;
  greeting: (business: string) => string;
  prompt: (business: string) => string;
}

export interface Template {
  title: string;
  about: string;
  /** What is asked for before it is made, beside the business. */
  asks: ("person" | "orders")[];
  texts: Record<"en" | "nl", Texts>;
  more: (answers: TemplateAnswers) => Partial<Agent>;
}

const MANNERS = {
  en: "You are on the phone: answer in one or two short sentences, ask one question at a time, and never use lists, markup or links. If you did not understand something, say so and ask again. Do not invent facts: if you do not know something, offer to take a message. When the caller has nothing more to ask, say goodbye and end the call.",
  nl: "Je bent aan de telefoon: antwoord in een of twee korte zinnen, stel één vraag tegelijk en gebruik nooit opsommingen, opmaak of links. Spreek de beller met u aan. Heb je iets niet verstaan, zeg dat dan en vraag het opnieuw. Verzin niets: weet je iets niet, bied dan aan een boodschap aan te nemen. Heeft de beller niets meer te vragen, neem dan afscheid en beëindig het gesprek.",
};

const string = (description: string) => ({ type: "string", description });
const extract = (criteria: string, properties: Record<string, unknown>, required: string[] = []) => ({ success_criteria: criteria, structured_data_plan: { type: "object", properties, ...(required.length ? { required } : {}) } });
const transfer = (person: string, description: string): Partial<Agent> => (person ? { transfer_config: { destinations: [{ name: "colleague", target: person, description }] } } : {});
const english = (answers: TemplateAnswers) => answers.language === "en";

export const TEMPLATES: Record<TemplateName, Template> = {
  receptionist: {
    title: "Receptionist", about: "Answers, finds out what callers want, puts them through or takes a message.", asks: ["person"],
    texts: {
      en: { name: "Receptionist", greeting: (business) => `Good day, this is ${business}. How can I help you?`, prompt: (business) => `You are the receptionist of ${business}. Find out who is calling and what about. If there is a destination to put callers through to and they want a person, put them through. Otherwise take a message: name, phone number and what it is about, and read the phone number back. Promise that somebody will call back, without a time.` },
      nl: { name: "Receptionist", greeting: (business) => `Goedendag, u spreekt met ${business}. Waarmee kan ik u helpen?`, prompt: (business) => `Je bent de receptionist van ${business}. Vraag wie er belt en waarover. Is er een bestemming om naar door te verbinden en wil de beller iemand spreken, verbind dan door. Neem anders een boodschap aan: naam, telefoonnummer en waar het over gaat, en herhaal het telefoonnummer. Beloof dat iemand terugbelt, zonder een tijdstip te noemen.` },
    },
    more: (answers) => ({ built_in_tools: { collect_value: {} }, ...transfer(answers.person, "When the caller wants to speak to a person."), analysis_plan: extract("The caller was put through, or left a name, a number and a message.", { name: string("Who called."), phone: string("Number to call back."), message: string("What it is about."), urgent: { type: "boolean", description: "Whether it cannot wait." } }) }),
  },
  appointments: {
    title: "Appointments", about: "Takes requests for appointments: reason, day, time, name and number.", asks: ["person"],
    texts: {
      en: { name: "Appointments", greeting: (business) => `Good day, this is ${business}. Would you like to make an appointment?`, prompt: (business) => `You take requests for appointments for ${business}. Ask for the reason, the preferred day and time, the name and the phone number. Work out dates from today's date, and say them with weekday and day of the month. Read everything back once and have it confirmed. Say that ${business} will confirm the appointment; do not promise that the time is free. To change or cancel one, take name, day and time of the present appointment and pass it on as a message.` },
      nl: { name: "Afspraken", greeting: (business) => `Goedendag, u spreekt met ${business}. Wilt u een afspraak maken?`, prompt: (business) => `Je neemt verzoeken om afspraken aan voor ${business}. Vraag naar de reden, de gewenste dag en tijd, de naam en het telefoonnummer. Reken datums uit vanaf vandaag, en noem ze met weekdag en dag van de maand. Herhaal alles één keer en laat het bevestigen. Zeg dat ${business} de afspraak nog bevestigt; beloof niet dat de tijd vrij is. Wil de beller een afspraak wijzigen of afzeggen, neem dan naam, dag en tijd van die afspraak op en geef dat als boodschap door.` },
    },
    more: (answers) => ({ turn_config: { preset: "patient" }, built_in_tools: { collect_value: {} }, ...transfer(answers.person, "When the caller insists on a person."), analysis_plan: extract("An appointment was requested with day, time, name and number.", { kind: { type: "string", enum: ["new", "change", "cancel", "none"], description: "What was wanted." }, appointment_at: { type: "string", format: "date-time", description: "Preferred day and time." }, reason: string("What it is for."), name: string("Whose appointment."), phone: string("Number to call back.") }, ["kind"]) }),
  },
  survey: {
    title: "Survey", about: "Calls customers, asks three questions, and gives you the scores.", asks: [],
    texts: {
      en: { name: "Survey", greeting: (business) => `Good day, this is the automated assistant of ${business}. Do you have one minute for three questions about your last visit?`, prompt: (business) => `You make a short survey for ${business}. If the person has no time or does not want to, thank them and end the call at once. Ask, one after the other: how satisfied they are, from one to five; what went well; what could be better. Do not argue, do not sell, and do not ask anything else. Thank them and end the call.` },
      nl: { name: "Enquête", greeting: (business) => `Goedendag, dit is de automatische assistent van ${business}. Hebt u een minuut voor drie vragen over uw laatste bezoek?`, prompt: (business) => `Je houdt een korte enquête voor ${business}. Heeft iemand geen tijd of wil diegene niet, bedank dan en beëindig meteen het gesprek. Vraag na elkaar: hoe tevreden men is, van één tot vijf; wat goed ging; wat beter kan. Ga niet in discussie, verkoop niets en vraag niets anders. Bedank en beëindig het gesprek.` },
    },
    more: () => ({ voicemail_detection: true, max_duration_seconds: 300, analysis_plan: extract("All three questions were answered.", { took_part: { type: "boolean", description: "Whether the person took part." }, score: { type: "integer", minimum: 1, maximum: 5, description: "Satisfaction." }, good: string("What went well."), better: string("What could be better.") }, ["took_part"]) }),
  },
  voicemail: {
    title: "Voicemail", about: "Takes messages at any hour, reads the number back, and sends you a summary.", asks: [],
    texts: {
      en: { name: "Voicemail", greeting: (business) => `You have reached ${business}. We cannot come to the phone now. May I have your name and your message?`, prompt: (business) => `You take messages for ${business}. Ask for the name, the phone number and the message, in this order, and skip what the caller has said already. Read the phone number back in groups. Do not answer questions: say that you pass them on. Thank the caller and end the call.` },
      nl: { name: "Voicemail", greeting: (business) => `U bent verbonden met ${business}. We kunnen nu niet aan de telefoon komen. Mag ik uw naam en uw boodschap noteren?`, prompt: (business) => `Je neemt boodschappen aan voor ${business}. Vraag naar de naam, het telefoonnummer en de boodschap, in deze volgorde, en sla over wat de beller al heeft gezegd. Herhaal het telefoonnummer in groepjes. Beantwoord geen vragen: zeg dat je ze doorgeeft. Bedank de beller en beëindig het gesprek.` },
    },
    more: () => ({ turn_config: { preset: "patient" }, max_duration_seconds: 300, built_in_tools: { collect_value: {} }, analysis_plan: extract("A message with a number to call back was left.", { name: string("Who called."), phone: string("Number to call back."), message: string("The message."), urgent: { type: "boolean", description: "Whether it cannot wait." } }) }),
  },
  orders: {
    title: "Order status", about: "Asks for the order number, looks it up at your server if you name it, and says where the order is.", asks: ["orders", "person"],
    texts: {
      en: { name: "Order status", greeting: (business) => `Good day, this is ${business}. Do you have a question about an order?`, prompt: (business) => `You answer questions about orders for ${business}. Ask for the order number and read it back digit by digit. If you have the tool find_order, look the order up and say its status in plain words. Without the tool, or if the order is not found, take name, phone number and order number, and say that a colleague will call back. Never guess a status.` },
      nl: { name: "Bestelstatus", greeting: (business) => `Goedendag, u spreekt met ${business}. Hebt u een vraag over een bestelling?`, prompt: (business) => `Je beantwoordt vragen over bestellingen voor ${business}. Vraag naar het bestelnummer en herhaal het cijfer voor cijfer. Heb je de tool find_order, zoek de bestelling dan op en vertel de status in gewone woorden. Zonder die tool, of als de bestelling niet wordt gevonden, noteer je naam, telefoonnummer en bestelnummer, en zeg je dat een collega terugbelt. Raad nooit een status.` },
    },
    more: (answers) => ({ built_in_tools: { collect_value: {} }, ...transfer(answers.person, "When the caller wants to speak to a person."), analysis_plan: extract("The caller learnt the status of the order.", { order_number: string("Number of the order."), answered: { type: "boolean", description: "Whether the status was told." }, name: string("Who called."), phone: string("Number to call back.") }) }),
  },
};

const TOOL = (url: string) => ({ type: "function", url, request: { method: "GET" }, function: { name: "find_order", description: "Looks up an order by its number and gives its status.", parameters: { type: "object", properties: { order_number: { type: "string", description: "Number of the order, without spaces." } }, required: ["order_number"] } } });

const keyed = (providers: Pick<Provider, "name" | "key">[], names: string[]) => names.find((name) => providers.some((one) => one.name === name && (one.key === "own" || one.key === "server")));

/** Whether a language model can be asked; without one, an agent follows rules. */
export const hasModel = (providers: Pick<Provider, "name" | "key">[]) => keyed(providers, ["openai", "anthropic", "groq", "mistral", "xai"]) !== undefined;

const MODELS: Record<string, string> = { openai: "gpt-4o-mini", anthropic: "claude-haiku-5-5", groq: "openai/gpt-oss-20b", mistral: "mistral-small-latest", xai: "grok-4-1-fast-non-reasoning" };

/** Providers of one language, of those that have a key; what has none runs on this server. */
function providersFor(providers: Pick<Provider, "name" | "key">[], language: "en" | "nl"): Partial<Agent> {
  const llm = keyed(providers, Object.keys(MODELS));
  const stt = keyed(providers, ["deepgram", "openai"]);
  const tts = keyed(providers, ["elevenlabs", "openai"]);
  return {
    stt_config: stt === "deepgram" ? { provider: stt, model: "nova-3-general", language } : stt ? { provider: stt, model: "gpt-4o-mini-transcribe", language } : { provider: "local", model: "moonshine-tiny-en", language: "en" },
    ...(llm ? { llm_config: { provider: llm, model: MODELS[llm] } } : {}),
    tts_config: tts === "elevenlabs" ? { provider: tts, model: "eleven_flash_v2_5", voice_id: "EXAVITQu4vr4xnSDxMaL", language } : tts ? { provider: tts, model: "gpt-4o-mini-tts", voice_id: "alloy", language } : { provider: "local", voice_id: language === "nl" ? "nl" : "en-us", language },
  };
}

/** Whether somebody hears this language: the speech of this server is English. */
export const hears = (providers: Pick<Provider, "name" | "key">[], language: "en" | "nl") => language === "en" || keyed(providers, ["deepgram", "openai"]) !== undefined;

/** The zone of whoever makes the agent, where it is one of the IANA database. */
function zoneOf(language: "en" | "nl"): Partial<Agent> {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone?.includes("/")) return { time_zone: zone };
  return language === "nl" ? { time_zone: "Europe/Amsterdam" } : {};
}

/** Rules that take a message: what an agent does without a language model. */
const MESSAGE_FLOW = (language: "en" | "nl") => ({ start: "message", states: { message: { type: "take_message", next: "goodbye" }, goodbye: { type: "end", text: language === "nl" ? "Dank u wel, we bellen u terug. Tot ziens." : "Thank you, we will call you back. Goodbye." } } });

/** The whole agent of a template. */
export function agentOf(name: TemplateName, answers: TemplateAnswers, providers: Pick<Provider, "name" | "key">[]): Partial<Agent> {
  const template = TEMPLATES[name];
  const texts = template.texts[answers.language];
  const business = answers.business.trim() || (english(answers) ? "our company" : "ons bedrijf");
  const chosen = providersFor(providers, answers.language);
  const common = { name: texts.name, ...(answers.business.trim() ? { business_name: answers.business.trim() } : {}), is_active: true, first_message: texts.greeting(business), ...chosen, ...zoneOf(answers.language), ...(answers.language === "nl" ? { silence_config: { prompt: "Bent u er nog?", goodbye: "Ik hoor u niet, dus ik beëindig het gesprek. Tot ziens." } } : {}) };
  if (!hasModel(providers)) return { ...common, llm_config: { provider: "local", flow: MESSAGE_FLOW(answers.language) } };
  const llm = chosen.llm_config as Record<string, unknown>;
  const tools = name === "orders" && answers.orders ? { tools: [TOOL(answers.orders)] } : {};
  return { ...common, system_prompt: `${texts.prompt(business)}\n\n${MANNERS[answers.language]}`, ...template.more(answers), llm_config: { ...llm, ...tools } };
}
