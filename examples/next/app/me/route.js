import { identity } from "@mana/edge/server";

export async function GET(request) {
	return Response.json(identity(request.headers));
}
