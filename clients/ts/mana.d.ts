export interface User {
	id: string;
	name: string;
	email: string;
	role: Role;
}

export type Role = "user" | "support" | "admin" | "service";

export interface Profile extends User {
	emailVerified: boolean;
	image?: string;
	createdAt: string;
}

export interface Tokens {
	accessToken: string;
	refreshToken: string;
	/** Unix milliseconds. */
	expiresAt: number;
	user: User;
}

/** Where tokens are kept. */
export interface TokenStorage {
	get(): Tokens | null | Promise<Tokens | null>;
	set(tokens: Tokens | null): void | Promise<void>;
}

export declare class ManaError extends Error {
	readonly status: number;
	readonly code: string;
	readonly details: Record<string, unknown>;
	/** Seconds. */
	readonly retryAfter?: number;
}
export declare class UnauthorizedError extends ManaError {}
export declare class InsufficientCreditsError extends ManaError {
	readonly required: number;
	readonly available: number;
}
export declare class RateLimitedError extends ManaError {}

export declare function errorOf(response: Response): Promise<ManaError>;
export declare function memoryStorage(): TokenStorage;
export declare function webStorage(storage?: Storage, key?: string): TokenStorage;
export declare function asyncStorage(
	storage: {
		getItem(key: string): Promise<string | null>;
		setItem(key: string, value: string): Promise<void>;
		removeItem(key: string): Promise<void>;
	},
	key?: string,
): TokenStorage;

export interface Options {
	/** The base_url of the edge. */
	baseUrl: string;
	/** localStorage where there is one, else memory. */
	storage?: TokenStorage;
	/** Of a back end: never in a browser. */
	serviceKey?: string;
	fetch?: typeof fetch;
	now?: () => number;
}

export interface Balance {
	balance: number;
	debt: number;
	totalEarned: number;
	totalSpent: number;
}

export interface Charge {
	amount: number;
	appId: string;
	description: string;
	userId?: string;
	metadata?: Record<string, unknown>;
}

export interface Refund {
	userId: string;
	amount: number;
	appId: string;
	description: string;
	transactionId?: string;
}

export interface Receipt {
	success: boolean;
	transaction: { id: string; amount: number };
	newBalance: { balance: number; totalSpent: number };
	message?: string;
}

export type Validation = { valid: true; payload: Record<string, unknown> } | { valid: false; error: string };

export interface ServerEvent {
	event: string;
	data: string;
	id: string;
}

export declare class Mana {
	constructor(options: Options);
	close(): void;
	onChange(listener: (user: User | null) => void): () => void;
	user(): Promise<User | null>;
	signIn(email: string, password: string): Promise<User>;
	silentSignIn(): Promise<User | null>;
	signOut(): Promise<void>;
	signInUrl(returnUrl?: string): string;
	signOutUrl(returnUrl?: string): string;
	accessToken(): Promise<string | null>;
	refresh(than?: string): Promise<string | null>;
	fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
	call<T = unknown>(method: string, path: string, options?: { body?: unknown; idempotencyKey?: string }): Promise<T>;
	profile(): Promise<Profile>;
	validate(token: string): Promise<Validation>;
	lookUp(id: string): Promise<Profile>;
	lookUpAll(ids: string[]): Promise<Profile[]>;
	balance(userId?: string): Promise<Balance>;
	charge(order: Charge, idempotencyKey?: string): Promise<Receipt>;
	refund(order: Refund, idempotencyKey?: string): Promise<Receipt>;
	withTicket(url: string | URL): Promise<string>;
	webSocket(url: string | URL, protocols?: string | string[]): Promise<WebSocket>;
	eventSource(url: string | URL, init?: EventSourceInit): Promise<EventSource>;
	events(url: string | URL, init?: RequestInit): AsyncGenerator<ServerEvent>;
}

export declare function eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent>;
