// Client of Mana Edge: browsers, Node, Deno, React Native. No dependency. The types are in mana.d.ts.

/** A refusal of the API. `code` stays, while texts may change; `retryAfter` is in seconds. */
export class ManaError extends Error {
	constructor(status, body, retryAfter) {
		const message = Array.isArray(body?.message) ? body.message.join("; ") : body?.message;
		super(message || `status ${status}`);
		this.name = new.target.name;
		this.status = status;
		this.code = body?.code ?? "";
		this.details = body?.details ?? {};
		this.retryAfter = retryAfter;
	}
}

/** Nobody is signed in, or not any more: sign in again. */
export class UnauthorizedError extends ManaError {}

/** An account cannot pay: `required` and `available` are credits. */
export class InsufficientCreditsError extends ManaError {
	get required() {
		return this.details.requiredCredits;
	}
	get available() {
		return this.details.availableCredits;
	}
}

/** Too many requests: try again after `retryAfter` seconds. */
export class RateLimitedError extends ManaError {}

const errors = { 401: UnauthorizedError, 402: InsufficientCreditsError, 429: RateLimitedError };

/** The typed error of an answer. It reads the body. */
export async function errorOf(response) {
	const body = await response.json().catch(() => undefined);
	const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
	return new (errors[response.status] ?? ManaError)(response.status, body, Number.isNaN(seconds) ? undefined : seconds);
}

/** Keeps tokens as long as the program runs. */
export function memoryStorage() {
	let tokens = null;
	return { get: () => tokens, set: (next) => void (tokens = next) };
}

/** Keeps tokens in a Storage of the browser, shared by its tabs. */
export function webStorage(storage = globalThis.localStorage, key = "mana.tokens") {
	return {
		get: () => JSON.parse(storage.getItem(key) ?? "null"),
		set: (tokens) => (tokens ? storage.setItem(key, JSON.stringify(tokens)) : storage.removeItem(key)),
	};
}

/** Keeps tokens in React Native's AsyncStorage, or anything with its three methods. */
export function asyncStorage(storage, key = "mana.tokens") {
	return {
		get: async () => JSON.parse((await storage.getItem(key)) ?? "null"),
		set: (tokens) => (tokens ? storage.setItem(key, JSON.stringify(tokens)) : storage.removeItem(key)),
	};
}

/** How long before its end an access token is renewed, in milliseconds. */
const early = 30_000;

export class Mana {
	#baseUrl;
	#storage;
	#fetch;
	#now;
	#serviceKey;
	#refreshing = null;
	#channel = null;
	#listeners = new Set();

	constructor({ baseUrl, storage, serviceKey, fetch: send = globalThis.fetch, now = Date.now }) {
		this.#baseUrl = baseUrl.replace(/\/+$/, "");
		this.#storage = storage ?? (globalThis.localStorage ? webStorage() : memoryStorage());
		this.#fetch = (...args) => send(...args);
		this.#now = now;
		this.#serviceKey = serviceKey;
		if (globalThis.window && globalThis.BroadcastChannel) {
			this.#channel = new BroadcastChannel("mana.tokens");
			this.#channel.onmessage = ({ data }) => this.#tell(data);
		}
	}

	/** Ends what listens to other tabs. */
	close() {
		this.#channel?.close();
	}

	/** Calls back with the user, or null, whenever that changes, in other tabs too. */
	onChange(listener) {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	#tell(user) {
		for (const listener of this.#listeners) listener(user);
	}

	async #keep(answer) {
		const tokens = answer && {
			accessToken: answer.accessToken,
			refreshToken: answer.refreshToken,
			expiresAt: this.#now() + answer.expiresIn * 1000,
			user: answer.user,
		};
		await this.#storage.set(tokens);
		const user = tokens?.user ?? null;
		this.#tell(user);
		this.#channel?.postMessage(user);
		return user;
	}

