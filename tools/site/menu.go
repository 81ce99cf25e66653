package main

// menu is the order of the pages, by what somebody wants to do.
var menu = []struct {
	Title string
	Paths []string // of the Markdown, below the repository
}{
	{"Start", []string{"README.md", "docs/operations.md", "docs/configuration.md", "docs/migration.md"}},
	{"Directives", []string{
		"docs/directives/mana_auth.md", "docs/directives/mana_credits.md", "docs/directives/mana_rate_limit.md",
		"docs/directives/mana_api.md", "docs/directives/guard.md",
	}},
	{"Build an app", []string{"docs/start.md", "docs/apps.md", "examples/README.md", "docs/proxied-apps.md", "docs/errors.md", "docs/webhooks.md"}},
	{"Stacks", []string{
		"docs/stacks/express.md", "docs/stacks/fastify.md", "docs/stacks/next.md", "docs/stacks/sveltekit.md", "docs/stacks/go.md",
		"docs/stacks/python.md", "docs/stacks/fastapi.md", "docs/stacks/laravel.md", "docs/stacks/static.md", "docs/stacks/mobile.md", "docs/stacks/cli.md",
	}},
	{"People", []string{"docs/account.md", "docs/organizations.md", "docs/keys.md", "docs/providers.md", "docs/openid.md", "docs/pages.md", "docs/desk.md"}},
	{"Credits", []string{"docs/credits.md"}},
	{"Trust", []string{"docs/security.md", "docs/testing.md", "docs/scale.md", "docs/metrics.md", "bench/RESULTS.md", "CHANGELOG.md"}},
}
