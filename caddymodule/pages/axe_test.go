package pages_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/npmtest"
)

// axeRules are those of WCAG 2.2, levels A and AA, and of good practice.
const axeRules = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
	.then(found => JSON.stringify(found.violations.map(v => v.id + ": " + v.help + " " + v.nodes.map(n => n.html).join(" ")))) `

// axe-core finds nothing on any page, light on a phone or dark on a desk.
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(npmtest.Dir(t), "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox)
	browser, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(browser)
	defer cancel()
	broken, err := axe(ctx, `<!doctype html><title>x</title><body style="background:#fff"><img src="x"><input><p style="color:#eee">pale</p>`, 390, "light", string(script))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"image-alt", "label", "color-contrast", "html-has-lang"} {
		if !slices.ContainsFunc(broken, func(v string) bool { return strings.HasPrefix(v, want+":") }) {
			t.Fatalf("%s is not found in a broken page, but %q", want, broken)
		}
	}
	p, brand := branded(t)
	logo := brand.Shown()
	picture := "data:" + logo.Type + ";base64," + base64.StdEncoding.EncodeToString(logo.Content)
	all := gallery()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, look := range []struct {
			language pages.Language
			width    int64
			scheme   string
		}{{pages.German, 390, "light"}, {pages.English, 1280, "dark"}} {
			out, _, err := p.Show(pages.Visit{Language: look.language, Query: map[string][]string{}}, all[name])
			if err != nil {
				t.Fatal(err)
			}
			found, err := axe(ctx, strings.ReplaceAll(string(out), logo.Path(), picture), look.width, look.scheme, string(script))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, violation := range found {
				t.Errorf("%s, %s, %d pixels, %s: %s", name, look.language, look.width, look.scheme, violation)
			}
		}
	}
}

// axe shows a page and returns what it violates.
func axe(ctx context.Context, html string, width int64, scheme, script string) (violations []string, err error) {
	if err := show(ctx, html, width, scheme); err != nil {
		return nil, err
	}
	const open = `for (const d of document.querySelectorAll("details")) d.open = true; `
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](open+script+"; null")); err != nil {
		return nil, fmt.Errorf("load axe: %w", err)
	}
	list, err := chromedp.Run(ctx, chromedp.Evaluate[string](axeRules, chromedp.EvalAwaitPromise))
	if err != nil {
		return nil, fmt.Errorf("run axe: %w", err)
	}
	return violations, json.Unmarshal([]byte(list), &violations)
}
