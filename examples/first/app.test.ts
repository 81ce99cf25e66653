// #region imports
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { Mana, memoryStorage } from "@mana/edge";
import { WebSocket } from "ws";
import { server } from "./app.js";
// #endregion

// #region test
const { MANA_URL = "", MANA_SITE = "", MANA_SERVICE_KEY = "", MANA_CREDITS_USER_ID = "", MANA_CREDITS_TOKEN = "", MANA_TOKEN = "" } = process.env;
const edge = new Mana({ baseUrl: MANA_URL, serviceKey: MANA_SERVICE_KEY, storage: memoryStorage() });

/** A request of a user, or of nobody, through the gate. */
function ask(method: string, path: string, token = "", headers: Record<string, string> = {}) {
	return fetch(MANA_SITE + path, { method, headers: token ? { ...headers, Authorization: `Bearer ${token}` } : headers });
}

test("an answer costs two credits, and nothing where there is none", async () => {
	const { balance: before } = await edge.balance(MANA_CREDITS_USER_ID);
	for (let i = 0; i < 2; i++) assert.equal((await ask("POST", "/answer", MANA_CREDITS_TOKEN, { "Idempotency-Key": "test-1" })).status, 200);
	assert.equal((await ask("POST", "/answer?about=everything", MANA_CREDITS_TOKEN)).status, 500);
	assert.equal((await edge.balance(MANA_CREDITS_USER_ID)).balance, before - 2);
	assert.equal((await ask("GET", "/picture", MANA_CREDITS_TOKEN)).headers.get("Mana-Credits-Cost"), "4");
});

test("who has none is told so, and nobody gets through", async () => {
	assert.equal((await ask("POST", "/answer", MANA_TOKEN)).status, 402);
	assert.equal((await ask("GET", "/picture", MANA_TOKEN)).status, 402);
	assert.equal((await ask("POST", "/answer")).status, 401);
});
// #endregion

test("who asks too often is told when to come back", async () => {
	let response = await ask("POST", "/answer", MANA_TOKEN);
	for (let i = 0; i < 6 && response.status !== 429; i++) response = await ask("POST", "/answer", MANA_TOKEN);
	assert.equal(response.status, 429);
	assert.ok(Number(response.headers.get("Retry-After")) > 0);
});

// #region socket
test("a socket knows its user", async () => {
	const signedIn = new Mana({ baseUrl: MANA_URL, storage: memoryStorage() });
	const { MANA_CREDITS_EMAIL = "", MANA_PASSWORD = "" } = process.env;
	await signedIn.signIn(MANA_CREDITS_EMAIL, MANA_PASSWORD);
	const socket = new WebSocket(await signedIn.withTicket(`${MANA_SITE.replace("http", "ws")}/socket`));
	const [data] = await once(socket, "message");
	assert.equal(String(data), `Hello, ${MANA_CREDITS_EMAIL}!`);
	socket.terminate();
});
// #endregion

// #region end
after(() => {
	server.close();
	server.closeAllConnections();
});
// #endregion
