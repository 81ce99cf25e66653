// A Fastify app behind Mana Edge: it greets its user, sells answers, streams, and takes uploads.
import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import websocket from "@fastify/websocket";
import { InsufficientCreditsError, Mana, memoryStorage } from "@mana/edge";
import { identity, InvalidTokenError, Verifier } from "@mana/edge/server";
import fastify from "fastify";

const { MANA_URL, MANA_SERVICE_KEY, PORT } = process.env;
const edge = new Mana({ baseUrl: MANA_URL, serviceKey: MANA_SERVICE_KEY, storage: memoryStorage() });
const app = fastify();
await app.register(websocket);

// #region who
const verifier = new Verifier({ issuer: MANA_URL, audience: "app" });

app.decorateRequest("user", null);
app.addHook("onRequest", async (req) => {
	req.user = await verifier.assertion(req.raw);
});

app.get("/", async (req) => `Hello, ${req.user.email}!\n`);
app.get("/me", async (req) => identity(req.headers)); // decoded: name, scopes, organisation and so on
// #endregion

// #region charge
app.post("/answer", async (req, reply) => {
	const key = req.headers["idempotency-key"] ?? randomUUID();
	const order = { userId: req.user.userId, amount: 2, appId: "app", description: "An answer" };
	const { transaction } = await edge.charge(order, key);
	try {
		return await think(req.query.about);
	} catch {
		await edge.refund({ ...order, transactionId: transaction.id }, `${key}-refund`);
		return reply.code(500).send("no answer, and nothing to pay\n");
	}
});
// #endregion

async function think(about) {
	if (about === "everything") throw new Error("too much");
	return "42\n";
}

// #region events
app.get("/events", (req, reply) => {
	async function* ticks() {
		for (let i = 1; i <= 3; i++) {
			yield `event: tick\nid: ${i}\ndata: ${req.user.email}\n\n`;
			await sleep(200);
		}
	}
	reply.header("Content-Type", "text/event-stream").header("Cache-Control", "no-cache").send(Readable.from(ticks()));
});
// #endregion

// #region upload
app.addContentTypeParser("application/octet-stream", (req, payload, done) => done(null, payload));

app.post("/upload", { bodyLimit: 1 << 30 }, async (req) => {
	let bytes = 0;
	for await (const chunk of req.body) bytes += chunk.length; // as it comes: nothing is kept
	return { bytes };
});
// #endregion

// #region errors
app.setErrorHandler((error, req, reply) => {
	if (error instanceof InvalidTokenError) return reply.code(401).send("please sign in\n");
	if (!(error instanceof InsufficientCreditsError)) return reply.code(503).send("please try again\n");
	return reply.code(402).send(`this costs ${error.required} credits, you have ${error.available}\n`);
});
// #endregion

// #region socket
app.get("/socket", { websocket: true }, (ws, req) => {
	ws.send(`Hello, ${req.user.email}!`);
	ws.on("message", (data) => ws.send(String(data)));
});
// #endregion

await app.listen({ port: Number(PORT), host: "127.0.0.1" });
