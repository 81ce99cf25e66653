// Drives the client against a running edge, as an app behind its gate and as a client. The test of the clients runs it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import { after, before, test } from "node:test";
import { asyncStorage, eventsOf, InsufficientCreditsError, Mana, memoryStorage, RateLimitedError, UnauthorizedError } from "./mana.js";
import { ReceiptVerifier } from "./receipt.js";
import { identity, InvalidTokenError, Verifier } from "./server.js";

const { MANA_URL: base, MANA_SITE: site, MANA_APP_PORT: port, MANA_EMAIL: email, MANA_PASSWORD: password, MANA_SERVICE_KEY: serviceKey } = process.env;

const verifier = new Verifier({ issuer: base, audience: "app" });
const foreign = new Verifier({ issuer: base, audience: "another app" });

async function app(req, res) {
	if (req.url.startsWith("/events")) {
		res.writeHead(200, { "Content-Type": "text/event-stream" });
		res.end(`event: who\r\nid: 7\r\ndata: ${identity(req.headers).userId}\r\ndata: ${req.url}\r\n\r\n`);
		return;
	}
	const { method, url, headers } = req;
	const changed = [
		{ method: "POST", url, headers },
		{ method, url: "/other", headers },
		{ method, url: `${url}&x=1`, headers },
		{ method, url, headers: { ...headers, host: "other" } },
	];
	const refused = await Promise.all([
		...changed.map((r) => verifier.assertion(r).catch((e) => e instanceof InvalidTokenError && "request")),
		foreign.assertion(req).catch((e) => e instanceof InvalidTokenError && "app"),
	]);
	res.end(JSON.stringify({ header: identity(headers), asserted: await verifier.assertion(req), refused }));
}

const server = http.createServer((req, res) => app(req, res).catch((e) => res.writeHead(500).end(String(e))));
let calls = 0;
const counting = (...args) => {
	calls += String(args[0]).endsWith("/refresh");
	return fetch(...args);
};
const storage = memoryStorage();
let now = Date.now();
const user = new Mana({ baseUrl: `${base}/`, storage, fetch: counting, now: () => now });
const backend = new Mana({ baseUrl: base, storage: memoryStorage(), serviceKey });
let me;

before(async () => {
	await new Promise((done) => server.listen(Number(port), "127.0.0.1", done));
	me = await user.signIn(email, password);
});
after(() => server.close(() => {}) && server.closeAllConnections());

test("identity and assertion", async () => {
	const seen = await (await user.fetch(`${site}/a%2Fb?c=%20d`)).json();
	assert.equal(seen.header.userId, me.id);
	assert.equal(seen.header.name, "Zoë 100%");
	assert.equal(seen.asserted.email, email);
	assert.equal(seen.asserted.sessionId, seen.header.sessionId);
	assert.deepEqual(seen.refused, ["request", "request", "request", "request", "app"]);
});

test("tokens are renewed once for all who ask", async () => {
	calls = 0;
	const old = (await storage.get()).accessToken;
	now += 15 * 60_000; // the token is over by its clock
	const answers = await Promise.all(Array.from({ length: 8 }, () => user.fetch(`${site}/`)));
	now = Date.now();
	assert.ok(answers.every((a) => a.ok));
	assert.equal(calls, 1);
	assert.notEqual((await storage.get()).accessToken, old);
});

test("a refused token is renewed", async () => {
	calls = 0;
	await storage.set({ ...(await storage.get()), accessToken: "a.b.c" });
	assert.equal((await Promise.all([user.fetch(`${site}/`), user.profile()]))[1].email, email);
	assert.equal(calls, 1);
});

test("events and tickets", async () => {
	for await (const event of user.events(`${site}/events?a=1`)) {
		assert.deepEqual(event, { event: "who", data: `${me.id}\n/events?a=1`, id: "7" });
	}
	const address = await user.withTicket(`${site}/events?a=2`);
	const events = [];
	for await (const event of eventsOf((await fetch(address)).body)) events.push(event);
	assert.deepEqual(events, [{ event: "who", data: `${me.id}\n/events?a=2`, id: "7" }]);
	assert.equal((await fetch(address)).status, 401);
});

