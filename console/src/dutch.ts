// All Dutch words, loaded by those who read Dutch.

import { nl } from "./nl";
import { nlAgent } from "./nl-agent";

export const dutch: Record<string, string> = { ...nl, ...nlAgent };
