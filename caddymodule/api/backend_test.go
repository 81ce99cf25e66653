package api_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const internalURL = "/api/v1/internal/credits/"

func TestBackEndsReserve(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 10)
	body := map[string]any{"userId": id, "amount": 7, "reason": "image", "ttl": 60}
	s.send("POST", internalURL+"reserve", body, token).status(401)
	held := s.send("POST", internalURL+"reserve", body, asService).status(200).object()
	if held["balance"] != 3.0 {
		t.Errorf("reserved: %v", held)
	}
	short := s.send("POST", internalURL+"reserve", body, asService).status(402).message("Insufficient credits").object()
	if diff := cmp.Diff(map[string]any{"requiredCredits": 7.0, "availableCredits": 3.0, "creditType": "user"}, short["details"]); diff != "" {
		t.Errorf("details (-want +got)\n%s", diff)
	}
	named := map[string]any{"reservationId": held["reservationId"]}
	s.send("POST", internalURL+"commit", map[string]any{"reservationId": held["reservationId"], "amount": 7.5}, asService).status(400).
		message("amount must not be greater than what was reserved, 7")
	done := s.send("POST", internalURL+"commit", map[string]any{"reservationId": held["reservationId"], "amount": 2.5, "description": "Two images"}, asService).
		status(200).object()
	if done["success"] != true || done["transactionId"] == "" || done["balance"] != 7.5 || done["charged"] != 2.5 {
		t.Errorf("committed: %v", done)
	}
	s.send("POST", internalURL+"commit", named, asService).status(400).message("Cannot commit reservation in status: committed")
	s.send("POST", internalURL+"refund-reservation", named, asService).status(400).message("Cannot refund reservation in status: committed")

	other := s.send("POST", internalURL+"reserve", map[string]any{"userId": id, "amount": 1, "reason": "image"}, asService).status(200).object()
	named = map[string]any{"reservationId": other["reservationId"]}
	back := s.send("POST", internalURL+"refund-reservation", named, asService).status(200).object()
	if diff := cmp.Diff(map[string]any{"success": true, "balance": 7.5}, back); diff != "" {
		t.Errorf("given back (-want +got)\n%s", diff)
	}
	s.send("POST", internalURL+"commit", named, asService).status(400).message("Cannot commit reservation in status: refunded")
	s.send("POST", internalURL+"commit", map[string]any{"reservationId": "nobody"}, asService).status(404).message("Reservation not found")
	s.send("POST", internalURL+"reserve", map[string]any{"userId": id, "amount": 1, "reason": "image", "ttl": 86401}, asService).status(400).
		message("ttl must not be greater than 86400")

	var rows []map[string]any
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/credits/transactions", nil, token).status(200).body), &rows); err != nil {
		t.Fatal(err)
	}
	if row := rows[0]; row["amount"] != -2.5 || row["description"] != "Two images" || row["appId"] != "internal" {
		t.Errorf("row %v", row)
	}
}

func TestBackEndsGrantOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	body := map[string]any{"userId": id, "amount": 5, "reason": "bonus", "referenceId": "order-1"}
	s.send("POST", internalURL+"grant", body, token).status(401)
	first := s.send("POST", internalURL+"grant", body, asService, with("X-App-Id", "shop")).status(200).object()
	if row := first["transaction"].(map[string]any); row["type"] != "gift" || row["appId"] != "shop" || row["amount"] != 5.0 {
		t.Errorf("granted: %v", first)
	}
	again := s.send("POST", internalURL+"grant", body, asService).status(200)
	if again.object()["message"] == nil || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %v %v", again.header, again.body)
	}
	if b := s.send("GET", internalURL+"balance/"+id, nil, asService).status(200).object(); b["balance"] != 5.0 || b["totalEarned"] != 5.0 {
		t.Errorf("balance %v", b)
	}
	body["expiresAt"], body["referenceId"] = "2020-01-01", "order-2"
	s.send("POST", internalURL+"grant", body, asService).status(400).message("expiresAt must be in the future")
	body["userId"] = "nobody"
	delete(body, "expiresAt")
	s.send("POST", internalURL+"grant", body, asService).status(404)
}

func TestBackEndsChargeAndOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	if b := s.send("POST", internalURL+"init", map[string]any{"userId": id}, asService).status(200).object(); b["balance"] != 0.0 || b["userId"] != id {
		t.Errorf("opened: %v", b)
	}
	s.send("POST", internalURL+"init", map[string]any{"userId": "nobody"}, asService).status(404)
	s.grant(id, 10)
	s.send("POST", internalURL+"use", charge(4), token).status(401)
	used := s.send("POST", internalURL+"use", charge(4, "userId", id), asService).status(201).object()
	row := used["transaction"].(map[string]any)
	s.send("POST", internalURL+"refund", charge(1, "userId", id, "transactionId", row["id"]), asService).status(201)
	for _, tt := range []struct {
		amount  any
		who     header
		user    any
		allowed bool
		missing float64
	}{{7, token, nil, true, 0}, {7.5, token, nil, false, 0.5}, {7, asService, id, true, 0}, {100, asService, id, false, 93}} {
		body := map[string]any{"amount": tt.amount, "appId": "chat"}
		if tt.user != nil {
			body["userId"] = tt.user
		}
		got := s.send("POST", "/api/v1/credits/check", body, tt.who).status(200).object()
		if got["allowed"] != tt.allowed || got["missing"] != tt.missing || got["available"] != 7.0 || got["balance"] != 7.0 {
			t.Errorf("%v: %v", tt.amount, got)
		}
	}
	s.send("POST", "/api/v1/credits/check", map[string]any{"amount": 1, "appId": "chat", "userId": "another"}, token).status(400).
		message("property userId should not exist")
}

func TestBackEndsRedeemWhatWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	giver, giving := s.member("ada@example.test")
	s.grant(giver, 10)
	s.send("POST", "/api/v1/gifts", map[string]any{"credits": 4, "type": "personalized", "targetEmail": "bob@example.test"}, giving).status(201)
	id, _ := s.member("bob@example.test")
	eve, _ := s.member("eve@example.test")
	const url = "/api/v1/internal/gifts/redeem-pending"
	pending := func(user string) float64 {
		return s.send("POST", url, map[string]any{"userId": user, "email": "Bob@example.test"}, asService).status(200).object()["redeemed"].(float64)
	}
	if n := pending(eve); n != 0 {
		t.Errorf("another's: %v", n)
	}
	if n := pending(id); n != 0 {
		t.Errorf("before the address is proven: %v", n)
	}
	s.exec(`UPDATE auth.users SET email_verified = true WHERE id = $1`, id)
	if n := pending(id) + pending(id); n != 1 {
		t.Errorf("redeemed %v", n)
	}
	if b := s.send("GET", "/api/v1/credits/balance/"+id, nil, asService).object()["balance"]; b != 4.0 {
		t.Errorf("balance %v", b)
	}
}