test("money", async () => {
	const { balance } = await backend.balance(me.id);
	const order = { userId: me.id, amount: 1.5, appId: "app", description: "a test" };
	const { transaction } = await backend.charge(order, "ts-1");
	assert.equal((await backend.charge(order, "ts-1")).transaction.id, transaction.id);
	assert.equal((await user.balance()).balance, balance - 1.5);
	await backend.refund({ ...order, transactionId: transaction.id }, "ts-2");
	await assert.rejects(user.charge({ amount: 1e6, appId: "app", description: "too much" }), (e) => {
		assert.ok(e instanceof InsufficientCreditsError);
		assert.deepEqual([e.required, e.available], [1e6, balance]);
		return true;
	});
	const limited = new Mana({ baseUrl: base, storage, fetch: async () => new Response('{"code":"RATE_LIMITED"}', { status: 429, headers: { "Retry-After": "7" } }) });
	await assert.rejects(limited.balance(), (e) => e instanceof RateLimitedError && e.retryAfter === 7 && e.code === "RATE_LIMITED");
});

test("people and tokens", async () => {
	assert.equal((await backend.lookUp(me.id)).email, email);
	assert.deepEqual((await backend.lookUpAll([me.id, "nobody"])).map((u) => u.id), [me.id]);
	const token = await user.accessToken();
	assert.equal((await new Verifier({ issuer: base, audience: "manacore" }).token(token)).sub, me.id);
	assert.ok((await backend.validate(token)).valid);
	await assert.rejects(verifier.token(token), InvalidTokenError);
});

test("receipts", async () => {
	const answer = await user.fetch(`${site}/paid`);
	const [id, signed] = [answer.headers.get("X-Request-Id"), answer.headers.get("Mana-Receipt")];
	const receipts = new ReceiptVerifier({ issuer: base });
	const { cost, userId, payer, app, transactions, replayed } = await receipts.receiptOf(id, signed);
	assert.deepEqual([cost, userId, payer, app, transactions.length, replayed], [4, me.id, "user", "app", 1, false]);
	await assert.rejects(receipts.receiptOf("another", signed), InvalidTokenError);
	await assert.rejects(receipts.receiptOf(undefined, signed), InvalidTokenError);
	await assert.rejects(receipts.receipt(null), InvalidTokenError);
});

test("receipts that are none", async () => {
	const { issuer, requestId, good, bad } = JSON.parse(readFileSync(process.env.MANA_RECEIPTS, "utf8"));
	const receipts = new ReceiptVerifier({ issuer });
	const { cost, payer, at } = await receipts.receiptOf(requestId, good);
	assert.deepEqual([cost, payer], [2.5, "org:acme"]);
	assert.ok(Math.abs(at - Date.now()) < 3_600_000);
	assert.ok(Object.keys(bad).length > 20);
	for (const [name, token] of Object.entries(bad)) await assert.rejects(receipts.receipt(token), InvalidTokenError, name);
	for (let i = 0; i < good.length; i++) {
		const other = good.slice(0, i) + (good[i] === "A" ? "B" : "A") + good.slice(i + 1);
		await assert.rejects(receipts.receipt(other), InvalidTokenError, `letter ${i}`);
	}
	const away = new ReceiptVerifier({ issuer, fetch: async () => new Response("", { status: 503 }) });
	await assert.rejects(away.receipt(good), (e) => !(e instanceof InvalidTokenError));
});

test("sign-out", async () => {
	const kept = new Map();
	const native = { getItem: async (k) => kept.get(k) ?? null, setItem: async (k, v) => void kept.set(k, v), removeItem: async (k) => void kept.delete(k) };
	const phone = new Mana({ baseUrl: base, storage: asyncStorage(native) });
	const changes = [];
	phone.onChange((u) => changes.push(u?.email ?? null));
	await phone.signIn(email, password);
	const tokens = JSON.parse(kept.get("mana.tokens"));
	await phone.signOut();
	assert.deepEqual([changes, await phone.user(), kept.size], [[email, null], null, 0]);
	await phone.signIn(email, password);
	kept.set("mana.tokens", JSON.stringify(tokens)); // of the session that was ended
	await assert.rejects(phone.fetch(`${site}/`), UnauthorizedError);
	assert.equal(await phone.user(), null);
	assert.equal(await phone.silentSignIn(), null);
});
