import { env } from "$env/dynamic/private";
import { randomUUID } from "node:crypto";
import { InsufficientCreditsError, Mana, memoryStorage } from "@mana/edge";

// #region charge
const edge = new Mana({ baseUrl: env.MANA_URL, serviceKey: env.MANA_SERVICE_KEY, storage: memoryStorage() });

export async function POST({ request, url, locals }) {
	const key = request.headers.get("Idempotency-Key") ?? randomUUID();
	const order = { userId: locals.user.userId, amount: 2, appId: "app", description: "An answer" };
	try {
		const { transaction } = await edge.charge(order, key);
		const answer = await think(url.searchParams.get("about")).catch(() => null);
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
