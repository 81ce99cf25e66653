//go:build examples

package clients_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/edgetest"
)

const (
	devPassword  = "mana-edge-dev"
	fixedCode    = "000000"   // of an authenticator
	mailedCode   = "00000000" // of a mail
	clientSecret = "the secret of a client of a test"
	initialToken = "an-initial-access-token-of-a-test-which-is-long"
	callback     = "http://127.0.0.1:1/callback"
)

// openIDClients has an edge know a client of the walk.
var openIDClients = fmt.Sprintf(`oidc_client walk {
			secret %q
			redirect_uri %s
			trusted
			grant_types authorization_code refresh_token client_credentials urn:ietf:params:oauth:grant-type:device_code
		}
		oidc_registration %q`, clientSecret, callback, initialToken)

// walk calls every operation of the document: most at a family of `mana-edge dev`, where
// there are mails, fixed codes and a Stripe, those of the OpenID provider at an edge that
// knows clients.
func (w *walker) walk(f family, provider edge) {
	whole := w.T
	for _, part := range []struct {
		name string
		walk func()
	}{
		{"open", func() { w.open(f) }},
		{"accounts", func() { w.accounts(f) }},
		{"browser", func() { w.browser(f) }},
		{"people", func() { w.people(f) }},
		{"organizations", func() { w.organizations(f) }},
		{"keys", func() { w.keys(f) }},
		{"settings", func() { w.settings(f) }},
		{"credits", func() { w.credits(f) }},
		{"gifts", func() { w.gifts(f) }},
		{"payments", func() { w.payments(f) }},
		{"files", func() { w.files(f) }},
		{"OpenID", func() { w.openID(provider) }},
		{"pages", func() { w.pages(f) }},
		{"admin", func() { w.admin(f) }},
	} {
		whole.Run(part.name, func(t *testing.T) {
			w.T = t
			part.walk()
		})
	}
	w.T = whole
	w.complete()
}

// open are those that ask nobody who they are.
func (w *walker) open(f family) {
	for _, id := range []string{
		"signupStatus", "workChallenge", "signingKeys", "signingKeysNative", "signingKeysWellKnown", "signingKeysOIDC",
		"openIdConfiguration", "oauthServerMetadata", "openApi", "openApiAlias", "postmanCollection", "brunoCollection",
		"health", "live", "ready", "healthV1", "liveV1", "readyV1", "creditProofKeys", "listCreditRoots", "listPrices", "listPackages", "listPlans",
		"passkeyCapability",
	} {
		w.call(f["MANA_URL"], id)
	}
	w.call(f["MANA_URL"], "creditRoot", want(404)) // of a day before there was a ledger
}

// newUser registers one, confirms their address and signs them in.
func (w *walker) newUser(f family, name string) (email string, tokens reply) {
	w.Helper()
	email = name + "@walk.test"
	w.call(f["MANA_URL"], "register", body(object{"email": email, "password": edgetest.SignUpPassword, "name": "Wanda Walk"}))
	confirm := w.link(f, email, "verify_email")
	w.button(f["MANA_URL"]+confirm.Path, "token", confirm.Query().Get("token"))
	return email, w.signIn(f, email, edgetest.SignUpPassword)
}

func (w *walker) signIn(f family, email, password string) reply {
	w.Helper()
	return w.call(f["MANA_URL"], "login", body(object{"email": email, "password": password, "deviceName": "a test"}))
}

