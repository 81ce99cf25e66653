import { json } from "@sveltejs/kit";

export function GET({ locals }) {
	return json({ ...locals.user, name: locals.name });
}
