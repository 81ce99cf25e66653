package doctor

import (
	"context"
	"errors"
	"net"
	"net/mail"
	"strings"
)

// lookupTXT reads the TXT records of a name.
type lookupTXT func(ctx context.Context, name string) ([]string, error)

// sender examines what the domain of the sender says in DNS about who may send
// for it: SPF (RFC 7208) and DMARC (RFC 7489). DKIM's record stands under a
// selector that only the mail server knows. Where DNS does not answer it is silent.
func (d *doctor) sender(from string, look lookupTXT) {
	const check = "mail dns"
	address, err := mail.ParseAddress(from)
	if err != nil {
		return // a finding of the config already
	}
	_, domain, _ := strings.Cut(address.Address, "@")
	ctx, cancel := context.WithTimeout(d.Ctx, networkWait)
	defer cancel()
	spf, answered := record(ctx, look, domain, "v=spf1")
	if !answered {
		return
	}
	dmarc, answered := record(ctx, look, "_dmarc."+domain, "v=DMARC1")
	if !answered {
		return
	}
	var missing []string
	if spf == "" {
		missing = append(missing, "SPF (a TXT record \"v=spf1 …\" that names your mail server)")
	}
	if dmarc == "" {
		missing = append(missing, "DMARC (a TXT record \"v=DMARC1; p=…\" at _dmarc."+domain+")")
	}
	switch {
	case len(missing) > 0:
		d.warn(check, "%s has no %s: mails to large providers end up in spam", domain, strings.Join(missing, " and no "))
	case strings.Contains(spf, "+all"):
		d.warn(check, "the SPF record of %s lets everybody send for it (+all)", domain)
	default:
		d.ok(check, "%s has SPF and DMARC; see that the mail server signs with DKIM, whose record stands at <selector>._domainkey.%s", domain, domain)
	}
}

// record is the TXT record of a name that begins so. A name that does not exist
// is an answer, too.
func record(ctx context.Context, look lookupTXT, name, begins string) (text string, answered bool) {
	texts, err := look(ctx, name)
	var fault *net.DNSError
	if err != nil && !(errors.As(err, &fault) && fault.IsNotFound) {
		return "", false
	}
	for _, text := range texts {
		if strings.HasPrefix(strings.ToLower(text), strings.ToLower(begins)) {
			return text, true
		}
	}
	return "", true
}
