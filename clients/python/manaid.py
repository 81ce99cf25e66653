"""For Python apps behind Mana Edge: who a request acts for, and the edge's API.

One file, standard library only. An app that can be reached through the edge alone
reads the headers that the gate writes:

    who = manaid.identity(request.headers)        # None for a guest

An app that does not trust its network asks the gate for assertions
(`mana_auth { assertion }`) and verifies them:

    verifier = manaid.Verifier("https://auth.mana.how", audience="chat.mana.how")
    who = verifier.assertion(method, host, path, query, headers)

What a metered route says that a request cost is verified too:

    cost = manaid.ReceiptVerifier("https://auth.mana.how").receipt(answer.headers["Mana-Receipt"]).cost

What is verified of a token is its signature and what it says. A session that was revoked
since then passes until its token expires; the gate, and `Client.validate`, know at once.
"""

import base64
import hashlib
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

__all__ = [
    "APIError", "Client", "Identity", "InsufficientCredits", "InvalidToken", "RateLimited", "ReceiptVerifier",
    "SignedReceipt", "Unauthorized", "Verifier", "identity",
]


@dataclass(frozen=True)
class Identity:
    """Who a request acts for. What is not known is empty; auth_time is in Unix seconds, 0 where not known."""

    user_id: str
    email: str = ""
    email_verified: bool = False
    role: str = ""
    session_id: str = ""
    org_id: str = ""
    org_role: str = ""
    key_id: str = ""
    scopes: tuple = ()
    auth_time: int = 0
    methods: tuple = ()
    name: str = ""
    picture: str = ""


def _listed(joined):
    return tuple(joined.split(",")) if joined else ()


def identity(headers):
    """Read the headers that the gate has written, or None for a guest.

    headers is a mapping whose get() minds no case, as those of most frameworks. An app that can be
    reached around the edge must not call it: anybody may have written them.
    """

    def text(name):
        return urllib.parse.unquote(headers.get("X-Mana-" + name) or "")

    if not text("User-Id"):
        return None
    return Identity(
        user_id=text("User-Id"), email=text("Email"), email_verified=text("Email-Verified") == "true", role=text("Role"),
        session_id=text("Session-Id"), org_id=text("Org-Id"), org_role=text("Org-Role"), key_id=text("Key-Id"),
        scopes=_listed(text("Scopes")), auth_time=int(text("Auth-Time") or 0), methods=_listed(text("Amr")),
        name=text("Name"), picture=text("Picture"),
    )


class InvalidToken(Exception):
    """A token, assertion or receipt that does not verify."""


