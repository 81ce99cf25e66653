import { setTimeout as sleep } from "node:timers/promises";
import { identity } from "@mana/edge/server";

// #region events
export async function GET(request) {
	const { email } = identity(request.headers);
	async function* ticks() {
		for (let i = 1; i <= 3; i++) {
			yield new TextEncoder().encode(`event: tick\nid: ${i}\ndata: ${email}\n\n`);
			await sleep(200);
		}
	}
	return new Response(ReadableStream.from(ticks()), { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform" } });
}
// #endregion
