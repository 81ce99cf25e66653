// Drives routes of a running edge by generated types, and by the client of clients/ts.
import { InsufficientCreditsError, Mana, memoryStorage, type Balance } from "@mana/edge";
import { Verifier } from "@mana/edge/server";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string | undefined> };

const { MANA_URL: base = "", MANA_EMAIL: email = "", MANA_PASSWORD: password = "", MANA_SERVICE_KEY: serviceKey = "" } = process.env;

function equal<T>(got: T, want: T) {
	if (got !== want) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

/** The answer of a call, which must have been a success. */
function must<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): NonNullable<T> {
	if (!data) throw new Error(`${response.url}: ${response.status} ${JSON.stringify(error)}`);
	return data;
}

const guest = createClient<paths>({ baseUrl: base });
const tokens = must(await guest.POST("/api/v1/auth/login", { body: { email, password } }));
if (!("accessToken" in tokens)) throw new Error("a second factor is asked for");
const user = createClient<paths>({ baseUrl: base, headers: { Authorization: `Bearer ${tokens.accessToken}` } });
const backend = createClient<paths>({ baseUrl: base, headers: { "X-Service-Key": serviceKey } });

const profile = must(await user.GET("/api/v1/auth/profile"));
equal(profile.email, email);
const found = must(await backend.POST("/api/v1/internal/users/lookup", { body: { ids: [profile.id] } }));
equal(found.users[0]?.id, profile.id);
const checked = must(await guest.POST("/api/v1/auth/validate", { body: { token: tokens.accessToken } }));
equal(checked.valid, true);
must(await user.GET("/api/v1/auth/sessions"));
must(await user.GET("/api/v1/settings"));

const { balance } = must(await user.GET("/api/v1/credits/balance"));
const order: components["schemas"]["ChargeCreditsRequest"] = { userId: profile.id, amount: 1.5, appId: "app", description: "a test" };
const once = { body: order, params: { header: { "Idempotency-Key": "generated-1" } } };
const { transaction } = must(await backend.POST("/api/v1/credits/use", once));
equal(must(await backend.POST("/api/v1/credits/use", once)).transaction.id, transaction.id);
must(await backend.POST("/api/v1/credits/refund", {
	body: { userId: profile.id, amount: 1.5, appId: "app", description: "a test", transactionId: transaction.id },
	params: { header: { "Idempotency-Key": "generated-2" } },
}));
equal(must(await backend.GET("/api/v1/credits/balance/{userId}", { params: { path: { userId: profile.id } } })).balance, balance);
must(await user.GET("/api/v1/credits/transactions", { params: { query: { limit: 1 } } }));
const refused = await user.POST("/api/v1/credits/use", { body: { amount: 1e6, appId: "app", description: "too much" } });
equal(refused.response.status, 402);
equal(refused.error?.code, "INSUFFICIENT_CREDITS");

// Ours, of the same routes.
const mana = new Mana({ baseUrl: base, storage: memoryStorage() });
equal((await mana.signIn(email, password)).email, email);
const held: Balance = await mana.balance();
equal(held.balance, balance);
const short: unknown = await mana.charge({ amount: 1e6, appId: "app", description: "too much" }).catch((error: unknown) => error);
if (!(short instanceof InsufficientCreditsError)) throw short;
equal(short.available, balance);
const claims = await new Verifier({ issuer: base, audience: "manacore" }).token((await mana.accessToken()) ?? "");
equal(claims.sub, profile.id);
await mana.signOut();

must(await guest.POST("/api/v1/auth/logout", { body: { refreshToken: tokens.refreshToken } }));
equal((await user.GET("/api/v1/auth/profile")).response.status, 401);
