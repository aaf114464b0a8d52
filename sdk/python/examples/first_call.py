"""Creates an agent, a number and a task, calls, receives the signed webhooks, and prints the transcript.

    python examples/first_call.py --to +15550199 --number +31208080808

TRUNKLINE_URL and TRUNKLINE_API_KEY say which server. It sends its webhooks to this program: for an address on this machine
it needs `webhooks.allow_private = true`, which the demo has.
"""

import argparse
import queue
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from trunkline import Trunkline, models, webhooks


def receiver(host: str, port: int, secret: str, events: "queue.Queue[webhooks.Event]") -> ThreadingHTTPServer:
    """Takes webhooks that are signed with the secret, and refuses others."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                events.put(webhooks.unwrap(body, dict(self.headers), secret))
                self.send_response(204)
            except (webhooks.WebhookVerificationError, ValueError) as error:
                print(f"refused: {error}", flush=True)
                self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, help="number to call, E.164")
    parser.add_argument("--number", required=True, help="a number of yours, E.164, that the callee is shown")
    parser.add_argument("--listen", default="127.0.0.1:0", help="where the webhooks come in")
    arguments = parser.parse_args()

    secret = f"whsec_{secrets.token_urlsafe(32)}"
    events: "queue.Queue[webhooks.Event]" = queue.Queue()
    host, port = arguments.listen.rsplit(":", 1)
    server = receiver(host, int(port), secret, events)

    with Trunkline() as client:
        agent = client.agents.create(
            name="Address check",
            system_prompt="You ask whether the customer's address is still correct.",
            first_message="Hello, this is Acme. Is your delivery address still correct?",
            llm_config={"provider": "openai", "model": "gpt-4o-mini"},
            webhook_url=f"http://{host}:{server.server_port}/hooks",
            webhook_secret=secret,
            webhook_events=["status-update", "end-of-call-report"],
        )
        number = client.phone_numbers.create(number=arguments.number, agent_id=agent.id)
        task = client.tasks.create(agent_id=agent.id, to_number=arguments.to, from_number=number.number)
        call_id = client.tasks.execute(task.id).call_id
        print(f"call {call_id}", flush=True)

        while True:
            event = events.get(timeout=300)
            if isinstance(event, models.StatusUpdate):
                print(f"verified {event.type_}: {event.status}", flush=True)
            elif isinstance(event, models.EndOfCallReport):
                print(f"verified {event.type_}: {event.end_reason}", flush=True)
                break
        for turn in client.calls.get_transcript(call_id).transcript:
            print(f"{turn.role}: {turn.content}", flush=True)
        client.phone_numbers.delete(number.id)


if __name__ == "__main__":
    main()
