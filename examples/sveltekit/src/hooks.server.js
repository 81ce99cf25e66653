import { env } from "$env/dynamic/private";
import { identity, InvalidTokenError, Verifier } from "@mana/edge/server";

// #region who
const verifier = new Verifier({ issuer: env.MANA_URL, audience: "app" });

export async function handle({ event, resolve }) {
	try {
		event.locals.user = await verifier.assertion(event.request);
		event.locals.name = identity(event.request.headers).name; // decoded
	} catch (error) {
		return new Response("please sign in\n", { status: error instanceof InvalidTokenError ? 401 : 503 });
	}
	return resolve(event);
}
// #endregion
