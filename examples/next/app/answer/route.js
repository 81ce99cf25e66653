import { randomUUID } from "node:crypto";
import { InsufficientCreditsError, Mana, memoryStorage } from "@mana/edge";
import { identity } from "@mana/edge/server";

// #region charge
const edge = new Mana({ baseUrl: process.env.MANA_URL, serviceKey: process.env.MANA_SERVICE_KEY, storage: memoryStorage() });

export async function POST(request) {
	const key = request.headers.get("Idempotency-Key") ?? randomUUID();
	const order = { userId: identity(request.headers).userId, amount: 2, appId: "app", description: "An answer" };
	try {
		const { transaction } = await edge.charge(order, key);
		const answer = await think(request.nextUrl.searchParams.get("about")).catch(() => null);
		if (answer) return new Response(answer);
		await edge.refund({ ...order, transactionId: transaction.id }, `${key}-refund`);
		return new Response("no answer, and nothing to pay\n", { status: 500 });
	} catch (error) {
		if (!(error instanceof InsufficientCreditsError)) throw error;
		return new Response(`this costs ${error.required} credits, you have ${error.available}\n`, { status: 402 });
	}
}
// #endregion

async function think(about) {
	if (about === "everything") throw new Error("too much");
	return "42\n";
}
