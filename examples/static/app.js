// A page of files on a sibling site of the auth site and of an app behind its gate.
import { InsufficientCreditsError, Mana, RateLimitedError, UnauthorizedError } from "@mana/edge";

const { auth, api } = document.body.dataset;
const find = (selector) => document.querySelector(selector);
const say = (text) => (find("output").textContent = text);

// #region who
const mana = new Mana({ baseUrl: auth });

function show(user) {
	find("#who").textContent = user ? `Hello, ${user.email}!` : "Nobody is signed in.";
}

mana.onChange(show); // in other tabs too
show((await mana.user()) ?? (await mana.silentSignIn())); // who is signed in anywhere in the family is so here
find("#sign-in").href = mana.signInUrl();
find("#sign-out").onclick = () => mana.signOut();
// #endregion

// #region refusals
async function ask(path, init) {
	try {
		return await mana.fetch(api + path, init); // a token that is over is renewed first
	} catch (error) {
		if (error instanceof UnauthorizedError) location.href = mana.signInUrl();
		if (error instanceof InsufficientCreditsError) say(`This costs ${error.required} credits, you have ${error.available}: ${auth}/account/credits`);
		if (!(error instanceof RateLimitedError)) throw error;
		await new Promise((done) => setTimeout(done, error.retryAfter * 1000));
		return ask(path, init);
	}
}
// #endregion

// #region answer
find("#answer").onclick = async () => {
	const response = await ask("/answer", { method: "POST", headers: { "Idempotency-Key": crypto.randomUUID() } });
	say(await response.text());
};
// #endregion

find("#paid").onclick = () => ask("/paid").then(async (response) => say(await response.text()), () => {});
find("#busy").onclick = async () => {
	for (let i = 0; i < 3; i++) await ask("/busy");
	say("not too often");
};

// #region events
find("#events").onclick = async () => {
	for await (const event of mana.events(`${api}/events`)) say(`${event.event} ${event.id}`);
};
// #endregion

// #region upload
find("#upload").onclick = async () => {
	const file = new Blob([new Uint8Array(100_000)]); // or of an input
	const { bytes } = await (await ask("/upload", { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } })).json();
	say(`${bytes} bytes`);
};
// #endregion

// #region socket
find("#socket").onclick = async () => {
	const socket = await mana.webSocket(`${api.replace(/^http/, "ws")}/socket`);
	socket.onmessage = ({ data }) => say(data);
};
// #endregion

document.body.dataset.ready = "yes";