// accounts are those of an app's own sign-in.
func (w *walker) accounts(f family) {
	base := f["MANA_URL"]
	email, tokens := w.newUser(f, "accounts")
	access, refresh := tokens.text("accessToken"), tokens.text("refreshToken")
	w.call(base, "resendVerification", body(object{"email": email}))
	w.call(base, "currentSession", bearer(access))
	w.call(base, "profile", bearer(access))
	w.call(base, "updateProfile", bearer(access), body(object{"name": "Wanda W. Walk"}))
	w.call(base, "validateToken", body(object{"token": access}))
	w.call(base, "validateToken", body(object{"token": "a.b.c"}))
	w.call(base, "createTicket", bearer(access), body(object{"url": f["MANA_SITE"] + "/"}))
	w.call(base, "secondFactor", bearer(access))
	w.call(base, "reauthenticate", bearer(access), body(object{"password": edgetest.SignUpPassword}))
	w.call(base, "listSecurityEvents", bearer(access), query("limit", 2))
	w.call(base, "changeEmail", bearer(access), body(object{"newEmail": "moved@walk.test"}))
	w.call(base, "refreshTokens", body(object{"refreshToken": refresh}))

	w.call(base, "sendMagicLink", inBrowser(""), body(object{"email": email}))
	w.call(base, "loginWithCode", body(object{"email": email, "code": mailedCode}))
	w.call(base, "sendMagicLinkAlias", inBrowser(""), body(object{"email": email}))
	other := w.call(base, "loginWithCode", body(object{"email": email, "code": mailedCode}))
	sessions := w.call(base, "listSessions", bearer(access))
	w.call(base, "revokeSession", bearer(access), at("id", sessions.other(w.call(base, "currentSession", bearer(access)).text("session", "id"))))
	w.call(base, "revokeSessions", bearer(access))
	w.call(base, "profile", bearer(other.text("accessToken")), want(401))

	w.call(base, "changePassword", bearer(access), body(object{"currentPassword": edgetest.SignUpPassword, "newPassword": "another horse battery"}))
	w.call(base, "forgotPassword", body(object{"email": email}))
	w.call(base, "resetPassword", body(object{"token": path.Base(w.link(f, email, "reset_password").Path), "newPassword": edgetest.SignUpPassword}))
	again := w.signIn(f, email, edgetest.SignUpPassword)
	w.call(base, "logout", body(object{"refreshToken": again.text("refreshToken")}))
	again = w.signIn(f, email, edgetest.SignUpPassword)
	w.call(base, "deleteAccount", bearer(again.text("accessToken")), body(object{"password": edgetest.SignUpPassword}))

	challenge := w.call(base, "login", body(object{"email": f["MANA_FACTOR_EMAIL"], "password": devPassword}), want(409)).text("details", "challenge")
	w.call(base, "secondFactorPasskeyOptions", body(object{"challenge": challenge, "response": object{"id": "x"}}), want(401))
	w.call(base, "loginWithSecondFactor", body(object{"challenge": challenge, "code": fixedCode}))

	// Without an authenticator that makes keys, and without a provider.
	_, tokens = w.newUser(f, "passkeys")
	access = tokens.text("accessToken")
	w.call(base, "passkeyRegistrationOptions", bearer(access))
	w.call(base, "registerPasskey", bearer(access), body(object{"response": object{"id": "x"}}), want(401))
	w.call(base, "passkeyOptions", body(object{}))
	w.call(base, "loginWithPasskey", body(object{"response": object{"id": "x"}}), want(401))
	w.call(base, "listPasskeys", bearer(access))
	w.call(base, "renamePasskey", bearer(access), at("id", "none"), body(object{"friendlyName": "Phone"}), want(404))
	w.call(base, "deletePasskey", bearer(access), at("id", "none"), want(404))
	w.call(base, "googleSignIn", body(object{"token": "a.b.c"}), want(404))
	w.call(base, "appleSignIn", body(object{"token": "a.b.c"}), want(404))
	w.call(base, "listLinkedAccounts", bearer(access))
	w.call(base, "unlinkAccount", bearer(access), at("id", "none"), want(404))
	w.call(base, "ownData", bearer(access))
	w.call(base, "exportOwnData", bearer(access))
	w.call(base, "deleteOwnData", bearer(access), body(object{"password": edgetest.SignUpPassword}))
}

// other is the id of a session in the list that is not the one named.
func (r reply) other(named string) string {
	r.Helper()
	for i := range 10 {
		if id := r.text(i, "id"); id != named {
			return id
		}
	}
	r.Fatalf("no other session in %s", r.Body)
	return ""
}

