// What `vite build` made, with a WebSocket beside it.
import http from "node:http";
import { Verifier } from "@mana/edge/server";
import { WebSocketServer } from "ws";
import { handler } from "./build/handler.js";

const { MANA_URL, PORT } = process.env;

// #region socket
const verifier = new Verifier({ issuer: MANA_URL, audience: "app" });
const sockets = new WebSocketServer({ noServer: true });
const server = http.createServer(handler);

server.on("upgrade", async (req, socket, head) => {
	const user = await verifier.assertion(req).catch(() => null);
	if (!user || req.url !== "/socket") return socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
	sockets.handleUpgrade(req, socket, head, (ws) => {
		ws.send(`Hello, ${user.email}!`);
		ws.on("message", (data) => ws.send(String(data)));
	});
});
// #endregion

server.listen(Number(PORT), "127.0.0.1");
