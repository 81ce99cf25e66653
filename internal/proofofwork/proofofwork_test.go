package proofofwork_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/proofofwork"
)

// clock stands still until it is moved.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func authority(key string) (proofofwork.Authority, *clock) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	return proofofwork.Authority{Key: []byte(key), Now: c.now}, c
}

func challenge(t testing.TB, a proofofwork.Authority) proofofwork.Challenge {
	t.Helper()
	c, err := a.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func solve(t testing.TB, c proofofwork.Challenge) string {
	t.Helper()
	payload, err := proofofwork.Solve(c)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// members are those of a solution.
func members(t testing.TB, payload string) map[string]any {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func payloadOf(t testing.TB, m map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func TestSolutions(t *testing.T) {
	t.Parallel()
	a, now := authority("a key of all edges")
	c := challenge(t, a)
	if c.Algorithm != "SHA-256" || c.MaxNumber != proofofwork.MaxNumber || len(c.Challenge) != 64 || len(c.Signature) != 64 || !strings.HasSuffix(c.Salt, "&") {
		t.Errorf("%+v", c)
	}
	payload := solve(t, c)
	first, err := a.Check(payload)
	if err != nil || !first.Expires.Equal(now.at.Add(proofofwork.TTL)) {
		t.Fatalf("%+v, %v", first, err)
	}
	// However it is written, it is the same one.
	m := members(t, payload)
	m["took"] = 123
	for name, same := range map[string]string{
		"with more members": payloadOf(t, m), "without padding": strings.TrimRight(payload, "="),
		"for addresses": strings.NewReplacer("+", "-", "/", "_").Replace(payload),
	} {
		if again, err := a.Check(same); err != nil || again != first {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
	}
	another, err := a.Check(solve(t, challenge(t, a)))
	if err != nil || another.Digest == first.Digest {
		t.Errorf("two challenges are one: %v", err)
	}
	now.at = now.at.Add(proofofwork.TTL - time.Second)
	if _, err := a.Check(payload); err != nil {
		t.Errorf("in the last second: %v", err)
	}
	now.at = now.at.Add(time.Second)
	if _, err := a.Check(payload); !errors.Is(err, proofofwork.ErrInvalid) {
		t.Errorf("too late: %v", err)
	}
}

func TestForgedSolutions(t *testing.T) {
	t.Parallel()
	a, now := authority("a key of all edges")
	stranger, _ := authority("another key")
	good := solve(t, challenge(t, a))
	other := members(t, solve(t, challenge(t, a)))
	change := func(name string, value any) string {
		m := members(t, good)
		m[name] = value
		return payloadOf(t, m)
	}
	number := fmt.Sprint(members(t, good)["number"])
	salt := members(t, good)["salt"].(string)
	forged := map[string]string{
		"empty": "", "no base64": "!", "no JSON": base64.StdEncoding.EncodeToString([]byte("x")), "null": base64.StdEncoding.EncodeToString([]byte("null")),
		"of another key": solve(t, challenge(t, stranger)), "huge": strings.Repeat("A", 1<<20),
		"another algorithm": change("algorithm", "SHA-512"), "SHA-1": change("algorithm", "SHA-1"), "none": change("algorithm", "none"), "no algorithm": change("algorithm", ""),
		"another number": change("number", json.Number("100000")), "a negative number": change("number", -1), "a huge number": change("number", json.Number("9223372036854775807")),
		"an endless number": change("number", json.Number(strings.Repeat("9", 200))), "a float": change("number", json.Number(number+".0")),
		"an exponent": change("number", json.Number(number+"e0")), "a text": change("number", number), "no number": change("number", nil), "a list": change("number", []int{1}),
		"another salt": change("salt", other["salt"]), "another challenge": change("challenge", other["challenge"]), "another signature": change("signature", other["signature"]),
		"a signature in capitals": change("signature", strings.ToUpper(members(t, good)["signature"].(string))), "no signature": change("signature", ""),
		"a later end": change("salt", strings.Replace(salt, "expires=1", "expires=2", 1)), "no end": change("salt", salt[:24]), "two ends": change("salt", salt+"expires=9999999999&"),
	}
	// Digits of the number, moved into the end of the challenge, leave the hash as
	// it is where nothing delimits the two.
	for i := 1; i <= len(number); i++ {
		m := members(t, good)
		m["salt"] = strings.TrimSuffix(salt, "&") + number[:i]
		m["number"] = json.Number("0" + number[i:])
		if i < len(number) {
			m["number"] = json.Number(number[i:])
		}
		if raw, err := json.Marshal(m); err == nil {
			forged[fmt.Sprint("spliced by ", i)] = base64.StdEncoding.EncodeToString(raw)
		}
		m["salt"] = salt + number[:i]
		if raw, err := json.Marshal(m); err == nil {
			forged[fmt.Sprint("spliced behind by ", i)] = base64.StdEncoding.EncodeToString(raw)
		}
	}
	for name, payload := range forged {
		if _, err := a.Check(payload); !errors.Is(err, proofofwork.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	now.at = now.at.Add(24 * time.Hour)
	for name, payload := range forged {
		if _, err := a.Check(payload); !errors.Is(err, proofofwork.ErrInvalid) {
			t.Errorf("%s, a day later: %v", name, err)
		}
	}
	if _, err := proofofwork.Solve(proofofwork.Challenge{Algorithm: "SHA-256", MaxNumber: 1 << 40}); !errors.Is(err, proofofwork.ErrInvalid) {
		t.Errorf("an endless challenge: %v", err)
	}
}

func TestTickets(t *testing.T) {
	t.Parallel()
	a, now := authority("a key of all edges")
	stranger, _ := authority("another key")
	const network = "192.0.2.1"
	ticket := a.Ticket(network)
	if _, early, err := a.CheckTicket(ticket, network); !early || !errors.Is(err, proofofwork.ErrInvalid) {
		t.Errorf("at once: %v, %v", early, err)
	}
	given := now.at
	now.at = given.Add(proofofwork.Wait)
	taken, early, err := a.CheckTicket(ticket, network)
	if err != nil || early || !taken.Expires.Equal(given.Add(proofofwork.TTL)) {
		t.Errorf("after the wait: %+v, %v, %v", taken, early, err)
	}
	if again, _, _ := a.CheckTicket(ticket, network); again != taken {
		t.Error("a ticket has two names")
	}
	_, rest, _ := strings.Cut(ticket, ".")
	for name, forged := range map[string]string{
		"empty": "", "a dot": ".", "of another key": stranger.Ticket(network), "of another network": a.Ticket("192.0.2.2"),
		"backdated": "1." + rest, "cut": ticket[:len(ticket)-1], "longer": ticket + "0", "in capitals": strings.ToUpper(ticket), "huge": strings.Repeat("1.", 1<<20),
	} {
		if _, early, err := a.CheckTicket(forged, network); early || !errors.Is(err, proofofwork.ErrInvalid) {
			t.Errorf("%s: %v, %v", name, early, err)
		}
	}
	// A ticket is no solution, and a solution no ticket.
	if _, err := a.Check(ticket); err == nil {
		t.Error("a ticket solves a challenge")
	}
	now.at = given.Add(proofofwork.TTL)
	if _, _, err := a.CheckTicket(ticket, network); !errors.Is(err, proofofwork.ErrInvalid) {
		t.Errorf("too late: %v", err)
	}
}

func TestPressure(t *testing.T) {
	t.Parallel()
	var p proofofwork.Pressure
	at := time.Unix(1_800_000_000, 0).Truncate(time.Minute)
	minute := func(requests int) (under bool) {
		at = at.Add(time.Minute)
		last := at
		for i := range requests {
			last = at.Add(time.Duration(i) * time.Millisecond)
			under = p.Count(last)
		}
		if under != p.Now(last) {
			t.Errorf("Count says %v, Now says %v", under, !under)
		}
		return under
	}
	for range 10 {
		if minute(proofofwork.PressureFrom) {
			t.Fatal("as many as are allowed are pressure")
		}
	}
	if !minute(proofofwork.PressureFrom + 1) {
		t.Fatal("one more is no pressure")
	}
	for range 10 { // half as many keep it up
		if !minute(proofofwork.PressureStays + 1) {
			t.Fatal("it ends while many come")
		}
	}
	for range 4 {
		if !minute(proofofwork.PressureStays) {
			t.Fatal("it ends before its time")
		}
	}
	minute(1)
	if minute(proofofwork.PressureStays + 1) {
		t.Error("it does not end, or begins again with few")
	}
}

func FuzzCheck(f *testing.F) {
	a, _ := authority("a key of all edges")
	f.Add(solve(f, challenge(f, a)))
	stranger, _ := authority("another key")
	f.Fuzz(func(t *testing.T, payload string) {
		if _, err := stranger.Check(payload); err == nil {
			t.Errorf("%q is a solution under a key that made no challenge", payload)
		}
	})
}