// browser are those of the sign-on session.
func (w *walker) browser(f family) {
	base := f["MANA_URL"]
	email, _ := w.newUser(f, "browser")
	w.call(base, "browserSession")
	cookie := w.call(base, "signInBrowser", inBrowser(""), body(object{"email": email, "password": edgetest.SignUpPassword})).cookies()
	w.call(base, "browserSession", inBrowser(cookie))
	w.call(base, "exchangeSession", inBrowser(cookie))
	w.call(base, "enableTwoFactor", inBrowser(cookie), body(object{"password": edgetest.SignUpPassword}))
	w.call(base, "verifyTotp", inBrowser(cookie), body(object{"code": fixedCode}))
	codes := w.call(base, "renewBackupCodes", inBrowser(cookie), body(object{"password": edgetest.SignUpPassword}))
	challenge := w.call(base, "login", body(object{"email": email, "password": edgetest.SignUpPassword}), want(409)).text("details", "challenge")
	w.call(base, "verifyBackupCode", inBrowser(""), body(object{"code": codes.text("backupCodes", 0), "challenge": challenge}))
	w.call(base, "disableTwoFactor", inBrowser(cookie), body(object{"password": edgetest.SignUpPassword}))
	w.call(base, "signInWithProvider", inBrowser(""), body(object{"provider": "google", "callbackURL": base + "/account"}), want(404))
	w.call(base, "linkProvider", inBrowser(cookie), body(object{"provider": "google", "callbackURL": base + "/account"}), want(404))
	w.call(base, "redirectToProvider", at("provider", "google"), want(404))
	w.call(base, "providerCallback", at("provider", "google"), want(404))
	w.call(base, "providerCallbackForm", at("provider", "google"), body(object{}), want(404))
	w.call(base, "signOutBrowser", inBrowser(cookie))
}

// people are those by which back ends look them up.
func (w *walker) people(f family) {
	base, backend, user := f["MANA_URL"], asBackend(f["MANA_SERVICE_KEY"]), f["MANA_USER_ID"]
	w.call(base, "lookUpUser", backend, at("userId", user))
	w.call(base, "lookUpUser", backend, at("userId", "nobody"), want(404))
	w.call(base, "lookUpUsers", backend, body(object{"ids": []string{user, "nobody"}}))
	for _, doubled := range []string{"", "Doubled"} {
		id := "@walk" + strings.ToLower(doubled) + ":example.org"
		w.call(base, "linkMatrixUser"+doubled, backend, body(object{"matrixUserId": id, "userId": user}))
		w.call(base, "checkMatrixLink"+doubled, backend, at("matrixUserId", id))
		w.call(base, "matrixSession"+doubled, backend, at("matrixUserId", id))
		w.call(base, "unlinkMatrixUser"+doubled, backend, at("matrixUserId", id))
	}
}

