package organization_test

import (
	"strings"
	"testing"

	. "mana.how/edge/authcore/organization"
)

func TestSlug(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Acme":                      "acme",
		"Analytical  Engines":       "analytical-engines",
		"Smith & Sons, Ltd.":        "smith-sons-ltd",
		"a - b -- c":                "a-b-c",
		"under_score 7":             "under_score-7",
		"  blanks\tand\u00a0tabs ":  "blanks-and-tabs",
		"Ärzte":                     "rzte",
		"日本":                        "",
		"<script>alert(1)</script>": "scriptalert1script",
		"../../etc":                 "etc",
		"---":                       "",
		strings.Repeat("x", 300):    strings.Repeat("x", MaxSlug),
	} {
		got := Slug(name)
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		if got != "" && !ValidSlug(got) {
			t.Errorf("%q is no slug", got)
		}
	}
	for _, text := range []string{"", "A", "a b", "-a", "a-", "a--b", "ä", strings.Repeat("x", MaxSlug+1)} {
		if ValidSlug(text) {
			t.Errorf("%q is a slug", text)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	type may struct{ valid, assignable, manages, owns, owner, admin, member bool }
	for role, want := range map[Role]may{
		RoleOwner:  {valid: true, manages: true, owns: true, owner: true, admin: true, member: true},
		RoleAdmin:  {valid: true, assignable: true, manages: true, admin: true, member: true},
		RoleMember: {valid: true, assignable: true},
		"":         {}, "Owner": {}, "root": {},
	} {
		got := may{role.Valid(), role.Assignable(), role.Manages(), role.Owns(),
			role.MayChange(RoleOwner), role.MayChange(RoleAdmin), role.MayChange(RoleMember)}
		if got != want {
			t.Errorf("%q: %+v, want %+v", role, got, want)
		}
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for name, n := range map[string]New{
		"no name": {}, "blank": {Name: "  "}, "short": {Name: " A "}, "long": {Name: strings.Repeat("n", MaxName+1)},
		"bidi": {Name: "Acme\u202e"}, "line": {Name: "A\nB"}, "slug": {Name: "Acme", Slug: "Acme"},
		"logo": {Name: "Acme", Logo: strings.Repeat("l", MaxLogo+1)}, "metadata": {Name: "Acme", Metadata: []byte(`[1]`)},
		"null": {Name: "Acme", Metadata: []byte(`null`)}, "large": {Name: "Acme", Metadata: []byte(`{"a":"` + strings.Repeat("x", MaxMetadata) + `"}`)},
	} {
		if _, err := n.Check(); err == nil {
			t.Errorf("%s: taken", name)
		}
		if n.Slug == "" && n.Name != "" {
			if _, err := (Change{Name: &n.Name, Logo: &n.Logo, Metadata: n.Metadata}).Check(); err == nil {
				t.Errorf("%s: taken as a change", name)
			}
		}
	}
	n, err := New{Name: " Acme ", Slug: "acme-2", Logo: "https://acme.test/l.png", Metadata: []byte(`{"a":1}`)}.Check()
	if err != nil || n.Name != "Acme" {
		t.Errorf("%+v, %v", n, err)
	}
	c, err := Change{Name: text(" Acme"), Logo: text("")}.Check()
	if err != nil || *c.Name != "Acme" || *c.Logo != "" {
		t.Errorf("%+v, %v", c, err)
	}
}
