// #region proxy
import { InvalidTokenError, Verifier } from "@mana/edge/server";
import { NextResponse } from "next/server";

const verifier = new Verifier({ issuer: process.env.MANA_URL, audience: "app" });

export async function proxy(request) {
	try {
		await verifier.assertion(request); // so nobody came around the gate, and the headers are its own
	} catch (error) {
		return new NextResponse("please sign in\n", { status: error instanceof InvalidTokenError ? 401 : 503 });
	}
}
// #endregion
