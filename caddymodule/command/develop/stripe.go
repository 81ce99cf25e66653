package develop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mana.how/edge/internal/stripetest"
)

// plans are what can be subscribed to, with prices in euro cents.
var plans = []struct {
	name            string
	monthly, yearly int64
}{
	{"Plus", 499, 4999}, {"Pro", 1199, 11999}, {"Ultra", 2499, 24999},
}

// tellEvery is how often the edge is told of what happened at Stripe.
const tellEvery = 250 * time.Millisecond

// payments are a Stripe account in this process. Money is a word in it.
type payments struct {
	stripe  *stripetest.Server
	webhook string // of the edge
	file    string // keeps what happened for the next run
	closers []func()

	mu    sync.Mutex
	told  int    // events that the edge has taken
	saved int    // events that the file has
	fault string // of the last event that the edge did not take
}

// refusal is what Stripe could not carry out.
type refusal string

func (r refusal) Error() string { return string(r) }

// Helper, Fatalf and Cleanup implement [stripetest.Reporter].
func (p *payments) Helper()                           {}
func (p *payments) Cleanup(f func())                  { p.closers = append(p.closers, f) }
func (p *payments) Fatalf(format string, args ...any) { panic(refusal(fmt.Sprintf(format, args...))) }

// openPayments begins with what the directory has.
func openPayments(dir string, at ports) (*payments, error) {
	p := &payments{webhook: local(at.auth) + "/api/v1/webhooks/stripe", file: filepath.Join(dir, "stripe.json")}
	if err := p.try(func() { p.stripe = stripetest.New(p) }); err != nil {
		return nil, err
	}
	p.stripe.Live(local(at.panel) + "/stripe")
	saved, err := os.ReadFile(p.file)
	switch {
	case err == nil:
		err = p.stripe.Load(saved)
		p.saved = len(p.stripe.Events())
		p.told = p.saved // or they will be asked for
	case errors.Is(err, os.ErrNotExist):
		err = p.try(func() {
			for _, plan := range plans {
				p.stripe.AddPrice(priceOf(plan.name, "month"), plan.monthly, "month")
				p.stripe.AddPrice(priceOf(plan.name, "year"), plan.yearly, "year")
			}
		})
	}
	return p, err
}

func priceOf(plan, interval string) string { return "price_" + plan + "_" + interval }

func (p *payments) close() {
	for _, f := range p.closers {
		f()
	}
}

// config is the block of the Caddyfile that leads to it.
func (p *payments) config() string {
	text := fmt.Sprintf("stripe {\n\tsecret_key %s\n\twebhook_secret %s\n\tapi_url %s\n", p.stripe.Key, p.stripe.WebhookSecret, p.stripe.URL)
	for _, plan := range plans {
		text += fmt.Sprintf("\tplan %s {\n\t\tmonthly %s\n\t\tyearly %s\n\t}\n", plan.name, priceOf(plan.name, "month"), priceOf(plan.name, "year"))
	}
	return text + "}\n"
}

// try is what happens at Stripe; its error says what could not.
func (p *payments) try(act func()) (err error) {
	defer func() {
		if raised := recover(); raised != nil {
			refused, ok := raised.(refusal)
			if !ok {
				panic(raised)
			}
			err = refused
		}
	}()
	act()
	return nil
}

// do lets something happen, and tells the edge of it.
func (p *payments) do(ctx context.Context, act func()) error {
	if err := p.try(act); err != nil {
		return err
	}
	return p.tell(ctx)
}

// run tells the edge of what its own calls caused, until ctx is over.
func (p *payments) run(ctx context.Context) {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = p.tell(ctx) // is tried again
		}
	}
}

// tell sends the events that the edge has not taken, in order.
func (p *payments) tell(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.stripe.Events()
	for _, e := range events[p.told:] {
		if err := p.send(ctx, e); err != nil {
			p.fault = fmt.Sprintf("%s %s: %v", e.Type, e.ID, err)
			return errors.New(p.fault)
		}
		p.told++
	}
	p.fault = ""
	if p.saved == len(events) {
		return nil
	}
	state, err := p.stripe.Save()
	if err == nil {
		err = os.WriteFile(p.file+".new", state, 0o600)
	}
	if err == nil {
		err = os.Rename(p.file+".new", p.file)
	}
	if err == nil {
		p.saved = len(events)
	}
	return err
}

func (p *payments) send(ctx context.Context, e stripetest.Event) error {
	body, signature := p.stripe.Payload(e)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Stripe-Signature": {signature}}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("the edge answers %s: %s", resp.Status, said)
	}
	return nil
}