// organizations are founded, filled and given up.
func (w *walker) organizations(f family) {
	base, backend := f["MANA_URL"], asBackend(f["MANA_SERVICE_KEY"])
	ownerEmail, ownerTokens := w.newUser(f, "owner")
	memberEmail, memberTokens := w.newUser(f, "member")
	owner, member := bearer(ownerTokens.text("accessToken")), bearer(memberTokens.text("accessToken"))
	ownerID, memberID := ownerTokens.text("user", "id"), memberTokens.text("user", "id")
	w.call(base, "registerOrganization", body(object{
		"ownerEmail": "founder@walk.test", "password": edgetest.SignUpPassword, "ownerName": "Fay Founder", "organizationName": "Founders",
	}))
	id := w.call(base, "createOrganization", owner, body(object{"name": "Walkers", "metadata": object{"colour": "green"}})).text("id")
	w.call(base, "listOrganizations", owner)
	w.call(base, "organization", owner, at("id", id))
	w.call(base, "updateOrganization", owner, at("id", id), body(object{"name": "The Walkers"}))
	w.call(base, "setActiveOrganization", owner, body(object{"organizationId": id}))
	invite := func(email string) string {
		return w.call(base, "inviteMember", owner, at("id", id), body(object{"employeeEmail": email, "role": "member"})).text("id")
	}
	w.call(base, "deleteInvitation", owner, at("id", invite("nobody@walk.test")))
	invitation := invite(memberEmail)
	w.call(base, "listOrganizationInvitations", owner, at("id", id))
	w.call(base, "listInvitations", member)
	w.call(base, "acceptInvitation", member, body(object{"invitationId": invitation}))
	w.call(base, "listMembers", owner, at("id", id))
	w.call(base, "changeMemberRole", owner, at("id", id), at("memberId", memberEmail), body(object{"role": "admin"}))
	member = bearer(w.signIn(f, memberEmail, edgetest.SignUpPassword).text("accessToken")) // for the role ends all tokens
	w.call(base, "membership", backend, at("orgId", id), at("userId", ownerID))
	w.call(base, "listMemberships", backend, at("userId", ownerID))

	w.call(base, "grantCredits", backend, body(object{"organizationId": id, "amount": 50, "reason": "a test", "referenceId": "walk-org"}))
	w.call(base, "organizationBalance", owner, at("id", id))
	w.call(base, "backendOrganizationBalance", backend, at("id", id))
	w.call(base, "listOrganizationTransactions", owner, at("id", id), query("limit", 5))
	whose := []with{owner, at("id", id), at("userId", memberID)}
	w.call(base, "setAllotment", append(whose, body(object{"credits": 10, "period": "month"}))...)
	w.call(base, "allotment", whose...)
	w.call(base, "listAllotments", owner, at("id", id))
	w.call(base, "deleteAllotment", whose...)

	w.call(base, "transferOrganization", owner, at("id", id), body(object{"memberId": memberEmail, "keep": true}))
	member = bearer(w.signIn(f, memberEmail, edgetest.SignUpPassword).text("accessToken"))
	w.call(base, "removeMember", member, at("id", id), at("memberId", ownerEmail))
	owner = bearer(w.signIn(f, ownerEmail, edgetest.SignUpPassword).text("accessToken"))
	empty := w.call(base, "createOrganization", owner, body(object{"name": "Nobody"})).text("id")
	w.call(base, "deleteOrganization", owner, at("id", empty))
}

func (w *walker) keys(f family) {
	base, user := f["MANA_URL"], bearer(f["MANA_TOKEN"])
	made := w.call(base, "createApiKey", user, body(object{"name": "walk", "scopes": []string{}}))
	w.call(base, "listApiKeys", user)
	w.call(base, "validateApiKey", asBackend(f["MANA_SERVICE_KEY"]), body(object{"apiKey": made.text("key")}))
	w.call(base, "validateApiKey", asBackend(f["MANA_SERVICE_KEY"]), body(object{"apiKey": "none"}))
	w.call(base, "revokeApiKey", user, at("id", made.text("id")))
}

func (w *walker) settings(f family) {
	base, user := f["MANA_URL"], bearer(f["MANA_TOKEN"])
	device := []with{user, at("deviceId", "phone"), at("appId", "chat")}
	w.call(base, "updateSettings", user, body(object{"locale": "de", "theme": object{"mode": "dark"}}))
	w.call(base, "updateAppSettings", user, at("appId", "chat"), body(object{"theme": object{"mode": "light"}}))
	w.call(base, "updateDeviceSettings", append(device, body(object{"deviceName": "Phone", "deviceType": "mobile", "settings": object{"sound": false}}))...)
	w.call(base, "settings", user)
	w.call(base, "listDevices", user)
	w.call(base, "deviceSettings", device...)
	w.call(base, "resetDeviceSettings", device...)
	w.call(base, "updateDeviceSettings", append(device, body(object{"settings": object{"sound": true}}))...)
	w.call(base, "forgetDevice", user, at("deviceId", "phone"))
	w.call(base, "resetAppSettings", user, at("appId", "chat"))
}

