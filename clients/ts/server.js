// For apps behind Mana Edge that run in Node, Deno or the like: who a request acts for. The types are in server.d.ts.

/** A token or assertion that does not verify. */
export class InvalidTokenError extends Error {
	constructor(message) {
		super(message);
		this.name = "InvalidTokenError";
	}
}

/** One value of headers, of a Headers or of Node's object. */
function header(headers, name) {
	const value = typeof headers.get === "function" ? headers.get(name) : headers[name.toLowerCase()];
	return Array.isArray(value) ? value.join(", ") : (value ?? "");
}

const list = (joined) => (joined ? joined.split(",") : []);

/**
 * Reads the headers that the gate has written; null for a guest. An app that can be reached around the edge
 * must not call it: anybody may have written them.
 */
export function identity(headers) {
	const text = (name) => {
		try {
			return decodeURIComponent(header(headers, `X-Mana-${name}`));
		} catch {
			return "";
		}
	};
	if (!text("User-Id")) return null;
	return {
		userId: text("User-Id"),
		email: text("Email"),
		emailVerified: text("Email-Verified") === "true",
		role: text("Role"),
		sessionId: text("Session-Id"),
		orgId: text("Org-Id"),
		orgRole: text("Org-Role"),
		keyId: text("Key-Id"),
		scopes: list(text("Scopes")),
		authTime: Number(text("Auth-Time")),
		methods: list(text("Amr")),
		name: text("Name"),
		picture: text("Picture"),
	};
}

function decode(part) {
	if (!/^[A-Za-z0-9_-]*$/.test(part)) throw new InvalidTokenError("malformed");
	const text = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
	return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

function encode(bytes) {
	return btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const utf8 = new TextEncoder();

/** Who makes key ids up costs one fetch in that time, in milliseconds; how long a set is believed; how far the edge's clock may be ahead. */
const refetchAfter = 5_000;
const keysLife = 300_000;
const leeway = 30;

/** Verifies assertions and access tokens with the edge's keys. */
export class Verifier {
	#issuer;
	#audience;
	#url;
	#fetch;
	#now;
	#keys = new Map();
	#tried = Number.NEGATIVE_INFINITY;
	#good = Number.NEGATIVE_INFINITY;
	#fetching = null;

	constructor({ issuer, audience, jwksUrl, fetch: send = globalThis.fetch, now = Date.now }) {
		this.#issuer = issuer;
		this.#audience = audience;
		this.#url = jwksUrl ?? `${issuer.replace(/\/+$/, "")}/.well-known/jwks.json`;
		this.#fetch = (...args) => send(...args);
		this.#now = now;
	}

	async #load() {
		this.#tried = this.#now();
		const response = await this.#fetch(this.#url, { signal: AbortSignal.timeout(5_000) });
		if (!response.ok) throw new Error(`fetch the key set: status ${response.status}`);
		const { keys } = await response.json();
		this.#keys = new Map(keys.filter((k) => k.kty === "OKP" && k.crv === "Ed25519").map((k) => [k.kid, k]));
		this.#good = this.#now();
	}

	async #key(kid) {
		const stale = () => this.#now() - this.#good > keysLife;
		if (!this.#keys.has(kid) || stale()) {
			if (!this.#fetching && this.#now() - this.#tried >= refetchAfter) {
				this.#fetching = this.#load().finally(() => (this.#fetching = null));
			}
			await this.#fetching;
		}
		if (stale()) throw new Error("the key set could not be fetched");
		const jwk = this.#keys.get(kid);
		if (!jwk) throw new InvalidTokenError("unknown key");
		return crypto.subtle.importKey("jwk", { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, { name: "Ed25519" }, false, ["verify"]);
	}

	async #verify(token, isType) {
		let header, claims, signature;
		const parts = token.split(".");
		try {
			[header, claims] = parts.slice(0, 2).map((part) => JSON.parse(new TextDecoder().decode(decode(part))));
			signature = decode(parts[2]);
		} catch {
			throw new InvalidTokenError("malformed");
		}
		if (parts.length !== 3 || header.alg !== "EdDSA" || header.crit || typeof header.kid !== "string" || !isType(header.typ ?? "")) {
			throw new InvalidTokenError("another algorithm or type");
		}
		const key = await this.#key(header.kid);
		if (!(await crypto.subtle.verify("Ed25519", key, signature, utf8.encode(`${parts[0]}.${parts[1]}`)))) {
			throw new InvalidTokenError("signature");
		}
		const now = this.#now() / 1000;
		if (claims.iss !== this.#issuer) throw new InvalidTokenError("of another issuer");
		if (!this.#audience || ![claims.aud].flat().includes(this.#audience)) throw new InvalidTokenError("for another audience");
		if (!claims.sub || !(now < claims.exp)) throw new InvalidTokenError("expired, or without subject");
		if (Math.max(claims.iat ?? 0, claims.nbf ?? 0) > now + leeway) throw new InvalidTokenError("not yet");
		return claims;
	}

	/** The claims of an access token. */
	token(token) {
		return this.#verify(token, (typ) => typ === "" || typ.toUpperCase() === "JWT");
	}

	/** Who the assertion of a request says it acts for. The request is Node's, or {method, url, headers}. */
	async assertion(request) {
		const claims = await this.#verify(header(request.headers, "X-Mana-Assertion"), (typ) => typ === "mana-assertion+jwt");
		const target = (request.url ?? "").replace(/^https?:\/\/[^/?#]*/, "");
		const at = target.indexOf("?");
		const path = at < 0 ? target : target.slice(0, at);
		const query = at < 0 ? "" : target.slice(at + 1);
		const digest = encode(await crypto.subtle.digest("SHA-256", utf8.encode(query)));
		const host = header(request.headers, "Host");
		if (claims.htm !== request.method || claims.host?.toLowerCase() !== host.toLowerCase() || claims.path !== path || claims.qh !== digest) {
			throw new InvalidTokenError("of another request");
		}
		return {
			userId: claims.sub,
			email: claims.email,
			emailVerified: claims.email_verified,
			role: claims.role,
			sessionId: claims.sid ?? "",
			orgId: claims.org ?? "",
			orgRole: claims.org_role ?? "",
			keyId: claims.api_key ?? "",
		};
	}
}
