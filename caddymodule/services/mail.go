package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore/device"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/mail"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/webhook"
)

// mailChannel is that of mails in the outbox.
const mailChannel = "mail"

// mailPauses are those between the tries to send a mail; the last one repeats.
func mailPauses() []time.Duration {
	return []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 3 * time.Hour}
}

// Mailing writes the mails of accounts into the outbox, and sends them from there.
type Mailing struct {
	box       *outbox.Box
	baseURL   *url.URL
	templates *mail.Templates
	sender    atomic.Pointer[mail.Sender]
	brand     pages.Brand
}

// queued is a mail as it waits in the outbox, sealed.
type queued struct {
	Kind     mail.Kind `json:"kind"`
	Language string    `json:"language,omitempty"`
	Data     mail.Data `json:"data"`
}

func newMailing(s config.Settings, pool *pgxpool.Pool, keys secret.Keys, erase, logout outbox.Deliver, webhooks outbox.Family, log *slog.Logger) (*Mailing, error) {
	templates, err := mail.NewTemplates(s.SMTP.Templates)
	if err != nil {
		return nil, fmt.Errorf("smtp: templates: %w", err)
	}
	m := &Mailing{baseURL: s.BaseURL, templates: templates, brand: s.Brand}
	m.SendBy(mail.Log{Logger: log})
	if s.SMTP.IsSet() {
		sender, err := mail.NewSMTP(s.SMTP.Config())
		if err != nil {
			return nil, fmt.Errorf("smtp: %w", err)
		}
		m.SendBy(sender)
	}
	m.box = outbox.New(outbox.Config{
		DB: dbscope.DB{Pool: pool, Error: func(err error) error { return err }}, Sealer: keys.Bound(),
		Channels: map[string]outbox.Deliver{mailChannel: m.deliver, erasureChannel: erase, logoutChannel: logout},
		Families: map[string]outbox.Family{webhook.Family: webhooks},
		Pauses: map[string][]time.Duration{
			mailChannel: mailPauses(), erasureChannel: erasurePauses(), logoutChannel: logoutPauses(), webhook.Family: webhook.Pauses(),
		},
		Retention: s.Retention.Outbox, Logger: log, Observe: metrics.Process.ObserveDelivery,
	})
	return m, nil
}

// SendBy has mails go out by another sender from now on.
func (m *Mailing) SendBy(sender mail.Sender) { m.sender.Store(&sender) }

// Outbox is where the mails wait.
func (m *Mailing) Outbox() *outbox.Box { return m.box }

// Wake implements [notice.Mailer].
func (m *Mailing) Wake() { m.box.Wake() }

// PutTx implements [notice.Mailer].
func (m *Mailing) PutTx(ctx context.Context, tx pgx.Tx, n notice.Notice) error {
	d := mail.Data{Name: n.Name, Email: n.To, Device: device.Name(n.Client.UserAgent), Address: n.Client.Network(), At: n.At.UTC()}
	if n.Client.DeviceName != "" {
		d.Device = n.Client.DeviceName
	}
	if n.ValidFor > 0 {
		d.Expires = n.At.UTC().Add(n.ValidFor)
	}
	forgot := m.link("/forgot-password", nil)
	switch n.Kind {
	case notice.VerifyEmail:
		query := url.Values{"token": {n.Token}, "callbackURL": {"/"}}
		if n.RedirectTo != "" {
			query.Set("redirectTo", n.RedirectTo)
		}
		d.Link = m.link("/api/auth/verify-email", query)
	case notice.ResetPassword:
		query := url.Values{"callbackURL": {n.RedirectTo}}
		if n.RedirectTo == "" {
			query = nil
		}
		d.Link = m.link("/api/auth/reset-password/"+n.Token, query)
	case notice.AccountExists:
		d.Link, d.ResetLink = m.link("/login", nil), forgot
	case notice.MagicLink:
		query := url.Values{"token": {n.Token}}
		if n.RedirectTo != "" {
			query.Set("callbackURL", n.RedirectTo)
		}
		d.Link, d.Code = m.link("/api/auth/magic-link/verify", query), n.Code
	case notice.ConfirmAddress:
		d.Link = m.link("/api/auth/change-email/verify", url.Values{"token": {n.Token}})
	case notice.AddressChanging:
		if n.Token != "" {
			d.UndoLink = m.link("/api/auth/change-email/undo", url.Values{"token": {n.Token}})
		}
	case notice.AccountInvitation:
		d.Link = m.link("/register", url.Values{"invitation": {n.Token}})
	case notice.NewDevice:
		d.Link, d.ResetLink = m.link("/account/devices", nil), forgot
	case notice.Invitation:
		d.Link = m.link("/accept-invitation", url.Values{"id": {n.Invitation.ID}})
		d.Organization, d.Inviter = n.Invitation.OrganizationName, n.Invitation.InviterName
	case notice.AccountDeleted:
		// nothing but what happened
	case notice.FactorAdded, notice.FactorRemoved:
		d.Factor = string(n.Factor)
	case notice.AccountLocked, // without its end: a mail that waits longer would not be sent
		notice.PasswordChanged, notice.AddressChangeUndone, notice.BackupCodesRenewed:
		d.ResetLink = forgot
	}
	if ofCredits(n.Kind) {
		d.Link, d.Organization, d.APIKey = m.creditsLink(n), n.Credits.Organization, n.Credits.Key
		d.Amount, d.Limit, d.Expires = n.Credits.Amount, n.Credits.Limit, n.Credits.Ends.UTC()
		d.Price, d.Reason = n.Credits.Price, n.Credits.Reason
	}
	language := n.Language
	if !mail.Writes(language) {
		language = n.Client.Language
	}
	body, err := json.Marshal(queued{Kind: mail.Kind(n.Kind), Language: language, Data: d})
	if err != nil {
		return err
	}
	return m.box.Put(ctx, tx, outbox.Message{Channel: mailChannel, Kind: string(n.Kind), UserID: n.UserID, Body: body})
}

// link is an address of the hosted pages.
func (m *Mailing) link(path string, query url.Values) string {
	u := *m.baseURL
	u.Path, u.RawQuery = path, query.Encode()
	return u.String()
}

// deliver sends a mail that waited.
func (m *Mailing) deliver(ctx context.Context, message outbox.Message) error {
	var q queued
	if err := json.Unmarshal(message.Body, &q); err != nil {
		return outbox.Permanent(fmt.Errorf("read a mail: %w", err))
	}
	q.Data.Brand, q.Data.Imprint, q.Data.Support = m.brand.Name, m.brand.Imprint, strings.TrimPrefix(m.brand.Support, "mailto:")
	letter, err := m.templates.Render(q.Kind, q.Language, q.Data)
	if err != nil {
		return outbox.Permanent(err)
	}
	letter.ID = message.ID
	if err := (*m.sender.Load()).Send(ctx, letter); errors.Is(err, mail.ErrPermanent) {
		return outbox.Permanent(err)
	} else if err != nil {
		return err
	}
	return nil
}
