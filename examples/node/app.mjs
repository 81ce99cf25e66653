// An app behind Mana Edge: it greets its user, and sells answers.
import { randomUUID } from "node:crypto";
import http from "node:http";
import { InsufficientCreditsError, Mana, memoryStorage } from "../../clients/ts/mana.js";
import { InvalidTokenError, Verifier } from "../../clients/ts/server.js";

const { MANA_URL, MANA_SERVICE_KEY, PORT } = process.env;
const verifier = new Verifier({ issuer: MANA_URL, audience: "app" });
const edge = new Mana({ baseUrl: MANA_URL, serviceKey: MANA_SERVICE_KEY, storage: memoryStorage() });

async function answer(who, req, res) {
	const order = { userId: who.userId, amount: 2, appId: "app", description: "An answer" };
	try {
		await edge.charge(order, req.headers["idempotency-key"] ?? randomUUID());
	} catch (error) {
		if (!(error instanceof InsufficientCreditsError)) throw error;
		return res.writeHead(402).end(`this costs ${error.required} credits, you have ${error.available}\n`);
	}
	res.end("42\n");
}

async function app(req, res) {
	const who = await verifier.assertion(req);
	if (req.method === "POST" && req.url === "/answer") return answer(who, req, res);
	if (req.method === "GET" && req.url === "/") return res.end(`Hello, ${who.email}!\n`);
	res.writeHead(404).end();
}

function failed(error, res) {
	res.writeHead(error instanceof InvalidTokenError ? 401 : 503).end("please try again\n");
}

http.createServer((req, res) => app(req, res).catch((error) => failed(error, res))).listen(Number(PORT), "127.0.0.1");