	/** The user who is signed in, or null. */
	async user() {
		return (await this.#storage.get())?.user ?? null;
	}

	async signIn(email, password) {
		return this.#keep(await this.#post("/api/v1/auth/login", { email, password }));
	}

	/** Tokens for an app out of the sign-on cookie of the browser; null where nobody is signed in. */
	async silentSignIn() {
		// A guest is no error here, which a browser would write to its console.
		const session = await this.#fetch(`${this.#baseUrl}/api/auth/get-session`, { credentials: "include" });
		if (session.ok && !(await session.json())) return null;
		const response = await this.#fetch(`${this.#baseUrl}/api/v1/auth/session-to-token`, { method: "POST", credentials: "include" });
		if (response.status === 401) return null;
		if (!response.ok) throw await errorOf(response);
		return this.#keep(await response.json());
	}

	/** Ends the session at the edge, then here; here also where the edge cannot be asked, which it throws. */
	async signOut() {
		const tokens = await this.#storage.get();
		try {
			// keepalive: a page that is left meanwhile does not take the request with it.
			if (tokens) await this.#post("/api/v1/auth/logout", { refreshToken: tokens.refreshToken }, { keepalive: true });
		} finally {
			await this.#keep(null);
		}
	}

	/** Where a browser is sent to sign in, and comes back from. */
	signInUrl(returnUrl = globalThis.location?.href) {
		return `${this.#baseUrl}/login?returnUrl=${encodeURIComponent(returnUrl)}`;
	}

	/** Where a browser is sent to sign out of all apps, and comes back from. */
	signOutUrl(returnUrl = globalThis.location?.href) {
		return `${this.#baseUrl}/sign-out?returnUrl=${encodeURIComponent(returnUrl)}`;
	}

	/** An access token that is good for some seconds at least, or null where nobody is signed in. */
	async accessToken() {
		const tokens = await this.#storage.get();
		if (!tokens) return null;
		if (tokens.expiresAt - early > this.#now()) return tokens.accessToken;
		return this.refresh(tokens.accessToken);
	}

	/**
	 * Renews the tokens, once for all who ask at the same time, in all tabs where the browser has locks.
	 * `than` is the token that is not good any more: where storage has another one already, that is it.
	 */
	refresh(than) {
		this.#refreshing ??= this.#locked(() => this.#renew(than)).finally(() => (this.#refreshing = null));
		return this.#refreshing;
	}

	#locked(work) {
		return globalThis.navigator?.locks ? navigator.locks.request("mana.refresh", work) : work();
	}

	async #renew(than) {
		const tokens = await this.#storage.get();
		if (!tokens) return null;
		if (than && tokens.accessToken !== than) return tokens.accessToken;
		try {
			const next = await this.#post("/api/v1/auth/refresh", { refreshToken: tokens.refreshToken });
			await this.#keep(next);
			return next.accessToken;
		} catch (error) {
			if (error instanceof UnauthorizedError) await this.#keep(null); // anything else may pass
			throw error;
		}
	}

	/**
	 * fetch() as the user: with their token, renewed where it is time to, and once more after a 401. It
	 * throws typed errors of 401, 402 and 429; every other answer is returned. A body that is a stream
	 * cannot be sent again.
	 */
	async fetch(input, init = {}) {
		let token = await this.accessToken();
		let response = await this.#send(input, init, token);
		if (response.status === 401 && token && !isStream(init.body) && !(input instanceof Request && input.bodyUsed)) {
			token = await this.refresh(token);
			response = await this.#send(input, init, token);
		}
		if (errors[response.status]) throw await errorOf(response);
		return response;
	}

