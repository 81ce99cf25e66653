// For apps behind Mana Edge that run in Node, Deno or the like: who a request acts for. The types are in server.d.ts.
import { encode, InvalidTokenError, KeySet, leeway, utf8 } from "./jws.js";

export { InvalidTokenError };

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

/** Verifies assertions and access tokens with the edge's keys. */
export class Verifier {
	#issuer;
	#audience;
	#keys;
	#now;

	constructor({ issuer, audience, jwksUrl, fetch = globalThis.fetch, now = Date.now }) {
		this.#issuer = issuer;
		this.#audience = audience;
		this.#keys = new KeySet({ url: jwksUrl ?? `${issuer.replace(/\/+$/, "")}/.well-known/jwks.json`, fetch, now });
		this.#now = now;
	}

	async #verify(token, isType) {
		const claims = await this.#keys.open(token, isType);
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
