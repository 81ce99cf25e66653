package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"time"
)

// certificateSoon is how long before its end a certificate should have been
// renewed: Caddy does so when a third of its life is left.
const certificateSoon = 10 * 24 * time.Hour

// certificate examines what the host of base_url shows to a browser. It only
// warns: the edge may not run yet, or another proxy may stand in front.
func (d *doctor) certificate(base *url.URL, roots *x509.CertPool, now time.Time) {
	const check = "certificate"
	if base.Scheme != "https" {
		return
	}
	port := base.Port()
	if port == "" {
		port = "443"
	}
	ctx, cancel := context.WithTimeout(d.Ctx, networkWait)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{ServerName: base.Hostname(), RootCAs: roots, Time: func() time.Time { return now }}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(base.Hostname(), port))
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var away *net.OpError
	switch {
	case errors.As(err, &unknown):
		d.warn(check, "%s has one of an authority that this machine does not know, such as Caddy's internal one: browsers warn", base.Host)
		return
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		d.fail(check, "that of %s has expired or is not valid yet: %s to %s", base.Host, invalid.Cert.NotBefore.Format(time.DateOnly), invalid.Cert.NotAfter.Format(time.DateOnly))
		return
	case errors.As(err, &name):
		d.fail(check, "%s shows one for other names: %v", base.Host, name)
		return
	case errors.As(err, &away), errors.Is(err, context.DeadlineExceeded):
		d.warn(check, "nothing answers at %s: %v", base.Host, err)
		return
	case err != nil:
		d.warn(check, "%s: %v", base.Host, err)
		return
	}
	defer conn.Close()
	shown := conn.(*tls.Conn).ConnectionState().PeerCertificates[0] //nolint:forcetypeassert // what a tls.Dialer makes
	left := shown.NotAfter.Sub(now)
	if left < certificateSoon && shown.NotAfter.Sub(shown.NotBefore) > 3*certificateSoon {
		d.warn(check, "that of %s ends in %d days, and should have been renewed: see the log for what the authority says", base.Host, int(left.Hours()/24))
		return
	}
	d.ok(check, "%s has one until %s", base.Host, shown.NotAfter.Format(time.DateOnly))
}
