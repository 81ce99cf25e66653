package pages_test

import (
	"time"

	"mana.how/edge/caddymodule/pages"
)

// deskView has everything that a page of the desk can show, with a text in every
// place that others write.
func deskView(text string) pages.Desk {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	hours, values, written := make([]time.Time, 24), make([]int64, 24), make([]string, 24)
	for i := range hours {
		hours[i], values[i], written[i] = at.Add(time.Duration(i)*time.Hour), int64(i*i%97), "1.5"
	}
	chart := pages.NewChart(hours, values, written)
	row := []pages.DeskCell{
		{Text: text, Link: "/admin/users/1"}, {Text: text}, {Word: "admin", Tone: "plain"}, {Word: "active", Tone: "good"}, {At: at}, {Credits: "-1234.5"},
		{Cents: 499}, {Text: text, Code: true}, {Word: text}, {Form: &pages.DeskAction{Name: "revokeKey", Item: text, Danger: true}},
		{Parts: []pages.DeskFact{{Label: "balance", Value: pages.DeskCell{Credits: "9.5"}}, {Label: "key", Value: pages.DeskCell{Text: text, Code: true}}, {Label: "credits", Value: pages.DeskCell{Text: text, Link: "/admin/alerts"}}}},
	}
	return pages.Desk{
		Section: "users", Heading: "user", About: text, At: "/admin/users/1", Up: "/admin/users", Recent: true, Error: text, Done: "desk-role",
		Notes:  []string{"search"},
		Faults: []string{text}, Draft: &pages.DeskAction{Name: "rehearsePrices", Plain: true, Fields: []pages.DeskField{{Name: "table", Kind: "table", Value: text}}},
		Search: []pages.DeskField{{Name: "q", Kind: "search", Value: text}, {Name: "status", Kind: "select", Value: text, Options: []string{"", "pending", text}}, {Name: "from", Kind: "date"}},
		Links:  []pages.DeskCell{{Word: "ledger", Link: "/admin/ledger/1"}},
		Facts:  []pages.DeskFact{{Label: "id", Value: pages.DeskCell{Text: text, Code: true}}, {Label: "balance", Value: pages.DeskCell{Credits: "12.5"}}, {Label: "created"}},
		Charts: []pages.DeskChart{{Title: "signIns", Total: "1234", Chart: chart}, {Title: "refusals", Total: "5", Chart: chart}, {Title: "creditsUsed", Total: "1234.567", Chart: chart},
			{Title: "answersP99", Total: "12.5", Chart: chart}, {Title: "hashWaitP99", Total: "0", Chart: pages.NewChart(hours, make([]int64, len(hours)), written)}},
		Tables: []pages.DeskTable{
			{Title: "events", Columns: []string{"address", "name", "role", "state", "created", "amount", "price", "detail", "what", "", "numbers"}, Rows: [][]pages.DeskCell{row, row}, Newest: "/admin/users", Older: "/admin/users?before=1.a"},
			{Title: "sessions", Columns: []string{"device"}},
		},
		Actions: []pages.DeskAction{
			{Name: "grant", Key: text, Fields: []pages.DeskField{{Name: "amount", Kind: "text", Required: true, Max: 32}, {Name: "expires", Kind: "date"}}},
			{Name: "role", Fields: []pages.DeskField{{Name: "role", Kind: "select", Value: "user", Options: []string{"user", "support", "admin", "service"}}}},
			{Name: "publishPrices", Fields: []pages.DeskField{{Name: "table", Kind: "hidden", Value: text}}},
			{Name: "erase", Danger: true, Fields: []pages.DeskField{{Name: "confirm", Kind: "text"}}},
		},
	}
}

