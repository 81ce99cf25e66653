// What a metered route of Mana Edge says that a request cost: `Mana-Receipt`. For browsers, Node and Deno. The types are in receipt.d.ts.
import { InvalidTokenError, KeySet, leeway } from "./jws.js";

export { InvalidTokenError };

const isText = (value) => typeof value === "string" && value !== "";

/** Verifies receipts with the edge's keys, which are not those of access tokens. */
export class ReceiptVerifier {
	#issuer;
	#keys;
	#now;

	constructor({ issuer, jwksUrl, fetch = globalThis.fetch, now = Date.now }) {
		this.#issuer = issuer;
		this.#keys = new KeySet({ url: jwksUrl ?? `${issuer.replace(/\/+$/, "")}/api/v1/credits/jwks`, fetch, now });
		this.#now = now;
	}

	/** What the request cost, whichever it is. A receipt does not expire. */
	async receipt(token) {
		const claims = await this.#keys.open(token, (typ) => typ === "mana-receipt+jwt");
		const { iss, iat, jti, sub, payer, cost, unit, transactions, app, replayed } = claims;
		if (iss !== this.#issuer) throw new InvalidTokenError("of another issuer");
		const complete = [jti, sub, payer].every(isText) && unit === "credits" && Array.isArray(transactions) && transactions.every(isText);
		if (!complete || typeof cost !== "number" || cost < 0 || typeof iat !== "number") throw new InvalidTokenError("incomplete");
		if (iat > this.#now() / 1000 + leeway) throw new InvalidTokenError("not yet");
		return { requestId: jti, userId: sub, payer, cost, transactions, app: app ?? "", replayed: replayed === true, at: new Date(iat * 1000) };
	}

	/** The same of the request with that id, `{http.request.uuid}` of the edge. */
	async receiptOf(requestId, token) {
		const found = await this.receipt(token);
		if (found.requestId !== requestId) throw new InvalidTokenError("of another request");
		return found;
	}
}
