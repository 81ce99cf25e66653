// An Express app behind Mana Edge: it greets its user, sells answers, streams, and takes uploads.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { InsufficientCreditsError, Mana, memoryStorage } from "@mana/edge";
import { identity, InvalidTokenError, Verifier } from "@mana/edge/server";
import express from "express";
import { WebSocketServer } from "ws";

const { MANA_URL, MANA_SERVICE_KEY, PORT } = process.env;
const edge = new Mana({ baseUrl: MANA_URL, serviceKey: MANA_SERVICE_KEY, storage: memoryStorage() });
const app = express();

// #region who
const verifier = new Verifier({ issuer: MANA_URL, audience: "app" });

app.use(async (req, res, next) => {
	const { method, originalUrl: url, headers } = req;
	req.user = await verifier.assertion({ method, url, headers });
	next();
});

app.get("/", (req, res) => res.send(`Hello, ${req.user.email}!\n`));
app.get("/me", (req, res) => res.json(identity(req.headers))); // decoded: name, scopes, organisation and so on
// #endregion

// #region charge
app.post("/answer", async (req, res) => {
	const key = req.get("Idempotency-Key") ?? randomUUID();
	const order = { userId: req.user.userId, amount: 2, appId: "app", description: "An answer" };
	const { transaction } = await edge.charge(order, key);
	try {
		res.send(await think(req.query.about));
	} catch {
		await edge.refund({ ...order, transactionId: transaction.id }, `${key}-refund`);
		res.status(500).send("no answer, and nothing to pay\n");
	}
});
// #endregion

async function think(about) {
	if (about === "everything") throw new Error("too much");
	return "42\n";
}

// #region events
app.get("/events", async (req, res) => {
	res.set({ "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
	for (let i = 1; i <= 3 && !res.destroyed; i++) {
		res.write(`event: tick\nid: ${i}\ndata: ${req.user.email}\n\n`);
		await sleep(200);
	}
	res.end();
});
// #endregion

// #region upload
app.post("/upload", async (req, res) => {
	let bytes = 0;
	for await (const chunk of req) bytes += chunk.length; // as it comes: nothing is kept
	res.json({ bytes });
});
// #endregion

// #region errors
app.use((error, req, res, next) => {
	if (error instanceof InvalidTokenError) return res.status(401).send("please sign in\n");
	if (!(error instanceof InsufficientCreditsError)) return res.status(503).send("please try again\n");
	res.status(402).send(`this costs ${error.required} credits, you have ${error.available}\n`);
});
// #endregion

const server = app.listen(Number(PORT), "127.0.0.1");

// #region socket
const sockets = new WebSocketServer({ noServer: true });

server.on("upgrade", async (req, socket, head) => {
	const user = await verifier.assertion(req).catch(() => null);
	if (!user || req.url !== "/socket") return socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
	sockets.handleUpgrade(req, socket, head, (ws) => {
		ws.send(`Hello, ${user.email}!`);
		ws.on("message", (data) => ws.send(String(data)));
	});
});
// #endregion
