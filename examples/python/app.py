"""An app behind Mana Edge: it greets its user, sells answers, streams, and takes uploads."""

import http.server
import json
import os
import pathlib
import sys
import time
import urllib.parse
import uuid
from dataclasses import asdict

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "clients" / "python"))
import manaid  # noqa: E402

verifier = manaid.Verifier(os.environ["MANA_URL"], audience="app")
edge = manaid.Client(os.environ["MANA_URL"], service_key=os.environ["MANA_SERVICE_KEY"])


def think(about):
    if about == "everything":
        raise ValueError("too much")
    return "42\n"


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        who = self.who()
        if who and self.path == "/me":
            self.reply(200, json.dumps(asdict(manaid.identity(self.headers))))
        elif who and self.path == "/events":
            self.events(who)
        elif who:
            self.reply(200, f"Hello, {who.email}!\n")

    def do_POST(self):
        who = self.who()
        if who and self.path == "/upload":
            self.upload()
        elif who:
            self.answer(who)

    # region who
    def who(self):
        path, _, query = self.path.partition("?")
        try:
            return verifier.assertion(self.command, self.headers["Host"], path, query, self.headers)
        except manaid.InvalidToken:
            self.reply(401, "please sign in\n")

    # endregion

    # region charge
    def answer(self, who):
        key = self.headers.get("Idempotency-Key") or str(uuid.uuid4())
        try:
            receipt = edge.charge(2, "app", "An answer", user_id=who.user_id, key=key)
        except manaid.InsufficientCredits as short:
            return self.reply(402, f"this costs {short.required} credits, you have {short.available}\n")
        try:
            self.reply(200, think(self.query("about")))
        except ValueError:
            edge.refund(who.user_id, 2, "app", "No answer", transaction_id=receipt["transaction"]["id"], key=key + "-refund")
            self.reply(500, "no answer, and nothing to pay\n")

    # endregion

    def query(self, name):
        return urllib.parse.parse_qs(self.path.partition("?")[2]).get(name, [""])[0]

    # region events
    def events(self, who):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        for i in range(1, 4):
            self.wfile.write(f"event: tick\nid: {i}\ndata: {who.email}\n\n".encode())
            time.sleep(0.2)

    # endregion

    # region upload
    def upload(self):
        size = 0
        while size < int(self.headers["Content-Length"]):
            size += len(self.rfile.read(min(65536, int(self.headers["Content-Length"]) - size)))
        self.reply(200, json.dumps({"bytes": size}))

    # endregion

    def reply(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
