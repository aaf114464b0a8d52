// Carriers whose trunks can be filled in: what is known of them, and what is to be set at the carrier.

export interface Carrier {
  name: string;
  /** Fields of the trunk's form. */
  fields: { host?: string; transport?: string; allowed?: string; srtp?: string };
  register?: boolean;
  /** What stands in capital letters in `host` is the customer's own. */
  note: string;
}

export const CARRIERS: Record<string, Carrier> = {
  twilio: {
    name: "Twilio",
    fields: {
      host: "NAME.pstn.twilio.com",
      allowed: "54.172.60.0/30, 54.244.51.0/30, 54.171.127.192/30, 35.156.191.128/30, 54.65.63.192/30, 54.169.127.128/30, 54.252.254.64/30, 177.71.206.192/30",
    },
    note: "At Twilio: create an Elastic SIP trunk. Its termination URI is the host; take user name and password from its credential list. Add this server as origination URI, and assign your number to the trunk.",
  },
  telnyx: {
    name: "Telnyx",
    fields: { host: "sip.telnyx.com", allowed: "192.76.120.10, 64.16.250.10" },
    note: "At Telnyx: create a SIP connection with credentials and an outbound voice profile, assign your number to it, and choose the number format +E.164. In Europe the host is sip-eu.telnyx.com with 5.172.39.10 and 5.172.39.25.",
  },
  vonage: {
    name: "Vonage",
    fields: { host: "sip.nexmo.com" },
    note: "At Vonage: user name and password are your API key and secret. Forward your number to the SIP address of this server, and enter the signaling addresses that Vonage's documentation lists.",
  },
  pbx: {
    name: "PBX",
    fields: { host: "PBX.ADDRESS", allowed: "PBX.ADDRESS" },
    note: "At the PBX (Asterisk, FreePBX and others): create an extension or a trunk for this server, and route calls to it. Replace PBX.ADDRESS by its address.",
  },
  registration: {
    name: "SIP account",
    fields: {},
    register: true,
    note: "For an account of a telephone company or a PBX: enter the registrar as host, and the account's user name and password. Incoming calls come over the registration.",
  },
};

/** What somebody still has to replace before the trunk is made. */
export const PLACEHOLDER = /\b(NAME|PBX\.ADDRESS)\b/;
