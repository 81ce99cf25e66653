package develop

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"text/tabwriter"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
)

// sites are the apps behind the gate.
func (f *family) sites() []site {
	list := make([]site, len(f.upstreams))
	for i, upstream := range f.upstreams {
		list[i] = site{local(f.ports.apps[i]), upstream}
	}
	return list
}

// users are the test users.
func users() []user {
	list := make([]user, len(people))
	for i, p := range people {
		list[i] = user{p.email, p.about()}
	}
	return list
}

// welcome says where everything is.
func (f *family) welcome(out io.Writer) {
	fmt.Fprint(out, "\nMana Edge runs for development.\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range f.sites() {
		fmt.Fprintf(table, "  app\t%s\tbefore %s\n", s.Address, s.Upstream)
	}
	fmt.Fprintf(table, "  auth\t%s\tAPI: %[1]s/api-docs\n", local(f.ports.auth))
	fmt.Fprintf(table, "  mailbox\t%s\tpayments: %[1]s/stripe\n", local(f.ports.panel))
	for _, u := range users() {
		fmt.Fprintf(table, "  user\t%s\t%s\n", u.Email, u.About)
	}
	fmt.Fprintf(table, "  password\t%s\tof all users\n", password)
	fmt.Fprintf(table, "  service key\t%s\tof back ends\n", serviceKey)
	fmt.Fprintf(table, "  codes\t%s\tof mails; %s of authenticators\n", authcore.FixedMailCode, authcore.FixedCode)
	data := f.dir
	if f.temporary {
		data += "\tgoes at the end; keep one with --data"
	}
	fmt.Fprintf(table, "  data\t%s\n", data)
	fmt.Fprint(table, "  stop\tCtrl-C\n")
	_ = table.Flush()
	fmt.Fprintf(out, "\nThe app reads:\n\n  export %s\n\n", strings.Join(f.environment(), " "))
}

// environment is what an app reads.
func (f *family) environment() []string {
	_, port, _ := net.SplitHostPort(f.upstreams[0])
	return []string{"MANA_URL=" + local(f.ports.auth), "MANA_SERVICE_KEY=" + serviceKey, "PORT=" + port}
}

// variables tell a command where everything is, and sign it in as each user who
// needs no code.
func (f *family) variables(ctx context.Context) ([]string, error) {
	list := append(f.environment(), "MANA_SITE="+f.sites()[0].Address, "MANA_MAILBOX="+local(f.ports.panel), "MANA_PASSWORD="+password)
	for _, p := range people {
		u, err := f.rt.Auth.UserByIDOrEmail(ctx, operator, p.email)
		if err != nil {
			return nil, err
		}
		list = append(list, p.variable+"_EMAIL="+p.email, p.variable+"_USER_ID="+u.ID)
		if p.factor {
			continue
		}
		tokens, err := f.rt.Auth.SignIn(ctx, principal.Client{UserAgent: "mana-edge dev"}, p.email, password)
		if err != nil {
			return nil, fmt.Errorf("sign %s in: %w", p.email, err)
		}
		list = append(list, p.variable+"_TOKEN="+tokens.AccessToken)
	}
	return list, nil
}
