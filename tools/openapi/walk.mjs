// Calls what it is told to by openapi-fetch: reads calls, one a line, and writes what came of each. The test that walks all
// operations does so, and has the compiler hold what was sent and answered against the generated types.
import { createInterface } from "node:readline";
import createClient from "openapi-fetch";

async function send({ base, method, path, inPath, query, header, headers, media, body, bytes, json }) {
	const client = createClient({ baseUrl: base });
	const init = { params: { path: inPath, query, header }, headers: { ...headers }, redirect: "manual" };
	if (!json) init.parseAs = "text";
	if (media) {
		init.headers["Content-Type"] = media;
		if (media === "application/json") init.body = body;
		else {
			init.body = Buffer.from(bytes, "base64");
			init.bodySerializer = (whole) => whole;
		}
	}
	const { data, error, response } = await client[method](path, init);
	const answer = { status: response.status, headers: {} };
	for (const [name, value] of response.headers) (answer.headers[name] ??= []).push(value);
	const content = response.ok ? data : error;
	return { ...answer, body: content === undefined ? "" : typeof content === "string" ? content : JSON.stringify(content) };
}

for await (const line of createInterface({ input: process.stdin })) {
	const outcome = await send(JSON.parse(line)).catch((error) => ({ fault: String(error.stack) }));
	process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
