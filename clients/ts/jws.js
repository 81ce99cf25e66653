// Signatures of Mana Edge, verified by WebCrypto. server.js and receipt.js use it.

/** A token, assertion or receipt that does not verify. */
export class InvalidTokenError extends Error {
	constructor(message) {
		super(message);
		this.name = "InvalidTokenError";
	}
}

export const utf8 = new TextEncoder();

export function encode(bytes) {
	return btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Reads base64url, which has one spelling: that of a signature is not signed. */
function decode(part) {
	const text = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
	const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
	if (encode(bytes) !== part) throw new InvalidTokenError("malformed");
	return bytes;
}

/** Who makes key ids up costs one fetch in that time, in milliseconds; how long a set is believed; how far the edge's clock may be ahead, in seconds. */
const refetchAfter = 5_000;
const keysLife = 300_000;
export const leeway = 30;
/** The longest token, in characters. */
const longest = 8 << 10;

/** The public keys of an edge (RFC 7517), fetched when they are needed. */
export class KeySet {
	#url;
	#fetch;
	#now;
	#keys = new Map();
	#tried = Number.NEGATIVE_INFINITY;
	#good = Number.NEGATIVE_INFINITY;
	#fetching = null;

	constructor({ url, fetch: send, now }) {
		this.#url = url;
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

	/** The payload of a JWS in compact form (RFC 7515, section 7.1) that a key of the set has signed, and whose typ isType takes. */
	async open(token, isType) {
		let header, claims, signature;
		if (typeof token !== "string" || token.length > longest) throw new InvalidTokenError("malformed");
		const parts = token.split(".");
		try {
			[header, claims] = parts.slice(0, 2).map((part) => JSON.parse(new TextDecoder().decode(decode(part))));
			signature = decode(parts[2]);
		} catch {
			throw new InvalidTokenError("malformed");
		}
		if (parts.length !== 3 || header?.alg !== "EdDSA" || header.crit || typeof header.kid !== "string" || !isType(header.typ ?? "") || !claims) {
			throw new InvalidTokenError("another algorithm or type");
		}
		const key = await this.#key(header.kid);
		if (!(await crypto.subtle.verify("Ed25519", key, signature, utf8.encode(`${parts[0]}.${parts[1]}`)))) {
			throw new InvalidTokenError("signature");
		}
		return claims;
	}
}