func (w *walker) credits(f family) {
	base, user, backend, id := f["MANA_URL"], bearer(f["MANA_CREDITS_TOKEN"]), asBackend(f["MANA_SERVICE_KEY"]), f["MANA_CREDITS_USER_ID"]
	order := func(more object) with {
		o := object{"amount": 1.5, "appId": "walk", "description": "A step"}
		maps.Copy(o, more)
		return body(o)
	}
	w.call(base, "balance", user)
	w.call(base, "balance", user, query("include", "lots,held"))
	w.call(base, "balance", want(401))
	w.call(base, "userBalance", backend, at("userId", id))
	w.call(base, "backendBalance", backend, at("userId", id))
	w.call(base, "backendOpenBalance", backend, body(object{"userId": id}))
	w.call(base, "grantCredits", backend, body(object{"userId": id, "amount": 20, "reason": "a test", "referenceId": "walk"}))
	w.call(base, "checkCredits", user, body(object{"amount": 1, "appId": "walk"}))
	w.call(base, "quotePrice", user, body(object{"amount": 1}))
	charged := w.call(base, "chargeCredits", user, header("Idempotency-Key", "walk-1"), order(nil))
	w.call(base, "chargeCredits", user, header("Idempotency-Key", "walk-1"), order(object{"description": "Another step"}), want(422))
	w.call(base, "chargeCredits", user, order(object{"amount": 1e6}), want(402))
	w.call(base, "chargeCredits", user, order(object{"amount": -1}), want(400))
	w.call(base, "refundCredits", backend, order(object{"userId": id, "amount": 0.5, "transactionId": charged.text("transaction", "id")}))
	w.call(base, "chargeCreditsBatch", user, body(object{"items": []object{
		{"amount": 1, "appId": "walk", "description": "One", "idempotencyKey": "walk-2"}, {"amount": 1e6, "appId": "walk", "description": "Too many", "idempotencyKey": "walk-3"},
	}}))
	charged = w.call(base, "backendChargeCredits", backend, order(object{"userId": id}))
	w.call(base, "backendRefundCredits", backend, order(object{"userId": id, "transactionId": charged.text("transaction", "id")}))
	reserve := func() string {
		return w.call(base, "reserveCredits", backend, body(object{"userId": id, "amount": 5, "reason": "a step"})).text("reservationId")
	}
	w.call(base, "commitReservation", backend, body(object{"reservationId": reserve(), "amount": 2}))
	w.call(base, "releaseReservation", backend, body(object{"reservationId": reserve()}))
	w.call(base, "listTransactions", user, query("limit", 50))
	w.call(base, "usage", user, query("groupBy", "app"))
	w.call(base, "creditProof", user)
	w.call(base, "creditAlertSettings", user)
	w.call(base, "setCreditAlerts", user, body(object{"lowBalance": 10000}))
	w.call(base, "listCreditAlerts", user)
	w.call(base, "setCreditAlerts", user, body(object{"lowBalance": nil}))
	w.call(base, "redeemCoupon", user, body(object{"code": "NONE"}), want(404))
}

func (w *walker) gifts(f family) {
	base, giver, taker := f["MANA_URL"], bearer(f["MANA_CREDITS_TOKEN"]), bearer(f["MANA_TOKEN"])
	made := w.call(base, "createGift", giver, body(object{"credits": 5, "message": "For you"}))
	w.call(base, "gift", at("gift", made.text("code")))
	w.call(base, "redeemGift", taker, at("gift", made.text("code")), body(object{}))
	w.call(base, "createGift", giver, body(object{"credits": 5, "type": "personalized", "targetEmail": f["MANA_FACTOR_EMAIL"]}))
	w.call(base, "redeemPendingGifts", asBackend(f["MANA_SERVICE_KEY"]), body(object{"userId": f["MANA_FACTOR_USER_ID"], "email": f["MANA_FACTOR_EMAIL"]}))
	made = w.call(base, "createGift", giver, body(object{"credits": 5, "type": "riddle", "riddleQuestion": "Two and two?", "riddleAnswer": "four"}))
	w.call(base, "gift", at("gift", made.text("code")))
	w.call(base, "listCreatedGifts", giver)
	w.call(base, "listReceivedGifts", taker)
	w.call(base, "cancelGift", giver, at("gift", made.text("id")))
}