	#send(input, init, token) {
		const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
		if (token) headers.set("Authorization", `Bearer ${token}`);
		return this.#fetch(input instanceof Request ? input.clone() : input, { ...init, headers });
	}

	/** Calls a route of the edge's API, as the user or with the service key, and returns its JSON. */
	async call(method, path, { body, idempotencyKey } = {}) {
		const init = { method, headers: {} };
		if (body !== undefined) {
			init.headers["Content-Type"] = "application/json";
			init.body = JSON.stringify(body);
		}
		if (idempotencyKey) init.headers["Idempotency-Key"] = idempotencyKey;
		let response;
		if (this.#serviceKey) {
			init.headers["X-Service-Key"] = this.#serviceKey;
			response = await this.#fetch(this.#baseUrl + path, init);
		} else {
			response = await this.fetch(this.#baseUrl + path, init);
		}
		if (!response.ok) throw await errorOf(response);
		return response.json();
	}

	/** Calls a route that asks for no token. */
	async #post(path, body, init) {
		const response = await this.#fetch(this.#baseUrl + path, {
			...init,
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify(body),
		});
		if (!response.ok) throw await errorOf(response);
		return response.json();
	}

	profile() {
		return this.call("GET", "/api/v1/auth/profile");
	}

	/** What the edge says of an access token, revocation included. */
	validate(token) {
		return this.call("POST", "/api/v1/auth/validate", { body: { token } });
	}

	/** Looks a user up, with a service key that may users:read. */
	lookUp(id) {
		return this.call("GET", `/api/v1/internal/users/${encodeURIComponent(id)}`);
	}

	/** Looks up to 100 users up; whoever is not there is left out. */
	async lookUpAll(ids) {
		return (await this.call("POST", "/api/v1/internal/users/lookup", { body: { ids } })).users;
	}

	balance(userId) {
		return this.call("GET", `/api/v1/credits/balance${userId ? `/${encodeURIComponent(userId)}` : ""}`);
	}

	/** Takes credits: {amount, appId, description, userId?, metadata?}. With a key, a repeated charge counts once. */
	charge(order, idempotencyKey) {
		return this.call("POST", "/api/v1/credits/use", { body: order, idempotencyKey });
	}

	/** Gives credits back, with a service key: {userId, amount, appId, description, transactionId?}. */
	refund(order, idempotencyKey) {
		return this.call("POST", "/api/v1/credits/refund", { body: order, idempotencyKey });
	}

	/** The address with a ticket in its query, for one request within 30 seconds of a client that cannot set headers. */
	async withTicket(url) {
		const { ticket } = await this.call("POST", "/api/v1/auth/ticket", { body: { url: String(url) } });
		const target = new URL(url);
		target.searchParams.append("ticket", ticket);
		return target.href;
	}

	/** A WebSocket as the user. */
	async webSocket(url, protocols) {
		return new WebSocket(await this.withTicket(url), protocols);
	}

	/** An EventSource as the user. It reconnects by itself with a ticket that is spent: on an error make another one. */
	async eventSource(url, init) {
		return new EventSource(await this.withTicket(url), init);
	}

	/** Server-sent events as the user, as an async iterator of {event, data, id}, by fetch(): it needs no ticket. */
	async *events(url, init = {}) {
		const response = await this.fetch(url, { ...init, headers: { ...init.headers, Accept: "text/event-stream" } });
		if (!response.ok) throw await errorOf(response);
		yield* eventsOf(response.body);
	}
}

function isStream(body) {
	return typeof ReadableStream !== "undefined" && body instanceof ReadableStream;
}

/** Reads an event stream (HTML, section 9.2.6). */
export async function* eventsOf(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	let event = { event: "message", data: [], id: "" };
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			rest += value;
			const whole = rest.endsWith("\r") ? rest.length - 1 : rest.length; // its "\n" may come yet
			const lines = rest.slice(0, whole).split(/\r\n|\n|\r/);
			rest = lines.pop() + rest.slice(whole);
			for (const line of lines) {
				if (line === "") {
					if (event.data.length > 0) yield { ...event, data: event.data.join("\n") };
					event = { event: "message", data: [], id: event.id };
					continue;
				}
				const [, name, text] = /^([^:]*):? ?(.*)$/s.exec(line);
				if (name === "data") event.data.push(text);
				else if (name === "event") event.event = text;
				else if (name === "id") event.id = text;
			}
		}
	} finally {
		reader.cancel().catch(() => {});
	}
}
