package coupon_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/sealed"
	"mana.how/edge/internal/keyset"
	"mana.how/edge/internal/pgtest"
)

func TestTerms(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	now := s.now()
	at := func(d time.Duration) *time.Time {
		moment := now.Add(d)
		return &moment
	}
	s.make("TAKEN-CODE")
	for field, bad := range map[string][]func(*coupon.Terms){
		"name": {
			func(terms *coupon.Terms) { terms.Name = " " }, func(terms *coupon.Terms) { terms.Name = strings.Repeat("ä", 101) },
			func(terms *coupon.Terms) { terms.Name = "a\nb" }, func(terms *coupon.Terms) { terms.Name = "\xff" },
		},
		"credits": {
			func(terms *coupon.Terms) { terms.Credits = 0 }, func(terms *coupon.Terms) { terms.Credits = -1 },
			func(terms *coupon.Terms) { terms.Credits = creditcore.Credits(100_000) + 1 },
		},
		"endsAt": {
			func(terms *coupon.Terms) { terms.EndsAt = at(-time.Hour) },
			func(terms *coupon.Terms) { terms.StartsAt, terms.EndsAt = *at(time.Hour), at(time.Hour) },
		},
		"creditsLife": {func(terms *coupon.Terms) { terms.CreditsLife = -time.Hour }, func(terms *coupon.Terms) { terms.CreditsLife = time.Millisecond }},
		"creditsExpireAt": {
			func(terms *coupon.Terms) { terms.CreditsExpireAt = at(-time.Hour) },
			func(terms *coupon.Terms) { terms.EndsAt, terms.CreditsExpireAt = at(2*time.Hour), at(time.Hour) },
		},
		"maxRedemptions": {func(terms *coupon.Terms) { terms.MaxRedemptions = -1 }},
		"domainLimit":    {func(terms *coupon.Terms) { terms.DomainLimit = -1 }},
		"newWithin":      {func(terms *coupon.Terms) { terms.NewWithin = -time.Hour }},
		"domains": {
			func(terms *coupon.Terms) { terms.Domains = make([]string, 101) },
			func(terms *coupon.Terms) { terms.Domains = []string{"com"} }, func(terms *coupon.Terms) { terms.Domains = []string{"a b.com"} },
			func(terms *coupon.Terms) { terms.Domains = []string{"a..com"} }, func(terms *coupon.Terms) { terms.Domains = []string{"ada@a.com"} },
		},
		"code": {nil},
	} {
		for i, change := range bad {
			terms, code := coupon.Terms{Name: "Spring", Credits: creditcore.Credits(1)}, ""
			if change == nil {
				code = "seven77"
			} else {
				change(&terms)
			}
			_, _, err := s.Create(t.Context(), code, terms, nil)
			var fault *coupon.TermError
			if !errors.As(err, &fault) || fault.Field != field {
				t.Errorf("%s, %d: %v", field, i, err)
			}
		}
	}
	if _, _, err := s.Create(t.Context(), "taken code", coupon.Terms{Name: "Spring", Credits: 1}, nil); !errors.Is(err, coupon.ErrCodeTaken) {
		t.Errorf("a code twice: %v", err)
	}
	if _, err := s.End(t.Context(), "none", nil); !errors.Is(err, coupon.ErrNotFound) {
		t.Errorf("end none: %v", err)
	}
}

// A coupon that cannot be recorded is not there, and does not end.
func TestUnrecordedCoupon(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	broken := errors.New("broken")
	record := func(context.Context, pgx.Tx, map[string]any) error { return broken }
	terms := coupon.Terms{Name: "Spring", Credits: creditcore.Credits(10)}
	if _, code, err := s.Create(t.Context(), "SPRING2027", terms, record); !errors.Is(err, broken) || code != "" {
		t.Errorf("%q, %v", code, err)
	}
	made, code := s.make("SPRING2027")
	if _, err := s.End(t.Context(), made.ID, record); !errors.Is(err, broken) {
		t.Error(err)
	}
	s.take(s.user("ada", "ada@mail.test"), code)
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	for i := range 5 {
		s.make("", func(terms *coupon.Terms) {
			terms.Name, terms.Domains, terms.MaxRedemptions = fmt.Sprint(i), []string{"b.test", "A.test", "b.test"}, 7
		})
		s.pass(time.Second)
	}
	var names []string
	var before keyset.Cursor
	for {
		list, next, err := s.Page(t.Context(), before, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			names = append(names, c.Name)
			if !slices.Equal(c.Domains, []string{"a.test", "b.test"}) || c.MaxRedemptions != 7 || c.EndsAt != nil || c.CreditsLife != 0 {
				t.Errorf("%+v", c)
			}
		}
		if next.IsZero() {
			break
		}
		before = next
	}
	if got := strings.Join(names, ""); got != "43210" {
		t.Errorf("listed %s", got)
	}
}