func (w *walker) payments(f family) {
	base, user := f["MANA_URL"], bearer(f["MANA_TOKEN"])
	back := object{"successUrl": base + "/account/credits", "cancelUrl": base + "/account/credits"}
	item := func(more object) with {
		o := maps.Clone(back)
		maps.Copy(o, more)
		return body(o)
	}
	packages := w.call(base, "listPackages")
	bought := w.call(base, "createPurchase", user, item(object{"packageId": packages.text(0, "id")}))
	w.button(bought.text("checkoutUrl"), "how", "card")
	w.call(base, "createPaymentLink", user, item(object{"packageId": packages.text(0, "id")}))
	purchases := w.call(base, "listPurchases", user)
	w.call(base, "purchase", user, at("purchaseId", purchases.text(0, "id")))
	w.call(base, "stripeWebhook", header("Stripe-Signature", "t=1,v1=00"), body(object{"id": "evt_1"}), want(400))
	w.call(base, "stripeWebhookAlias", header("Stripe-Signature", "t=1,v1=00"), body(object{"id": "evt_1"}), want(400))

	saving := w.call(base, "saveTopUpCard", user, body(object{})).text("url")
	w.button(saving, "how", "card")
	w.eventually("a saved card", func() bool { return strings.Contains(w.call(base, "autoTopUp", user).Body, `"last4"`) })
	w.call(base, "setAutoTopUp", user, body(object{"enabled": true, "consent": true, "packageId": packages.text(0, "id"), "threshold": 1, "monthlyCapEuroCents": 100_000}))
	w.call(base, "confirmTopUp", user, body(object{}), want(409)) // nothing waits
	w.call(base, "setAutoTopUp", user, body(object{"enabled": false}))
	w.call(base, "forgetTopUpCard", user)

	plans := w.call(base, "listPlans")
	var paid string
	for i := 0; paid == ""; i++ {
		if plans.text(i, "name") == "Plus" {
			paid = plans.text(i, "id")
		}
	}
	w.call(base, "plan", at("planId", paid))
	w.call(base, "plan", at("planId", "none"), want(404))
	w.call(base, "currentSubscription", user)
	w.button(w.call(base, "createCheckout", user, item(object{"planId": paid, "billingInterval": "month"})).text("url"), "how", "card")
	w.eventually("a subscription", func() bool { return strings.Contains(w.call(base, "currentSubscription", user).Body, `"active"`) })
	w.call(base, "listInvoices", user, query("limit", 5))
	w.call(base, "createPortal", user, body(object{"returnUrl": base + "/account/credits"}))
	w.call(base, "setSeats", user, body(object{"organizationId": "none", "seats": 2}), want(404))
	w.call(base, "cancelSubscription", user, body(object{}))
	w.call(base, "reactivateSubscription", user, body(object{}))
}

func (w *walker) eventually(what string, is func() bool) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("not in time: %s", what)
		}
	}
}

