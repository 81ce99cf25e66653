"""Drives manaid.py against a running edge, as an app behind its gate and as a client. The test of the clients runs it."""

import http.server
import json
import os
import threading
import unittest
import urllib.error
import urllib.request

import manaid

BASE, SITE, PORT = os.environ["MANA_URL"], os.environ["MANA_SITE"], int(os.environ["MANA_APP_PORT"])
EMAIL, PASSWORD, KEY = os.environ["MANA_EMAIL"], os.environ["MANA_PASSWORD"], os.environ["MANA_SERVICE_KEY"]
HOST = SITE.removeprefix("http://")


class App(http.server.BaseHTTPRequestHandler):
    verifier = manaid.Verifier(BASE, audience="app")
    foreign = manaid.Verifier(BASE, audience="another app")

    def do_GET(self):
        path, _, query = self.path.partition("?")
        seen = {"header": manaid.identity(self.headers).__dict__, "query": query, "refused": []}
        asked = ("GET", self.headers["Host"], path, query)
        seen["asserted"] = self.verifier.assertion(*asked, self.headers).__dict__
        for at in (("POST", *asked[1:]), ("GET", "other", *asked[2:]), (*asked[:2], "/other", query), (*asked[:3], "other=1")):
            try:
                self.verifier.assertion(*at, self.headers)
            except manaid.InvalidToken:
                seen["refused"].append("request")
        try:
            self.foreign.assertion(*asked, self.headers)
        except manaid.InvalidToken:
            seen["refused"].append("app")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(seen).encode())

    def log_message(self, *_):
        pass


class Drive(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), App)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.user = manaid.Client(BASE)
        cls.tokens = cls.user.login(EMAIL, PASSWORD)
        cls.backend = manaid.Client(BASE, service_key=KEY)

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def ask(self, path, token=None):
        request = urllib.request.Request(SITE + path)
        if token:
            request.add_header("Authorization", "Bearer " + token)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def test_identity_and_assertion(self):
        seen = self.ask("/a%2Fb?c=%20d", self.user.access_token)
        self.assertEqual(seen["header"]["user_id"], self.tokens["user"]["id"])
        self.assertEqual(seen["header"]["name"], "Zoë 100%")
        self.assertEqual(seen["asserted"]["email"], EMAIL)
        self.assertEqual(seen["asserted"]["session_id"], seen["header"]["session_id"])
        self.assertEqual(seen["refused"], ["request"] * 4 + ["app"])

    def test_ticket(self):
        seen = self.ask("/events?a=1&ticket=" + self.user.ticket(SITE))
        self.assertEqual((seen["header"]["user_id"], seen["query"]), (self.tokens["user"]["id"], "a=1"))
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.ask("/events")
        self.assertEqual(refused.exception.code, 401)
        refused.exception.close()

    def test_tokens(self):
        verifier = manaid.Verifier(BASE, audience="manacore")
        self.assertEqual(verifier.token(self.user.access_token)["sub"], self.tokens["user"]["id"])
        with self.assertRaises(manaid.InvalidToken):
            verifier.token(self.user.access_token[:-6] + "AAAAAA")
        self.assertTrue(self.backend.validate(self.user.access_token)["valid"])
        again = manaid.Client(BASE)
        first = again.login(EMAIL, PASSWORD)
        self.assertNotEqual(again.refresh(first["refreshToken"])["refreshToken"], first["refreshToken"])
        with self.assertRaises(manaid.Unauthorized):
            manaid.Client(BASE, access_token="a.b.c").profile()

    def test_money(self):
        user = self.tokens["user"]["id"]
        before = self.backend.balance(user)["balance"]
        for _ in range(2):
            charged = self.backend.charge(1.5, "app", "a test", user_id=user, key="python-1")
        self.assertEqual(self.user.balance()["balance"], before - 1.5)
        self.backend.refund(user, 1.5, "app", "a test", charged["transaction"]["id"], key="python-2")
        self.assertEqual(self.user.balance()["balance"], before)
        with self.assertRaises(manaid.InsufficientCredits) as short:
            self.user.charge(10**6, "app", "too much")
        self.assertEqual((short.exception.required, short.exception.available), (10**6, before))

    def test_receipt(self):
        request = urllib.request.Request(SITE + "/paid", headers={"Authorization": "Bearer " + self.user.access_token})
        with urllib.request.urlopen(request, timeout=20) as answer:
            request_id, signed = answer.headers["X-Request-Id"], answer.headers["Mana-Receipt"]
        receipts = manaid.ReceiptVerifier(BASE)
        found = receipts.receipt_of(request_id, signed)
        self.assertEqual((found.cost, found.user_id, found.payer, found.app, len(found.transactions)), (4, self.tokens["user"]["id"], "user", "app", 1))
        for other in ("another", None):
            with self.assertRaises(manaid.InvalidToken):
                receipts.receipt_of(other, signed)

    def test_receipts_that_are_none(self):
        with open(os.environ["MANA_RECEIPTS"], encoding="utf-8") as file:
            cases = json.load(file)
        receipts = manaid.ReceiptVerifier(cases["issuer"])
        found = receipts.receipt_of(cases["requestId"], cases["good"])
        self.assertEqual((found.cost, found.payer, found.replayed), (2.5, "org:acme", False))
        self.assertGreater(len(cases["bad"]), 20)
        good = cases["good"]
        bad = cases["bad"] | {f"letter {i}": good[:i] + ("B" if good[i] == "A" else "A") + good[i + 1:] for i in range(len(good))}
        for name, token in bad.items() | {("none", None)}:
            with self.subTest(name), self.assertRaises(manaid.InvalidToken):
                receipts.receipt(token)
        with self.assertRaises(OSError):
            manaid.ReceiptVerifier(cases["issuer"], jwks_url=cases["issuer"] + "/nothing").receipt(good)

    def test_people(self):
        user = self.tokens["user"]["id"]
        self.assertEqual(self.backend.user(user)["email"], EMAIL)
        self.assertEqual([u["id"] for u in self.backend.users([user, "nobody"])], [user])

    # RFC 8032, section 7.1, test 2.
    def test_ed25519(self):
        public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        signature = bytes.fromhex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
        self.assertTrue(manaid._verifies(public, b"\x72", signature))
        self.assertFalse(manaid._verifies(public, b"\x73", signature))


if __name__ == "__main__":
    unittest.main()
