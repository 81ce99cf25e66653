export declare class InvalidTokenError extends Error {}

/** What a request cost, as the edge has signed it. */
export interface SignedReceipt {
	requestId: string;
	userId: string;
	/** "user", or "org:" and the id of the organisation that paid. */
	payer: string;
	/** Credits. */
	cost: number;
	/** The ids of the rows that charge it. */
	transactions: string[];
	app: string;
	/** The request came again under its idempotency key: the receipt of the first one has the charge. */
	replayed: boolean;
	at: Date;
}

export declare class ReceiptVerifier {
	constructor(options: { issuer: string; jwksUrl?: string; fetch?: typeof fetch; now?: () => number });
	receipt(token: string | null | undefined): Promise<SignedReceipt>;
	receiptOf(requestId: string, token: string | null | undefined): Promise<SignedReceipt>;
}
