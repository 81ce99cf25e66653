"""An app behind Mana Edge: it greets its user, and sells answers."""

import http.server
import os
import pathlib
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "clients" / "python"))
import manaid  # noqa: E402

verifier = manaid.Verifier(os.environ["MANA_URL"], audience="app")
edge = manaid.Client(os.environ["MANA_URL"], service_key=os.environ["MANA_SERVICE_KEY"])


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        who = self.who()
        if who:
            self.reply(200, f"Hello, {who.email}!\n")

    def do_POST(self):
        who = self.who()
        if not who:
            return
        key = self.headers.get("Idempotency-Key") or str(uuid.uuid4())
        try:
            edge.charge(2, "app", "An answer", user_id=who.user_id, key=key)
        except manaid.InsufficientCredits as short:
            self.reply(402, f"this costs {short.required} credits, you have {short.available}\n")
        else:
            self.reply(200, "42\n")

    def who(self):
        path, _, query = self.path.partition("?")
        try:
            return verifier.assertion(self.command, self.headers["Host"], path, query, self.headers)
        except manaid.InvalidToken:
            self.reply(401, "please sign in\n")

    def reply(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
