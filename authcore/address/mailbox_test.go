package address_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore/address"
)

func TestMailboxOf(t *testing.T) {
	t.Parallel()
	for canonical, want := range map[string]address.Mailbox{
		"ada@example.com":            {Name: "ada@example.com", Domain: "example.com", Registrable: "example.com"},
		"ada+a+b@example.com":        {Name: "ada@example.com", Domain: "example.com", Registrable: "example.com"},
		"+ada@example.com":           {Name: "+ada@example.com", Domain: "example.com", Registrable: "example.com"},
		"a.da@mail.example.co.uk":    {Name: "a.da@mail.example.co.uk", Domain: "mail.example.co.uk", Registrable: "example.co.uk"},
		"a.d.a+x@gmail.com":          {Name: "ada@gmail.com", Domain: "gmail.com", Registrable: "gmail.com", Public: true},
		"ad.a@googlemail.com":        {Name: "ada@gmail.com", Domain: "googlemail.com", Registrable: "googlemail.com", Public: true},
		"ada@posteo.de":              {Name: "ada@posteo.de", Domain: "posteo.de", Registrable: "posteo.de", Public: true},
		"ada@sub.gmail.com":          {Name: "ada@sub.gmail.com", Domain: "sub.gmail.com", Registrable: "gmail.com"},
		"ada@mana.github.io":         {Name: "ada@mana.github.io", Domain: "mana.github.io", Registrable: "mana.github.io"},
		"ada@co.uk":                  {Name: "ada@co.uk", Domain: "co.uk", Registrable: "co.uk"},
		"ada@xn--mller-kva.example":  {Name: "ada@xn--mller-kva.example", Domain: "xn--mller-kva.example", Registrable: "xn--mller-kva.example"},
		"ada@a.b.xn--mller-kva.test": {Name: "ada@a.b.xn--mller-kva.test", Domain: "a.b.xn--mller-kva.test", Registrable: "xn--mller-kva.test"},
	} {
		if diff := cmp.Diff(want, address.MailboxOf(canonical)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", canonical, diff)
		}
	}
}
