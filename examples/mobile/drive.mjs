// Drives session.mjs against a running edge, with a store in memory. The tests of clients/ run it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, openSession, upload } from "./session.mjs";

const { MANA_URL: base, MANA_SITE: site, MANA_EMAIL: email, MANA_PASSWORD: password } = process.env;

test("a phone", async () => {
	const kept = new Map();
	const secure = {
		getItemAsync: async (key) => kept.get(key) ?? null,
		setItemAsync: async (key, value) => void kept.set(key, value),
		deleteItemAsync: async (key) => void kept.delete(key),
	};
	const screens = [];
	const navigate = (...to) => void screens.push(to);
	const mana = openSession(base, secure);
	await mana.signIn(email, password);

	const again = openSession(base, secure); // the app was closed meanwhile
	assert.equal((await again.user()).email, email);
	assert.equal(await (await ask(again, navigate, `${site}/`)).text(), `Hello, ${email}!\n`);
	assert.deepEqual(await (await upload(again, navigate, `${site}/upload`, new Blob(["four"]))).json(), { bytes: 4 });

	// A token that is refused is renewed.
	const tokens = JSON.parse(kept.get("mana.tokens"));
	kept.set("mana.tokens", JSON.stringify({ ...tokens, accessToken: "a.b.c" }));
	assert.equal((await ask(again, navigate, `${site}/`)).status, 200);

	// Ten credits are two pictures; a third one leads to the credits.
	for (let i = 0; i < 2; i++) assert.equal((await ask(again, navigate, `${site}/paid`)).status, 200);
	assert.equal(await ask(again, navigate, `${site}/paid`), undefined);
	assert.deepEqual(screens.splice(0), [["Credits", { required: 4, available: 2 }]]);

	// Three of what goes once in two seconds take their time.
	const before = performance.now();
	for (let i = 0; i < 3; i++) assert.equal((await ask(again, navigate, `${site}/busy`)).status, 200);
	assert.ok(performance.now() - before > 1500);

	// A session that was ended leads to the sign-in, and nothing is kept of it.
	const last = kept.get("mana.tokens");
	await again.signOut();
	kept.set("mana.tokens", last);
	await ask(again, navigate, `${site}/`);
	assert.deepEqual([screens, kept.size], [[["SignIn"]], 0]);
});
