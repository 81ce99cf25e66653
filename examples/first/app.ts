// A first app behind Mana Edge, in TypeScript.
// #region imports
import { randomUUID } from "node:crypto";
import { InsufficientCreditsError, Mana, memoryStorage } from "@mana/edge";
import { identity, InvalidTokenError, Verifier, type AssertedIdentity } from "@mana/edge/server";
import express, { type NextFunction, type Request, type Response } from "express";
import { WebSocketServer } from "ws";
// #endregion

// #region who
const { MANA_URL = "", MANA_SERVICE_KEY = "", PORT = "3000" } = process.env;
const edge = new Mana({ baseUrl: MANA_URL, serviceKey: MANA_SERVICE_KEY, storage: memoryStorage() });
const verifier = new Verifier({ issuer: MANA_URL, audience: "app" });
const app = express();

app.use(async (req, res, next) => {
	const { method, originalUrl: url, headers } = req;
	res.locals.user = await verifier.assertion({ method, url, headers });
	next();
});

app.get("/", (req, res) => res.sendFile("page.html", { root: import.meta.dirname }));
app.get("/me", (req, res) => res.json({ ...identity(req.headers), auth: MANA_URL }));
app.get("/picture", (req, res) => res.type("text").send("(^_^)\n")); // the edge takes its four credits
// #endregion

// #region charge
app.post("/answer", async (req, res) => {
	const user: AssertedIdentity = res.locals.user;
	const key = req.get("Idempotency-Key") ?? randomUUID();
	const order = { userId: user.userId, amount: 2, appId: "app", description: "An answer" };
	const { transaction } = await edge.charge(order, key);
	try {
		res.type("text").send(await think(req.query.about));
	} catch {
		await edge.refund({ ...order, transactionId: transaction.id }, `${key}-refund`);
		res.status(500).type("text").send("no answer, and nothing to pay\n");
	}
});

async function think(about: unknown): Promise<string> {
	if (about === "everything") throw new Error("too much");
	return "42\n";
}
// #endregion

// #region errors
app.use((error: unknown, req: Request, res: Response, next: NextFunction) => {
	if (error instanceof InvalidTokenError) return res.status(401).send("please sign in\n");
	if (error instanceof InsufficientCreditsError) return res.status(402).send(`you have ${error.available} credits\n`);
	res.status(503).send("please try again\n");
});
// #endregion

// #region socket
export const server = app.listen(Number(PORT), "127.0.0.1");
const sockets = new WebSocketServer({ noServer: true });

server.on("upgrade", async (req, socket, head) => {
	const user = await verifier.assertion(req).catch(() => null); // upgrades go past Express
	if (!user) return socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
	sockets.handleUpgrade(req, socket, head, (ws) => ws.send(`Hello, ${user.email}!`));
});
// #endregion
