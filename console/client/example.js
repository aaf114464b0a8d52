import { Trunkline } from "/trunkline.js"; // yours: "https://voice.example.com/trunkline.js"

const [button, state, list] = ["call", "state", "transcript"].map((id) => document.getElementById(id));
let call = null;
button.addEventListener("click", async () => {
  if (call) return call.hangUp();
  try {
    // Yours: an address of your own server, which asks POST /api/v1/calls/web with its API key.
    const { agent_id: agent, token } = await (await fetch("/demo/call", { method: "POST" })).json();
    call = await Trunkline.call({ agent, token });
    button.textContent = "Hang up";
    call.addEventListener("state", () => { state.textContent = call.state; if (call.state === "ended") { call = null; button.textContent = "Call"; } });
    call.addEventListener("transcript", ({ detail }) =>
      list.replaceChildren(...detail.turns.map((turn) => Object.assign(document.createElement("li"), { textContent: `${turn.role}: ${turn.content}` }))));
  } catch (error) { state.textContent = error.message; }
});
