package pages_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/proofofwork"
)

// A browser solves what a page asks for, under the policy of pages, and sends the
// form when it is solved, however early its button was pressed.
func TestBrowserProvesWork(t *testing.T) {
	t.Parallel()
	p, err := pages.New()
	if err != nil {
		t.Fatal(err)
	}
	authority := proofofwork.Authority{Key: []byte("a key of tests"), Now: time.Now}
	var sent atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			sent.Add(1)
			_, err := authority.Check(r.FormValue("altcha"))
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<p id="verdict">%v for %s</p>`, err == nil, r.FormValue("email")) // #nosec G705 -- of this test
			return
		}
		challenge, err := authority.New()
		if err != nil {
			t.Error(err)
		}
		html, nonce, err := p.Show(pages.Visit{Language: pages.English, Work: &pages.Work{Challenge: challenge, Ticket: authority.Ticket(""), Wait: proofofwork.Wait}}, pages.Forgot{})
		if err != nil {
			t.Error(err)
		}
		answer.SecurePage(w.Header(), nonce, "'self' data:", "'self'")
		answer.AllowScript(w.Header(), nonce)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html)
	}))
	t.Cleanup(server.Close)

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.DisableGPU, chromedp.Flag("disable-component-update", true))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox does not run as root
	}
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancelAllocator)
	browser, cancel := chromedp.NewContext(allocator, chromedp.WithLogf(t.Logf))
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	ctx, cancel := context.WithTimeout(browser, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx,
		chromedp.Navigate(server.URL+"/forgot-password"),
		chromedp.SendKeys(chromedp.CSS(`input[name=email]`), "ada@example.test"),
		chromedp.Click(chromedp.CSS(`#guarded button[type=submit]`)),
	); err != nil {
		t.Fatal(err)
	}
	verdict, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("#verdict")))
	if err != nil || verdict != "true for ada@example.test" || sent.Load() != 1 {
		t.Errorf("%q after %d forms, %v", verdict, sent.Load(), err)
	}
}