// Neither a code nor an address can be read in the tables, nor looked for with what
// is in them.
func TestTablesHoldNoCodeAndNoAddress(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	_, code := s.make("SPRING2027")
	s.take(s.user("ada", "ada@firm.test"), code)
	for _, table := range []string{"credits.coupons", "credits.coupon_redemptions", "credits.coupon_domains", "credits.trials", "credits.secrets"} {
		rows := strings.ToLower(s.text(`SELECT string_agg(r::text, ' ') FROM ` + table + ` AS r`))
		for _, secret := range []string{"spring2027", "ada@", "firm.test"} {
			if strings.Contains(rows, secret) || strings.Contains(rows, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s holds %s: %s", table, secret, rows)
			}
		}
	}
	for _, guess := range []string{"SPRING2027", "spring2027"} {
		if s.text(`SELECT count(*) FROM credits.coupons WHERE code_hash = sha256($1::bytea)`, guess) != "0" {
			t.Error("a code is hashed without a key")
		}
	}
}

// Coupons and persons are known again under another encryption key, and nothing is
// made of a secret that cannot be opened.
func TestEncryptionKeyRotates(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	ada, bob := s.user("ada", "ada@mail.test"), s.user("bob", "bob@mail.test")
	_, code := s.make("")
	s.take(ada, code)

	rotated := openCounter(t, s.db, sealer("second"))
	rotated.refused(ada, code, coupon.Used)
	rotated.take(bob, code)
	if sealed := s.text(`SELECT left(sealed, 7) FROM credits.secrets`); sealed != "second." {
		t.Errorf("sealed by %s", sealed)
	}
	for name, seal := range map[string]sealed.Sealer{"stranger": sealer("stranger"), "nobody": nil} {
		other := openCounter(t, s.db, seal)
		if _, err := other.Redeem(t.Context(), coupon.Claim{UserID: bob, Code: code}); !errors.Is(err, coupon.ErrNoSecret) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := other.Create(t.Context(), "", coupon.Terms{Name: "x", Credits: 1}, nil); !errors.Is(err, coupon.ErrNoSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	edges := make([]*counter, 8)
	for i := range edges {
		edges[i] = openCounter(t, s.db, sealer("first"))
	}
	codes := make([]string, len(edges))
	concurrently(len(edges), func(i int) { _, codes[i] = edges[i].make("") })
	ada := s.user("ada", "ada@mail.test")
	for _, code := range codes {
		s.take(ada, code)
	}
}

func TestAuditFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]string{
		"a coupon counts its redemptions":                                   `UPDATE credits.coupons SET redeemed = 2`,
		"what a coupon, a trial or a guest gave is promotional":             `UPDATE credits.lots SET source = 'purchase'`,
		"domains have no more than was redeemed":                            `UPDATE credits.coupon_domains SET redeemed = 2`,
		"promotional credits come from a coupon, a trial, a guest or a day": `UPDATE credits.lots SET source = 'promotion' WHERE user_id = 'bob'`,
		"what a coupon, a trial or a guest gave has its ledger row": `INSERT INTO credits.coupon_redemptions (id, coupon_id, user_id, person, amount, transaction_id)
			SELECT 'x', r.coupon_id, 'bob', sha256('bob'), 1, t.id FROM credits.coupon_redemptions AS r, credits.transactions AS t WHERE t.user_id = 'bob'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openCounter(t, pgtest.New(t), sealer("first"))
			_, code := s.make("")
			s.take(s.user("ada", "ada@firm.test"), code)
			bob := s.user("bob", "bob@mail.test")
			if _, err := s.ledger.Grant(t.Context(), creditcore.Grant{UserID: bob, Amount: 5, Type: creditcore.Gift, Source: creditcore.SourceAdmin}); err != nil {
				t.Fatal(err)
			}
			s.sound()
			s.exec(tamper)
			found, err := s.Audit(t.Context())
			if err != nil || !slices.ContainsFunc(found, func(b creditcore.Breach) bool { return b.Invariant == name }) {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
}

// The free credits of the day are promotional, and of no coupon.
func TestAuditKnowsCreditsOfTheDay(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	ada := s.user("ada", "ada@mail.test")
	ledger := creditcore.New(creditcore.Config{Daily: creditcore.Credits(20)}, creditcore.Deps{Pool: s.db.Pool})
	if b, err := ledger.BalanceOf(t.Context(), ada); err != nil || b.Available != creditcore.Credits(20) {
		t.Fatalf("%+v, %v", b, err)
	}
}

func FuzzParseCode(f *testing.F) {
	for _, seed := range []string{"", "SPRING2027", "spring-20 27", "-", "ſſſſſſſſ", "ABCDEFGH\x00", "äbcdefgh"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, ok := coupon.ParseCode(text)
		if !ok {
			if code != "" {
				t.Errorf("%q is no code, but %q", text, code)
			}
			return
		}
		bare := strings.NewReplacer("-", "", " ", "").Replace(text)
		if len(code) < 8 || len(code) > 40 || !strings.EqualFold(string(code), bare) {
			t.Errorf("%q is the code %q", text, code)
		}
		if again, ok := coupon.ParseCode(string(code)); !ok || again != code {
			t.Errorf("%q is not its own code", code)
		}
	})
}
