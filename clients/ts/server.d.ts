import type { Role } from "./mana.js";

export declare class InvalidTokenError extends Error {}

/** Who a request acts for. What is not known is empty. */
export interface AssertedIdentity {
	userId: string;
	email: string;
	emailVerified: boolean;
	role: Role;
	sessionId: string;
	orgId: string;
	orgRole: string;
	keyId: string;
}

export interface Identity extends AssertedIdentity {
	scopes: string[];
	/** Unix seconds, 0 where not known. */
	authTime: number;
	methods: string[];
	name: string;
	picture: string;
}

type RequestHeaders = { get(name: string): string | null } | Record<string, string | string[] | undefined>;

export declare function identity(headers: RequestHeaders): Identity | null;

export declare class Verifier {
	constructor(options: { issuer: string; audience: string; jwksUrl?: string; fetch?: typeof fetch; now?: () => number });
	token(token: string): Promise<Record<string, unknown>>;
	assertion(request: { method?: string; url?: string; headers: RequestHeaders }): Promise<AssertedIdentity>;
}