// deskGallery is the desk as people see it.
func deskGallery() map[string]pages.View {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	overview := deskView("")
	overview.Section, overview.Heading, overview.About, overview.Up, overview.Error, overview.Done = "overview", "overview", "", "", "", ""
	overview.Search, overview.Notes, overview.Actions, overview.Draft, overview.Faults = nil, nil, nil, nil, nil
	overview.Links = []pages.DeskCell{{Word: "search", Link: "/admin/search"}}
	overview.Facts = []pages.DeskFact{
		{Label: "waiting", Value: pages.DeskCell{Text: "3", Link: "/admin/outbox"}}, {Label: "dead", Value: pages.DeskCell{Text: "0", Link: "/admin/outbox"}},
		{Label: "alertsOfTheWeek", Value: pages.DeskCell{Parts: []pages.DeskFact{
			{Label: "alert-debt", Value: pages.DeskCell{Text: "2", Link: "/admin/alerts?kind=debt"}}, {Label: "alert-renewal_failed", Value: pages.DeskCell{Text: "0", Link: "/admin/alerts?kind=renewal_failed"}},
			{Label: "alert-top_up_failed", Value: pages.DeskCell{Text: "14", Link: "/admin/alerts?kind=top_up_failed"}}, {Label: "alert-top_up_off", Value: pages.DeskCell{Text: "1", Link: "/admin/alerts?kind=top_up_off"}}}}},
		{Label: "listening", Value: pages.DeskCell{Word: "yes", Tone: "good"}}, {Label: "heard", Value: pages.DeskCell{Text: "412ms"}}, {Label: "edgesAlive", Value: pages.DeskCell{Text: "2", Link: "/admin/edges"}},
	}
	act := []pages.DeskCell{{At: at}, {Text: "grace@example.test", Link: "/admin/users/2"}, {Text: "admin_action", Code: true}, {Text: `{"action": "role_changed", "reason": "joins the help desk", "role": "support", "userId": "0m3yRrS5Lq"}`, Code: true}}
	overview.Tables = []pages.DeskTable{{Title: "adminActions", Columns: []string{"time", "admin", "what", "detail"}, Rows: [][]pages.DeskCell{act, act}}}

	list := pages.Desk{Section: "users", Heading: "users", At: "/admin/users", Recent: true, Search: []pages.DeskField{{Name: "q", Kind: "search", Value: "ada"}}}
	ada := []pages.DeskCell{{Text: "ada@example.test", Link: "/admin/users/1"}, {Text: "Ada Lovelace"}, {Word: "user"}, {Word: "active", Tone: "good"}, {At: at}, {At: at}}
	eve := []pages.DeskCell{{Text: "a.very.long.address.of.somebody.who.likes.long.addresses@mail.example.test", Link: "/admin/users/2"}, {Text: "Eve"}, {Word: "support", Tone: "plain"}, {Word: "disabled", Tone: "bad"}, {At: at}, {}}
	list.Tables = []pages.DeskTable{{Columns: []string{"address", "name", "role", "state", "created", "active"}, Rows: [][]pages.DeskCell{ada, eve, ada}, Older: "/admin/users?before=1.a"}}

	user := deskView("")
	user.About, user.Error, user.Notes, user.Search = "ada@example.test", "", nil, nil
	user.Charts, user.Draft, user.Faults = nil, nil, nil
	user.Facts = []pages.DeskFact{
		{Label: "id", Value: pages.DeskCell{Text: "0m3yRrS5Lq8sCkSUqkoE6yDqyYzV8k2u", Code: true}}, {Label: "name", Value: pages.DeskCell{Text: "Ada Lovelace"}}, {Label: "role", Value: pages.DeskCell{Word: "user"}},
		{Label: "state", Value: pages.DeskCell{Word: "active", Tone: "good"}}, {Label: "factor", Value: pages.DeskCell{Word: "yes", Tone: "good"}}, {Label: "balance", Value: pages.DeskCell{Credits: "1234.5"}}, {Label: "created", Value: pages.DeskCell{At: at}},
	}
	event := []pages.DeskCell{{At: at}, {Text: "login_success", Code: true}, {Text: "2001:db8::1"}, {Text: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}, {}}
	user.Tables = []pages.DeskTable{{Title: "events", Columns: []string{"time", "what", "ip", "agent", "detail"}, Rows: [][]pages.DeskCell{event, event}}, {Title: "memberships", Columns: []string{"organization"}}}

	keys := pages.Desk{Section: "keys", Heading: "keys", At: "/admin/api-keys", Recent: true, Search: []pages.DeskField{{Name: "user", Kind: "search"}, {Name: "org", Kind: "search"}}}
	key := []pages.DeskCell{
		{Text: "Speech"}, {Text: "sk_live_0123abcd...", Code: true}, {Text: "ada@example.test", Link: "/admin/users/1"}, {}, {Text: "stt tts", Code: true}, {Credits: "100"},
		{Word: "live", Tone: "good"}, {At: at}, {At: at}, {Form: &pages.DeskAction{Name: "revokeKey", Item: "1", Danger: true}},
	}
	keys.Tables = []pages.DeskTable{{Columns: []string{"name", "key", "address", "organization", "scopes", "budget", "state", "used", "created", ""}, Rows: [][]pages.DeskCell{key, key}}}

	books := pages.Desk{Section: "ledger", Heading: "books", Up: "/admin/ledger", At: "/admin/books", Notes: []string{"books"}, Recent: true,
		Search: []pages.DeskField{{Name: "from", Kind: "date", Value: "2026-10-01"}, {Name: "to", Kind: "date", Value: "2026-10-31"}},
		Links:  []pages.DeskCell{{Word: "books-accounts", Link: "/admin/books/accounts"}, {Word: "books-days", Link: "/admin/books/days"}, {Word: "books-deferred", Link: "/admin/books/deferred"}},
	}
	day := []pages.DeskCell{{Text: "2026-10-01"}, {Text: "1234"}, {Credits: "100000"}, {Credits: "2000"}, {Credits: "0"}, {Credits: "12.5"}, {Credits: "-1499.125"}, {Credits: "0"}, {Credits: "-333"}, {Credits: "100180.375"}}
	books.Tables = []pages.DeskTable{{Columns: []string{"day", "entries", "opening", "bookPurchases", "bookGifts", "bookRefunds", "bookUsage", "bookExpiry", "bookAdjustments", "closing"}, Rows: [][]pages.DeskCell{day, day, day}}}

	prices := pages.Desk{Section: "prices", Heading: "prices", At: "/admin/prices", Recent: true, Notes: []string{"prices"}, Links: []pages.DeskCell{{Word: "price-draft", Link: "/admin/price-draft"}},
		Facts: []pages.DeskFact{{Label: "inForce", Value: pages.DeskCell{Text: "2", Link: "/admin/prices/2"}}}}
	prices.Tables = []pages.DeskTable{
		{Title: "pricesInForce", Columns: []string{"name", "price", "version"}, Rows: [][]pages.DeskCell{
			{{Text: "chat.generate", Code: true}, {Text: "6 plan pro 4"}, {Text: "2", Link: "/admin/prices/2"}},
			{{Text: "chat.token", Code: true}, {Text: "0.002 per 1000 tokens above 100000 0.001 plan pro 0.0015 above 100000 0.0008"}, {Word: "configured"}}}},
		{Title: "priceVersions", Columns: []string{"version", "state", "effective", "prices", "by", "reason", "published"}, Rows: [][]pages.DeskCell{
			{{Text: "3", Link: "/admin/prices/3"}, {Word: "pricesToCome", Tone: "plain"}, {At: at}, {Text: "2"}, {Text: "admin:0m3yRrS5Lq"}, {Text: "A new year"}, {At: at}},
			{{Text: "2", Link: "/admin/prices/2"}, {Word: "pricesInForce", Tone: "good"}, {At: at}, {Text: "2"}, {Text: "cli:root"}, {Text: "Tokens are dearer"}, {At: at}}}},
	}
	table := "chat.generate 6\nchat.token 0.003 per 1000 tokens\n"
	draft := pages.Desk{Section: "prices", Heading: "priceDraft", Up: "/admin/prices", At: "/admin/price-draft", Recent: true, Notes: []string{"priceDraft"},
		Draft: &pages.DeskAction{Name: "rehearsePrices", Plain: true, Fields: []pages.DeskField{{Name: "table", Kind: "table", Value: table, Required: true}, {Name: "days", Kind: "number", Value: "30"},
			{Name: "by", Kind: "select", Value: "price", Options: []string{"price", "user", "app", "plan"}}}},
		Tables: []pages.DeskTable{
			{Title: "priceChanges", Columns: []string{"name", "state", "before", "after"}, Rows: [][]pages.DeskCell{{{Text: "chat.token", Code: true}, {Word: "priceChanged", Tone: "plain"}, {Text: "0.002 per 1000 tokens"}, {Text: "0.003 per 1000 tokens"}}}},
			{Title: "rehearsal", Columns: []string{"rehearsed", "charges", "fixed", "paid", "would", "difference"}, Rows: [][]pages.DeskCell{
				{{Word: "allTogether"}, {Text: "1234"}, {Text: "12"}, {Credits: "7404"}, {Credits: "7500.125"}, {Credits: "96.125"}}, {{Text: "chat.token"}, {Text: "234"}, {Text: "0"}, {Credits: "192.25"}, {Credits: "288.375"}, {Credits: "96.125"}}}},
		},
		Actions: []pages.DeskAction{{Name: "publishPrices", Key: "2", Fields: []pages.DeskField{{Name: "table", Kind: "hidden", Value: table}, {Name: "effective", Kind: "datetime-local"}}}},
	}
	wrong := draft
	wrong.Tables, wrong.Actions, wrong.Faults = nil, nil, []string{`prices "chat": "1e400" is not a number of credits above 0 with up to three decimals, such as 5 or 0.02`, "prices chat.token: takes credits, at line:2"}

	abuse := pages.Desk{Section: "abuse", Heading: "abuse", At: "/admin/abuse", Recent: true, Notes: []string{"abuse"}}
	scored := []pages.DeskCell{{Text: "ada@example.test", Link: "/admin/abuse/1"}, {Text: "165"}, {Text: "120"}, {Text: "15"}, {Text: "30"}, {}, {}, {Word: "giftingHeld", Tone: "bad"}, {At: at}}
	liked := []pages.DeskCell{{Text: "eve@example.test", Link: "/admin/abuse/2"}, {Text: "20"}, {}, {}, {}, {}, {Text: "20"}, {Word: "giftingFree", Tone: "good"}, {At: at}}
	abuse.Tables = []pages.DeskTable{{Columns: []string{"address", "score", "spentRefunded", "manyRefunds", "giftRing", "collector", "sharedCard", "gifting", "scored"}, Rows: [][]pages.DeskCell{scored, liked}, Older: "/admin/abuse?before=20.2"}}
	signals := pages.Desk{Section: "abuse", Heading: "abuseOf", About: "ada@example.test", Up: "/admin/abuse", At: "/admin/abuse/1", Recent: true,
		Links: []pages.DeskCell{{Word: "user", Link: "/admin/users/1"}, {Word: "sales", Link: "/admin/sales?user=1"}, {Word: "gifts", Link: "/admin/gifts?user=1"}},
		Facts: []pages.DeskFact{{Label: "score", Value: pages.DeskCell{Text: "165"}}, {Label: "gifting", Value: pages.DeskCell{Word: "giftingHeld", Tone: "bad"}}, {Label: "scored", Value: pages.DeskCell{At: at}},
			{Label: "heldSince", Value: pages.DeskCell{At: at}}, {Label: "heldBy", Value: pages.DeskCell{Word: "edge"}}, {Label: "reason", Value: pages.DeskCell{Text: "a score of 165; gifting is held from 100 on"}}},
		Actions: []pages.DeskAction{{Name: "releaseGifting"}, {Name: "holdGifting", Danger: true}},
	}
	user2 := pages.DeskCell{Text: "eve@example.test", Link: "/admin/users/2"}
	signals.Tables = []pages.DeskTable{
		{Title: "signals", Columns: []string{"signal", "means", "count", "points"}, Rows: [][]pages.DeskCell{
			{{Word: "spent_and_refunded"}, {Word: "means-spent_and_refunded"}, {Text: "3"}, {Text: "120"}}, {{Word: "refunds"}, {Word: "means-refunds"}, {Text: "3"}, {Text: "15"}},
			{{Word: "gift_ring"}, {Word: "means-gift_ring"}, {Text: "1"}, {Text: "30"}}, {{Word: "collector"}, {Word: "means-collector"}, {Text: "5"}, {Text: "10"}}, {{Word: "shared_card"}, {Word: "means-shared_card"}, {Text: "3"}, {Text: "20"}}}},
		{Title: "reversedPurchases", Columns: []string{"signal", "purchase"}, Rows: [][]pages.DeskCell{{{Word: "spent_and_refunded"}, {Text: "0199a3c2-7b1e-7f0a-9b1e-000000000001", Code: true}}}},
		{Title: "circles", Columns: []string{"circle", "giver", "taker", "rounds"}, Rows: [][]pages.DeskCell{{{Text: "1"}, {Text: "ada@example.test", Link: "/admin/users/1"}, user2, {Text: "2"}}, {{Text: "1"}, user2, {Text: "ada@example.test", Link: "/admin/users/1"}, {Text: "2"}}}},
		{Title: "givers", Columns: []string{"address", "id"}, Rows: [][]pages.DeskCell{{user2, {Text: "2", Code: true}}}},
		{Title: "sameCard", Columns: []string{"address", "id"}, Rows: [][]pages.DeskCell{{user2, {Text: "2", Code: true}}}},
	}

	alerts := pages.Desk{Section: "alerts", Heading: "alerts", At: "/admin/alerts", Recent: true, Notes: []string{"alerts"}, Search: []pages.DeskField{
		{Name: "kind", Kind: "select", Value: "top_up_failed", Options: []string{"", "low", "debt", "renewal_failed", "top_up_failed", "top_up_off"}, Words: "alert."}, {Name: "user", Kind: "search"}, {Name: "org", Kind: "search"}}}
	part := func(label string, value pages.DeskCell) pages.DeskFact {
		return pages.DeskFact{Label: label, Value: value}
	}
	who := pages.DeskCell{Text: "ada@example.test", Link: "/admin/users/1"}
	alerts.Tables = []pages.DeskTable{{Columns: []string{"time", "what", "user", "numbers", "concerns"}, Older: "/admin/alerts?before=1.a", Rows: [][]pages.DeskCell{
		{{At: at}, {Word: "alert.low"}, who, {Parts: []pages.DeskFact{part("balance", pages.DeskCell{Credits: "9.5"}), part("threshold", pages.DeskCell{Credits: "10"})}}, {}},
		{{At: at}, {Word: "alert.top_up_failed"}, {Text: "a.very.long.address.of.somebody.who.likes.long.addresses@mail.example.test", Link: "/admin/users/2"}, {Parts: []pages.DeskFact{part("credits", pages.DeskCell{Credits: "1000"}), part("price", pages.DeskCell{Cents: 999})}}, {}},
		{{At: at}, {Word: "alert.budget"}, {Text: "Teahouse", Link: "/admin/organizations/1"}, {Parts: []pages.DeskFact{part("budget", pages.DeskCell{Credits: "50"}), part("period", pages.DeskCell{Word: "period-month"}), part("key", pages.DeskCell{Text: "0m3yRrS5Lq8sCkSU", Code: true})}}, who},
		{{At: at}, {Word: "alert.expiring"}, who, {Parts: []pages.DeskFact{part("credits", pages.DeskCell{Credits: "40"}), part("firstEnd", pages.DeskCell{At: at})}}, {}},
		{{At: at}, {Word: "alert.top_up_off"}, who, {Parts: []pages.DeskFact{part("reason", pages.DeskCell{Word: "topUp-declined"})}}, {}}}}}

	support := list
	support.ReadOnly, support.Recent = true, false
	stale := user
	stale.Recent = false
	return map[string]pages.View{"desk": overview, "desk-users": list, "desk-user": user, "desk-keys": keys, "desk-books": books, "desk-prices": prices, "desk-price-draft": draft, "desk-price-faults": wrong, "desk-abuse": abuse, "desk-alerts": alerts, "desk-abuse-of": signals, "desk-support": support, "desk-stale": stale}
}
