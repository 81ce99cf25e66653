package app

import "testing"

// Names of sites are few, whatever hosts clients ask for: they are labels of metrics.
func TestSiteNames(t *testing.T) {
	t.Parallel()
	var named, open ServerSites
	named.hosts.add(SiteFacts{hosts: []string{"chat.mana.how", "*.apps.mana.how"}})
	open.hosts.add(SiteFacts{hosts: []string{"chat.mana.how"}})
	open.hosts.add(SiteFacts{})
	for _, c := range []struct {
		sites      *ServerSites
		host, want string
	}{
		{&named, "chat.mana.how", "chat.mana.how"},
		{&named, "Chat.Mana.How:8443", "chat.mana.how"},
		{&named, "one.apps.mana.how", "*.apps.mana.how"},
		{&named, "two.apps.mana.how:443", "*.apps.mana.how"},
		{&named, "a.b.apps.mana.how", ""},
		{&named, "elsewhere.test", ""},
		{&named, "[::1]:443", ""},
		{&named, "", ""},
		{&open, "chat.mana.how", "chat.mana.how"},
		{&open, "random-1.test", "*"},
		{&open, "random-2.test", "*"},
		{nil, "chat.mana.how", ""},
	} {
		if got := c.sites.Name(c.host); got != c.want {
			t.Errorf("%q: %q, want %q", c.host, got, c.want)
		}
	}
}