# Verification of Ed25519 (RFC 8032, section 5.1.7). Nothing in it is secret, so it need not take constant time.
_P = 2**255 - 19
_Q = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_SQRT = pow(2, (_P - 1) // 4, _P)


def _add(a, b):
    x = (a[1] - a[0]) * (b[1] - b[0]) % _P
    y = (a[1] + a[0]) * (b[1] + b[0]) % _P
    z, w = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = y - x, w - z, w + z, y + x
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(n, point):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = _add(out, point)
        point, n = _add(point, point), n >> 1
    return out


def _point(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _SQRT % _P
    if (x * x - square) % _P or not x and sign:
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


_BASE = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


def _verifies(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r, s = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= _Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _Q
    left, right = _times(s, _BASE), _add(r, _times(h, a))
    return not (left[0] * right[2] - right[0] * left[2]) % _P and not (left[1] * right[2] - right[1] * left[2]) % _P


def _decode(part):
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise ValueError("not base64url")
    return raw


class _Keys:
    """The public keys of an edge (RFC 7517), fetched when they are needed."""

    REFETCH_AFTER = 5.0  # seconds: who makes key ids up costs one fetch in that time
    KEYS_LIFE = 300.0  # seconds that a key set is believed
    LONGEST = 8 << 10  # characters of a token

    def __init__(self, url, now):
        self._url, self._now = url, now
        self._lock, self._keys, self._tried, self._good = threading.Lock(), {}, float("-inf"), float("-inf")

    def _key(self, kid):
        with self._lock:
            now = self._now()
            if (kid not in self._keys or now - self._good > self.KEYS_LIFE) and now - self._tried >= self.REFETCH_AFTER:
                self._tried = now
                with urllib.request.urlopen(self._url, timeout=5) as answer:
                    keys = json.loads(answer.read(1 << 20))["keys"]
                self._keys = {k["kid"]: _decode(k["x"]) for k in keys if k.get("kty") == "OKP" and k.get("crv") == "Ed25519"}
                self._good = now
            if now - self._good > self.KEYS_LIFE:
                raise OSError("the key set could not be fetched")
            if kid not in self._keys:
                raise InvalidToken("unknown key")
            return self._keys[kid]

    def open(self, token, types):
        """The payload of a JWS in compact form (RFC 7515, section 7.1) that a key of the set has signed."""
        try:
            if len(token) > self.LONGEST:
                raise ValueError("too long")
            signed, _, signature = token.rpartition(".")
            head, payload = signed.split(".")
            header, claims, signature = json.loads(_decode(head)), json.loads(_decode(payload)), _decode(signature)
            alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "")
        except (ValueError, AttributeError, TypeError) as error:
            raise InvalidToken("malformed") from error
        if alg != "EdDSA" or "crit" in header or typ not in types or not isinstance(kid, str) or not isinstance(claims, dict):
            raise InvalidToken("another algorithm or type")
        if not _verifies(self._key(kid), signed.encode(), signature):
            raise InvalidToken("signature")
        return claims


_LEEWAY = 30  # seconds that the edge's clock may be ahead


class Verifier:
    """Verifies assertions and access tokens. It may be shared by threads.

    issuer is the base_url of the edge. audience is the app: for assertions that of the directive, by
    default the app's host name; for access tokens that of the edge, manacore by default.
    """

    def __init__(self, issuer, audience, jwks_url=None, now=time.time):
        self._issuer, self._audience, self._now = issuer, audience, now
        self._keys = _Keys(jwks_url or issuer.rstrip("/") + "/.well-known/jwks.json", now)

    def _verify(self, token, types):
        claims = self._keys.open(token, types)
        audience = claims.get("aud")
        now = self._now()
        if claims.get("iss") != self._issuer:
            raise InvalidToken("of another issuer")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidToken("for another audience")
        if not claims.get("sub") or not isinstance(claims.get("exp"), (int, float)) or now >= claims["exp"]:
            raise InvalidToken("expired, or without subject")
        if max(claims.get("iat", 0), claims.get("nbf", 0)) > now + _LEEWAY:
            raise InvalidToken("not yet")
        return claims

    def token(self, token):
        """The claims of an access token. It fails with InvalidToken, or OSError where the keys cannot be fetched."""
        return self._verify(token, ("", "JWT"))

    def assertion(self, method, host, path, query, headers):
        """Who the assertion of a request says it acts for.

        path is as it is encoded on the wire, query without its question mark. It fails as token() does.
        """
        claims = self._verify(headers.get("X-Mana-Assertion") or "", ("mana-assertion+jwt",))
        digest = base64.urlsafe_b64encode(hashlib.sha256(query.encode()).digest()).rstrip(b"=").decode()
        if (claims.get("htm"), str(claims.get("host")).lower(), claims.get("path"), claims.get("qh")) != (method, host.lower(), path, digest):
            raise InvalidToken("of another request")
        return Identity(
            user_id=claims["sub"], email=claims.get("email", ""), email_verified=claims.get("email_verified", False), role=claims.get("role", ""),
            session_id=claims.get("sid", ""), org_id=claims.get("org", ""), org_role=claims.get("org_role", ""), key_id=claims.get("api_key", ""),
        )


@dataclass(frozen=True)
class SignedReceipt:
    """What a request cost, as the edge has signed it. cost is in credits, at in Unix seconds.

    payer is "user", or "org:" and the id of the organisation that paid; transactions are the ids of the
    rows that charge it. replayed is set where the request came again under its idempotency key: the
    receipt of the first one has the charge.
    """

    request_id: str
    user_id: str
    payer: str
    cost: float
    transactions: tuple
    app: str
    replayed: bool
    at: int


class ReceiptVerifier:
    """Verifies receipts (Mana-Receipt) with the edge's keys, which are not those of access tokens. It may be shared by threads."""

    def __init__(self, issuer, jwks_url=None, now=time.time):
        self._issuer, self._now = issuer, now
        self._keys = _Keys(jwks_url or issuer.rstrip("/") + "/api/v1/credits/jwks", now)

    def receipt(self, token):
        """What a request cost, whichever it is. A receipt does not expire.

        It fails with InvalidToken, also for None, or OSError where the keys cannot be fetched.
        """
        claims = self._keys.open(token, ("mana-receipt+jwt",))
        if claims.get("iss") != self._issuer:
            raise InvalidToken("of another issuer")

        def number(name, kinds):
            return isinstance(claims.get(name), kinds) and not isinstance(claims[name], bool) and claims[name] >= 0

        named = all(isinstance(claims.get(name), str) and claims[name] for name in ("jti", "sub", "payer"))
        rows = claims.get("transactions")
        if not named or not number("cost", (int, float)) or not number("iat", int) or claims.get("unit") != "credits" or not isinstance(rows, list):
            raise InvalidToken("incomplete")
        if claims["iat"] > self._now() + _LEEWAY:
            raise InvalidToken("not yet")
        return SignedReceipt(
            request_id=claims["jti"], user_id=claims["sub"], payer=claims["payer"], cost=claims["cost"], transactions=tuple(rows),
            app=claims.get("app", ""), replayed=claims.get("replayed") is True, at=claims["iat"],
        )

    def receipt_of(self, request_id, token):
        """The same of the request with that id, {http.request.uuid} of the edge."""
        found = self.receipt(token)
        if found.request_id != request_id:
            raise InvalidToken("of another request")
        return found


class APIError(Exception):
    """A refusal of the API. code stays, while texts may change; retry_after is in seconds, None where nothing was said."""

    def __init__(self, status, code, message, retry_after=None, details=None):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.retry_after, self.details = status, code, message, retry_after, details or {}


class Unauthorized(APIError):
    """The token or key is none that counts: refresh it, or sign in again."""


class InsufficientCredits(APIError):
    """An account cannot pay."""

    @property
    def required(self):
        return self.details.get("requiredCredits")

    @property
    def available(self):
        return self.details.get("availableCredits")


class RateLimited(APIError):
    """Too many requests: try again after retry_after."""


_ERRORS = {401: Unauthorized, 402: InsufficientCredits, 429: RateLimited}


@dataclass
class Client:
    """Calls the API of an edge: as a back end with service_key, or as a user with access_token. Amounts are credits."""

    base_url: str
    service_key: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    timeout: float = 30.0  # seconds

    def call(self, method, path, body=None, key=None):
        """Send one request and read its answer. With key, a repeated request takes effect once."""
        request = urllib.request.Request(self.base_url.rstrip("/") + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if key:
            request.add_header("Idempotency-Key", key)
        if self.service_key:
            request.add_header("X-Service-Key", self.service_key)
        elif self.access_token:
            request.add_header("Authorization", "Bearer " + self.access_token)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                raise self._error(refused) from None

    @staticmethod
    def _error(refused):
        try:
            said = json.loads(refused.read())
        except ValueError:
            said = {}
        message, retry = said.get("message", refused.reason), refused.headers.get("Retry-After", "")
        return _ERRORS.get(refused.code, APIError)(
            refused.code, said.get("code", ""), "; ".join(message) if isinstance(message, list) else message,
            int(retry) if retry.isdigit() else None, said.get("details"),
        )

    def login(self, email, password):
        """Sign in; the answer has accessToken and refreshToken, and the client acts as the user from now on."""
        tokens = self.call("POST", "/api/v1/auth/login", {"email": email, "password": password})
        self.access_token = tokens["accessToken"]
        return tokens

    def refresh(self, refresh_token):
        """Exchange a refresh token for its successor. Within ten seconds each who shows one gets the same."""
        tokens = self.call("POST", "/api/v1/auth/refresh", {"refreshToken": refresh_token})
        self.access_token = tokens["accessToken"]
        return tokens

    def profile(self):
        return self.call("GET", "/api/v1/auth/profile")

    def validate(self, token):
        """Ask the edge about an access token, revocation included: {valid, payload} or {valid, error}."""
        return self.call("POST", "/api/v1/auth/validate", {"token": token})

    def ticket(self, url):
        """A ticket for one request to a site of the family, to be put into its query as `ticket`, within 30 seconds."""
        return self.call("POST", "/api/v1/auth/ticket", {"url": url})["ticket"]

    def user(self, user_id):
        """Look a user up. The service key needs users:read."""
        return self.call("GET", "/api/v1/internal/users/" + urllib.parse.quote(user_id, safe=""))

    def users(self, ids):
        """Look up to 100 users up; whoever is not there is left out."""
        return self.call("POST", "/api/v1/internal/users/lookup", {"ids": list(ids)})["users"]

    def balance(self, user_id=None):
        return self.call("GET", "/api/v1/credits/balance" + ("/" + urllib.parse.quote(user_id, safe="") if user_id else ""))

    def charge(self, amount, app_id, description, user_id=None, key=None, metadata=None):
        """Take credits. It fails with InsufficientCredits."""
        body = {"amount": amount, "appId": app_id, "description": description, "userId": user_id, "metadata": metadata}
        return self.call("POST", "/api/v1/credits/use", {k: v for k, v in body.items() if v is not None}, key)

    def refund(self, user_id, amount, app_id, description, transaction_id=None, key=None):
        """Give credits back, with a service key."""
        body = {"userId": user_id, "amount": amount, "appId": app_id, "description": description, "transactionId": transaction_id}
        return self.call("POST", "/api/v1/credits/refund", {k: v for k, v in body.items() if v is not None}, key)
