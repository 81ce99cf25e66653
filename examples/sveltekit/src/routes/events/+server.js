import { setTimeout as sleep } from "node:timers/promises";

// #region events
export function GET({ locals }) {
	async function* ticks() {
		for (let i = 1; i <= 3; i++) {
			yield new TextEncoder().encode(`event: tick\nid: ${i}\ndata: ${locals.user.email}\n\n`);
			await sleep(200);
		}
	}
	return new Response(ReadableStream.from(ticks()), { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" } });
}
// #endregion
