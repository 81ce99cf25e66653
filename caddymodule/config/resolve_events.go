package config

import (
	"net/url"
	"path/filepath"
)

// The sinks of security events.
const (
	EventsStdout  = "stdout"
	EventsFile    = "file"
	EventsWebhook = "webhook"
)

// shortestEventSecret of the signatures of a webhook, in bytes.
const shortestEventSecret = 32

// Events is where security events are handed on to; nowhere where To is empty.
type Events struct {
	To     string
	Path   string // of a file
	URL    string // of a webhook
	Secret Secret // that signs its requests
}

// hashable are its fields for the key of the settings.
func (e Events) hashable() []string { return []string{e.To, e.Path, e.URL, e.Secret.Reveal()} }

func (r *resolver) events(c *EventsConfig) Events {
	if c == nil {
		return Events{}
	}
	e := Events{To: c.To}
	switch c.To {
	case EventsStdout:
	case EventsFile:
		if e.Path = r.expand("events", c.Path); !filepath.IsAbs(e.Path) {
			r.fault("events", "%q is no absolute path of a file", e.Path)
		}
	case EventsWebhook:
		e.URL, e.Secret = r.expand("events", c.URL), NewSecret(r.expand("events", c.Secret))
		if u, err := url.Parse(e.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
			r.fault("events", "the address of the webhook is no http or https URL without a password")
		}
		if n := len(e.Secret.Reveal()); n < shortestEventSecret {
			r.fault("events", "the secret of the webhook has %d bytes, at least %d are needed", n, shortestEventSecret)
		}
	default:
		r.fault("events", "%q is none of stdout, file, webhook", c.To)
	}
	return e
}
