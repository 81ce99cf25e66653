package billing_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"mana.how/edge/creditcore/billing"
)

// nothing is an event that no code acts on.
const nothing = `{"id":"evt_1","object":"event","type":"product.created","livemode":false,"created":1700000000,"data":{"object":{"id":"prod_1"}}}`

func sign(at time.Time, payload, secret string) string {
	return fmt.Sprintf("t=%d,v1=%x", at.Unix(), webhook.ComputeSignature(at, []byte(payload), secret))
}

// deaf is a service that reaches neither a database nor Stripe.
func deaf(now time.Time, secrets ...string) *billing.Service {
	return billing.New(billing.Config{SecretKey: "sk_test_1", WebhookSecrets: secrets, APIURL: "http://127.0.0.1:1"},
		billing.Deps{Now: func() time.Time { return now }})
}

func TestSignature(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	s := deaf(now, "whsec_new", "whsec_old")
	good := sign(now, nothing, "whsec_new")
	hash := strings.TrimPrefix(good, fmt.Sprintf("t=%d,v1=", now.Unix()))
	for name, c := range map[string]struct {
		payload, header string
		want            error
	}{
		"good":                   {nothing, good, nil},
		"the secret before":      {nothing, sign(now, nothing, "whsec_old"), nil},
		"both":                   {nothing, good + "," + strings.TrimPrefix(sign(now, nothing, "whsec_old"), "t=1700000000,"), nil},
		"after another scheme":   {nothing, strings.Replace(good, ",v1", ",v0=00,v1", 1), nil},
		"after one that differs": {nothing, strings.Replace(good, ",v1", ",v1=00,v1=zz,v1", 1), nil},
		"300 s old":              {nothing, sign(now.Add(-300*time.Second), nothing, "whsec_new"), nil},
		"300 s ahead":            {nothing, sign(now.Add(300*time.Second), nothing, "whsec_new"), nil},

		"301 s old":           {nothing, sign(now.Add(-301*time.Second), nothing, "whsec_new"), billing.ErrSignature},
		"301 s ahead":         {nothing, sign(now.Add(301*time.Second), nothing, "whsec_new"), billing.ErrSignature},
		"another secret":      {nothing, sign(now, nothing, "whsec_other"), billing.ErrSignature},
		"the empty secret":    {nothing, sign(now, nothing, ""), billing.ErrSignature},
		"one byte altered":    {strings.Replace(nothing, "evt_1", "evt_2", 1), good, billing.ErrSignature},
		"one blank more":      {nothing + " ", good, billing.ErrSignature},
		"time altered":        {nothing, strings.Replace(good, "t=1700000000", "t=1700000001", 1), billing.ErrSignature},
		"two times":           {nothing, good + ",t=1700000001", billing.ErrSignature},
		"no time":             {nothing, "v1=" + hash, billing.ErrSignature},
		"no signature":        {nothing, "t=1700000000", billing.ErrSignature},
		"another scheme only": {nothing, strings.Replace(good, "v1", "v0", 1), billing.ErrSignature},
		"half a signature":    {nothing, good[:len(good)-2], billing.ErrSignature},
		"empty":               {nothing, "", billing.ErrSignature},
		"huge time":           {nothing, strings.Replace(good, "t=1700000000", "t=99999999999999999999", 1), billing.ErrSignature},
		"negative time":       {nothing, strings.Replace(good, "t=1700000000", "t=-5", 1), billing.ErrSignature},
	} {
		if err := s.Webhook(t.Context(), []byte(c.payload), c.header); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestSignedNonsense(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	s := deaf(now, "whsec_1")
	for _, payload := range []string{
		"", "null", "[]", "{}", "{", `{"object":"event"}`, `{"object":"v2.core.event","id":"evt_1","type":"a","data":{"object":{}}}`,
		`{"object":"event","id":"evt_1","type":"a"}`, `{"object":"event","id":"","type":"a","data":{"object":{}}}`,
		`{"object":"event","id":"evt_\u0000","type":"a","data":{"object":{}}}`, `{"object":"event","id":"evt_1","type":"a","data":{}}`,
	} {
		if err := s.Webhook(t.Context(), []byte(payload), sign(now, payload, "whsec_1")); !errors.Is(err, billing.ErrSignature) {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

func TestLivemode(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	live := strings.Replace(nothing, `"livemode":false`, `"livemode":true`, 1)
	for key, want := range map[string]map[string]error{
		"sk_test_1": {nothing: nil, live: billing.ErrLivemode},
		"rk_test_1": {nothing: nil, live: billing.ErrLivemode},
		"sk_live_1": {nothing: billing.ErrLivemode, live: nil},
		"rk_live_1": {nothing: billing.ErrLivemode, live: nil},
	} {
		s := billing.New(billing.Config{SecretKey: key, WebhookSecrets: []string{"whsec_1"}},
			billing.Deps{Now: func() time.Time { return now }})
		for payload, want := range want {
			if err := s.Webhook(t.Context(), []byte(payload), sign(now, payload, "whsec_1")); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", key, err, want)
			}
		}
	}
}

// Without a key or without a secret nothing is Stripe's.
func TestUnconfiguredWebhook(t *testing.T) {
	t.Parallel()
	for _, config := range []billing.Config{{}, {SecretKey: "sk_test_1"}, {WebhookSecrets: []string{"whsec_1"}}, {SecretKey: "sk_test_1", WebhookSecrets: []string{""}}} {
		s := billing.New(config, billing.Deps{})
		for _, secret := range []string{"", "whsec_1"} {
			if err := s.Webhook(t.Context(), []byte(nothing), sign(time.Now(), nothing, secret)); !errors.Is(err, billing.ErrSignature) {
				t.Errorf("%d secrets: %v", len(config.WebhookSecrets), err)
			}
		}
	}
}

// FuzzWebhook throws bodies and headers at the door, signed and unsigned: it
// must neither panic nor let through what is not signed.
func FuzzWebhook(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	f.Add([]byte(nothing), sign(now, nothing, "whsec_1"))
	f.Add([]byte(`{"id":"evt_1","object":"event","type":"charge.refunded","data":{"object":{"payment_intent":{"id":[]}}}}`), "t=1,v1=00")
	f.Add([]byte("\x00"), "t=1700000000,v1=,v1==,t")
	s := deaf(now, "whsec_1")
	f.Fuzz(func(t *testing.T, payload []byte, header string) {
		if err := s.Webhook(t.Context(), payload, header); err == nil && header != sign(now, string(payload), "whsec_1") &&
			!strings.Contains(strings.ToLower(header), strings.TrimPrefix(sign(now, string(payload), "whsec_1"), "t=1700000000,")) {
			t.Errorf("let through %q under %q", payload, header)
		}
	})
}
