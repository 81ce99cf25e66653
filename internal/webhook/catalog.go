package webhook

import "slices"

// Event types that this package notes itself.
const (
	TypeTest     = "webhook.test"
	TypeDisabled = "webhook.disabled"
)

// Description is what is known of a type of event.
type Description struct {
	Type  string
	Means string // a sentence
	Data  string // an example of its data, JSON
}

// Catalog lists every type of event.
func Catalog() []Description { return slices.Clone(catalog) }

// Types are those of the catalog.
func Types() []string {
	list := make([]string, len(catalog))
	for i, d := range catalog {
		list[i] = d.Type
	}
	return list
}

var catalog = []Description{
	{"user.created", "An account was made.", `{"userId":"u1","role":"user","emailVerified":false}`},
	{"user.verified", "Somebody has proven that the address of the account is theirs.", `{"userId":"u1"}`},
	{"user.email_changed", "The account has another address.", `{"userId":"u1","emailVerified":true}`},
	{"user.role_changed", "The account has another role.", `{"userId":"u1","role":"admin","previousRole":"user"}`},
	{"user.disabled", "The account was disabled: its owner cannot sign in.", `{"userId":"u1"}`},
	{"user.enabled", "A disabled account was enabled again.", `{"userId":"u1"}`},
	{"user.deleted", "The account was closed for ever, and what told who its owner was is erased.", `{"userId":"u1"}`},
	{"session.revoked", "A session was ended before its time: by signing out, by a password that was changed, by an admin.", `{"userId":"u1","sessionId":"s1"}`},
	{"credits.purchased", "Credits that were paid for came in. The reference names the purchase.", `{"accountId":"u1","transactionId":"t1","source":"purchase","reference":"purchase:p1","credits":100,"expiresAt":null}`},
	{"credits.granted", "Credits came in that an admin or a back end gave, or those of a period of a subscription.", `{"accountId":"u1","transactionId":"t1","source":"admin","reference":null,"credits":12.5,"expiresAt":"2030-01-31T00:00:00+00:00"}`},
	{"credits.low", "A balance fell below its threshold: once until it was there again.", `{"accountId":"u1","balance":9.5,"threshold":10}`},
	{"credits.exhausted", "Something was asked for that costs more than the balance: once until credits came in.", `{"accountId":"u1","balance":2,"required":5}`},
	{"credits.expiring", "Credits end soon. expiresAt is the first end of several.", `{"accountId":"u1","credits":40,"expiresAt":"2030-01-31T00:00:00Z"}`},
	{"budget.reached", "The budget of an API key, or what is allotted to a member, did not cover a charge: once in its period. keyId is there for a key.", `{"accountId":"org:o1","userId":"u1","keyId":"k1","budget":50,"period":"day"}`},
	{"purchase.reversed", "Money of a purchase went back, by a refund or a dispute, or came again. reversedCredits is the sum up to now.", `{"accountId":"u1","purchaseId":"p1","credits":100,"reversedCredits":100}`},
	{"debt.created", "Money went back for credits that were spent: the account owes them.", `{"accountId":"u1","debtId":"d1","kind":"incurred","credits":40}`},
	{"debt.reduced", "A debt was paid, forgiven, or taken back with the reversal that made it. The kind says which.", `{"accountId":"u1","debtId":"d2","kind":"paid","credits":40}`},
	{"top_up.confirmation_required", "The bank wants to ask the owner of an account about the payment of an automatic top-up, which waits for three days.", `{"accountId":"u1","purchaseId":"p2","credits":100,"euroCents":999}`},
	{"top_up.failed", "The card of an automatic top-up was declined. It is tried again later.", `{"accountId":"u1","purchaseId":"p2","credits":100,"euroCents":999}`},
	{"top_up.capped", "An automatic top-up waits for the next month: its cap has no room for it. Once a month.", `{"accountId":"u1","spentEuroCents":1998,"capEuroCents":2000}`},
	{"top_up.disabled", "The automatic top-up of an account switched itself off. The reason is declined, unconfirmed, card or package.", `{"accountId":"u1","reason":"declined"}`},
	{"gift.redeemed", "Somebody redeemed a gift.", `{"userId":"u1","giftId":"g1","redemptionId":"r1","credits":5}`},
	{"coupon.redeemed", "Somebody redeemed a coupon.", `{"userId":"u1","couponId":"c1","redemptionId":"r2","transactionId":"t2","credits":12.5}`},
	{"trial.granted", "A new account was given its trial.", `{"userId":"u1","transactionId":"t2","credits":12.5}`},
	{"guest.granted", "A new account was given what its guest had left of the free credits of the day.", `{"userId":"u1","transactionId":"t2","credits":12.5}`},
	{"gifting.held", "An account makes no gifts from now on: its score of abuse is high, or an admin decided so. by is edge for the score alone.", `{"userId":"u1","score":120,"by":"edge"}`},
	{"gifting.released", "The account makes gifts again.", `{"userId":"u1","score":40,"by":"edge"}`},
	{"subscription.started", "A subscription has begun.", `{"accountId":"u1","subscriptionId":"s1","planId":"pro","status":"active","cancelAtPeriodEnd":false}`},
	{"subscription.changed", "A subscription has another plan or status, or will end with its period, or will not any more.", `{"accountId":"u1","subscriptionId":"s1","planId":"pro","status":"active","cancelAtPeriodEnd":true}`},
	{"subscription.renewed", "An invoice of a subscription was paid, the first one included.", `{"accountId":"u1","invoiceId":"i1","subscriptionId":"s1","amountPaidEuroCents":999}`},
	{"subscription.renewal_failed", "A payment of a subscription has failed.", `{"accountId":"u1","subscriptionId":"s1","planId":"pro","status":"past_due","cancelAtPeriodEnd":false}`},
	{"subscription.ended", "A subscription is over.", `{"accountId":"u1","subscriptionId":"s1","planId":"pro","status":"canceled","cancelAtPeriodEnd":false}`},
	{TypeDisabled, "An endpoint failed for too long, or answered 410, and was disabled. The others are told.", `{"endpointId":"ep_1","reason":"it has failed for 3 days"}`},
	{TypeTest, "An admin asked for a test. It goes to their endpoint alone, whatever it wants to be told of.", `{"endpointId":"ep_1"}`},
}