func (w *walker) files(f family) {
	base, user := f["MANA_URL"], bearer(f["MANA_TOKEN"])
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 16, 16))); err != nil {
		w.Fatal(err)
	}
	made := w.call(base, "createAvatarUpload", user, body(object{"filename": "me.png"}))
	w.call(base, "uploadFile", at("token", path.Base(made.text("uploadUrl"))), bytesOf("image/png", picture.Bytes()))
	var whole bytes.Buffer
	parts := multipart.NewWriter(&whole)
	file, err := parts.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="me.png"`}, "Content-Type": {"image/png"}})
	if err == nil {
		_, err = file.Write(picture.Bytes())
	}
	if err != nil || parts.Close() != nil {
		w.Fatal(err)
	}
	stored := w.call(base, "uploadAvatar", user, bytesOf(parts.FormDataContentType(), whole.Bytes()))
	address, err := url.Parse(stored.text("url"))
	if err != nil {
		w.Fatal(err)
	}
	w.call(base, "picture", at("user", path.Base(path.Dir(address.Path))), at("name", path.Base(address.Path)))
}

// openID are those of the OpenID provider. A browser comes to authorize and endsession
// by links with a query, which the document leaves to the specifications: a generated
// client sends none, and the code is asked for without one.
func (w *walker) openID(provider edge) {
	base := provider.base
	u := provider.newUser(w.T, "openid")
	cookie := w.call(base, "signInBrowser", inBrowser(""), body(object{"email": u.email, "password": edgetest.SignUpPassword})).cookies()
	credentials := []string{"client_id", "walk", "client_secret", clientSecret}
	code := func() string {
		asked := url.Values{"client_id": {"walk"}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid email offline_access"}}
		req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, base+"/api/auth/oauth2/authorize?"+asked.Encode(), nil)
		if err != nil {
			w.Fatal(err)
		}
		req.Header.Set("Cookie", cookie)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			w.Fatal(err)
		}
		resp.Body.Close()
		to, err := resp.Location()
		if err != nil || to.Query().Get("code") == "" {
			w.Fatalf("authorize: %d, %v, %v", resp.StatusCode, to, err)
		}
		return to.Query().Get("code")
	}
	for _, alias := range []string{"", "Alias"} {
		w.call(base, "authorize"+alias, inBrowser(cookie), want(400))
		w.call(base, "authorizeForm"+alias, form("client_id", "walk"), want(303))
		given := w.call(base, "oauthToken"+alias, form(append(credentials, "grant_type", "authorization_code", "code", code(), "redirect_uri", callback)...))
		access := given.text("access_token")
		w.call(base, "oauthToken"+alias, form(append(credentials, "grant_type", "refresh_token", "refresh_token", "none")...), want(400))
		w.call(base, "userinfo"+alias, bearer(access))
		w.call(base, "userinfo"+alias, want(401))
		w.call(base, "userinfoForm"+alias, form("access_token", access))
		w.call(base, "introspectToken"+alias, form(append(credentials, "token", access)...))
		w.call(base, "revokeToken"+alias, form(append(credentials, "token", access)...))
		w.call(base, "deviceAuthorization"+alias, form(append(credentials, "scope", "openid")...))
		w.call(base, "registerClient"+alias, bearer(initialToken), body(object{"client_name": "A client", "redirect_uris": []string{callback}}))
		w.call(base, "registerClient"+alias, body(object{"client_name": "A client", "redirect_uris": []string{callback}}), want(401))
		w.call(base, "openIdClient"+alias, inBrowser(cookie), at("id", "walk"))
		w.call(base, "answerConsent"+alias, inBrowser(cookie), body(object{"accept": true, "consent_code": "none"}), want(400))
		w.call(base, "endSession"+alias, inBrowser(cookie), want(302)) // to a page that asks
		w.call(base, "endSessionForm"+alias, inBrowser(cookie), form("state", "s"))
		cookie = w.call(base, "signInBrowser", inBrowser(""), body(object{"email": u.email, "password": edgetest.SignUpPassword})).cookies()
	}
}

// pages are the hosted ones, as an admin sees them, and their forms, which are sent empty:
// what they do is for a browser to try, and for the tests of package api.
func (w *walker) pages(f family) {
	base := f["MANA_URL"]
	for _, id := range slices.Sorted(maps.Keys(w.operations)) {
		o := w.operations[id]
		if !o.page() {
			continue
		}
		cookie := w.call(base, "signInBrowser", inBrowser(""), body(object{"email": f["MANA_ADMIN_EMAIL"], "password": devPassword})).cookies()
		parts := []with{inBrowser(cookie), want(anyStatus)}
		if _, takes := o.RequestBody.Content["application/x-www-form-urlencoded"]; takes {
			parts = append(parts, form())
		} else if len(o.RequestBody.Content) > 0 { // a file
			parts = append(parts, bytesOf("multipart/form-data; boundary=b", []byte("--b--\r\n")))
		}
		w.call(base, id, parts...)
	}
}

// admin are those of operators, last: accounts end here.
func (w *walker) admin(f family) {
	base, admin := f["MANA_URL"], bearer(f["MANA_ADMIN_TOKEN"])
	for _, doubled := range []string{"", "Doubled"} {
		email, _ := w.newUser(f, "erased"+strings.ToLower(doubled))
		found := w.call(base, "adminListUsers"+doubled, admin, query("search", email), query("limit", 1))
		id := found.text("users", 0, "id")
		w.call(base, "adminUserData"+doubled, admin, at("userId", id))
		w.call(base, "adminDeleteUserData"+doubled, admin, at("userId", id), body(object{"reason": "a test"}))
	}
	whom := at("userId", f["MANA_FACTOR_USER_ID"])
	w.call(base, "adminUpdateUser", admin, whom, body(object{"role": "support", "reason": "a test"}))
	w.call(base, "adminListSecurityEvents", admin, whom, query("limit", 5))
	w.call(base, "adminResetFactor", admin, whom, body(object{"reason": "a test"}))
	w.call(base, "adminRevokeSessions", admin, whom, body(object{"reason": "a test"}))
}
