package gift_test

import (
	"testing"

	"mana.how/edge/creditcore/gift"
)

// What is meant for an address is not given to whoever merely registered it.
func TestGiftForAnAddressWaitsUntilItIsVerified(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, impostor := s.user("ada", 100), s.user("ceo", 0)
	s.exec(`UPDATE auth.users SET email_verified = false WHERE id = 'ceo'`)
	made := s.give(ada, gift.Order{Credits: of(5), TargetEmail: "ceo@example.com", Message: "Only you"})
	open := s.give(ada, gift.Order{Credits: of(1)})

	if n := s.AutoRedeem(t.Context(), impostor.UserID, impostor.Email); n != 0 {
		t.Errorf("%d gifts were redeemed for an address nobody proved", n)
	}
	s.refused(impostor, gift.Claim{Code: string(made.Code)}, gift.Unverified)
	if info, err := s.Lookup(t.Context(), impostor, string(made.Code)); err != nil || info.Message != nil || info.CreatorName != "" {
		t.Errorf("the impostor reads the message: %+v, %v", info, err)
	}
	s.wantBalance(impostor, 0, 0, 0)
	s.refused(s.user("eve", 0), gift.Claim{Code: string(made.Code)}, gift.OtherPerson)
	s.take(impostor, gift.Claim{Code: string(open.Code)})

	s.exec(`UPDATE auth.users SET email_verified = true WHERE id = 'ceo'`)
	if n := s.AutoRedeem(t.Context(), impostor.UserID, impostor.Email); n != 1 {
		t.Errorf("%d gifts after the proof", n)
	}
	s.wantBalance(impostor, 6, 6, 0)
	s.wantStatus(made, gift.StatusDepleted)
}

// The address that counts is the account's own, whatever a token says.
func TestGiftForAnAddressTheCallerNoLongerHas(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	made := s.give(ada, gift.Order{Credits: of(5), TargetEmail: "bob@example.com"})
	s.exec(`UPDATE auth.users SET email = 'new@example.com' WHERE id = 'bob'`)
	s.refused(bob, gift.Claim{Code: string(made.Code)}, gift.OtherPerson)
}

func TestRedeemUnverified(t *testing.T) {
	t.Parallel()
	s := newStall(t, func(c *gift.Config) { c.RedeemUnverified = true })
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	s.exec(`UPDATE auth.users SET email_verified = false WHERE id = 'bob'`)
	s.give(ada, gift.Order{Credits: of(5), TargetEmail: "bob@example.com"})
	if n := s.AutoRedeem(t.Context(), bob.UserID, bob.Email); n != 1 {
		t.Errorf("%d gifts", n)
	}
	made := s.give(ada, gift.Order{Credits: of(5), TargetEmail: "bob@example.com"})
	s.take(bob, gift.Claim{Code: string(made.Code)})
}
