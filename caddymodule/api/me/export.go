package me

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/preference"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
	"mana.how/edge/creditcore"
)

const exportVersion = "2.0"

// exportHead is the part of an export that is small.
type exportHead struct {
	kept.Summary
	ExportedAt    endpoint.Time  `json:"exportedAt"`
	ExportVersion string         `json:"exportVersion"`
	Sessions      exportSessions `json:"sessions"`
	// LinkedAccounts are those of providers.
	LinkedAccounts []exportAccount `json:"linkedAccounts"`
	ConnectedApps  []exportApp     `json:"connectedApps"`
	Memberships    []exportMember  `json:"memberships"`
	Passkeys       []exportPasskey `json:"passkeys"`
	APIKeys        []exportKey     `json:"apiKeys"`
	// Settings are what the user has set for the looks of the apps.
	Settings preference.Set `json:"settings"`
	// LowBalance is the threshold of credits that the user has set.
	LowBalance *creditcore.Amount `json:"lowBalance"`
	Alerts     []exportAlert      `json:"creditAlerts"`
	// TopUp is the automatic top-up that the user agreed to, null where they never did.
	TopUp   *exportTopUp   `json:"automaticTopUp"`
	Coupons []exportCoupon `json:"coupons"`
}

// exportTopUp is an automatic top-up. Money is in euro cents.
type exportTopUp struct {
	Enabled    bool               `json:"enabled"`
	Threshold  *creditcore.Amount `json:"threshold"`
	PackageID  string             `json:"packageId"`
	MonthlyCap int64              `json:"monthlyCapEuroCents"`
	Spent      int64              `json:"spentThisMonthEuroCents"`
	// Card is the one that is saved at Stripe, as far as it is known here.
	Card *exportCard `json:"card"`
}

type exportCard struct {
	Brand    string `json:"brand"`
	Last4    string `json:"last4"`
	ExpMonth int    `json:"expMonth"`
	ExpYear  int    `json:"expYear"`
}

// exportCoupon is a coupon that the user redeemed.
type exportCoupon struct {
	Name          string            `json:"name"`
	Credits       creditcore.Amount `json:"credits"`
	ExpiresAt     *endpoint.Time    `json:"expiresAt"`
	TransactionID string            `json:"transactionId"`
	RedeemedAt    endpoint.Time     `json:"redeemedAt"`
}

// exportAlert is something that the user was told of credits.
type exportAlert struct {
	Kind      creditcore.AlertKind `json:"kind"`
	Data      json.RawMessage      `json:"data"`
	CreatedAt endpoint.Time        `json:"createdAt"`
}

// exportPasskey is a passkey as its owner knows it.
type exportPasskey struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	CreatedAt  endpoint.Time  `json:"createdAt"`
	LastUsedAt *endpoint.Time `json:"lastUsedAt"`
}

// exportKey is an API key, of which the first characters alone are known.
type exportKey struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Shown      string         `json:"keyPrefix"`
	Scopes     []string       `json:"scopes"`
	CreatedAt  endpoint.Time  `json:"createdAt"`
	ExpiresAt  *endpoint.Time `json:"expiresAt"`
	LastUsedAt *endpoint.Time `json:"lastUsedAt"`
	RevokedAt  *endpoint.Time `json:"revokedAt"`
}

type exportAccount struct {
	Provider   string         `json:"provider"`
	AccountID  string         `json:"accountId"`
	Email      *string        `json:"email"`
	LinkedAt   endpoint.Time  `json:"linkedAt"`
	LastUsedAt *endpoint.Time `json:"lastUsedAt"`
}

// exportApp is an OpenID client that the user has allowed something.
type exportApp struct {
	ClientID    string        `json:"clientId"`
	Name        string        `json:"name"`
	Scopes      []string      `json:"scopes"`
	ConnectedAt endpoint.Time `json:"connectedAt"`
}

// exportMember is an organisation that the user belongs to.
type exportMember struct {
	OrganizationID string            `json:"organizationId"`
	Name           string            `json:"name"`
	Slug           *string           `json:"slug"`
	Role           organization.Role `json:"role"`
	Since          endpoint.Time     `json:"since"`
}

type exportSessions struct {
	Active  []exportSession `json:"active"`
	History []exportSession `json:"history"`
}

type exportSession struct {
	ID             string         `json:"id"`
	CreatedAt      endpoint.Time  `json:"createdAt"`
	ExpiresAt      endpoint.Time  `json:"expiresAt"`
	LastActivityAt endpoint.Time  `json:"lastActivityAt"`
	IPAddress      *string        `json:"ipAddress"`
	UserAgent      *string        `json:"userAgent"`
	DeviceName     *string        `json:"deviceName"`
	RevokedAt      *endpoint.Time `json:"revokedAt"`
}

type exportEvent struct {
	ID        string          `json:"id"`
	EventType string          `json:"eventType"`
	IPAddress *string         `json:"ipAddress"`
	UserAgent *string         `json:"userAgent"`
	Metadata  json.RawMessage `json:"metadata"`
	CreatedAt endpoint.Time   `json:"createdAt"`
}

type exportTransaction struct {
	ID            string               `json:"id"`
	Type          creditcore.EntryType `json:"type"`
	Status        string               `json:"status"`
	Amount        creditcore.Amount    `json:"amount"`
	BalanceBefore creditcore.Amount    `json:"balanceBefore"`
	BalanceAfter  creditcore.Amount    `json:"balanceAfter"`
	AppID         string               `json:"appId"`
	Description   string               `json:"description"`
	CreatedAt     endpoint.Time        `json:"createdAt"`
	CompletedAt   *endpoint.Time       `json:"completedAt"`
}

// export answers with a file that is written as it is read: a ledger may be long.
func (d own) export(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Download, error) {
	if err := c.Auth.RequireRecent(ctx, c.Caller); err != nil {
		return endpoint.Download{}, err
	}
	summary, err := d.summaryOf(ctx, c)
	if err != nil {
		return endpoint.Download{}, err
	}
	return d.exportOf(ctx, c, c.Caller, summary)
}

// exportOf is the file of a user, of whom the summary is.
func (d own) exportOf(ctx context.Context, c *endpoint.Call, who principal.Caller, summary kept.Summary) (endpoint.Download, error) {
	sessions, err := c.Auth.AllSessions(ctx, who)
	if err != nil {
		return endpoint.Download{}, err
	}
	memberships, err := c.Auth.OwnOrganizations(ctx, who)
	if err != nil {
		return endpoint.Download{}, err
	}
	accounts, err := c.Auth.LinkedAccounts(ctx, who)
	if err != nil {
		return endpoint.Download{}, err
	}
	passkeys, err := c.Auth.Passkeys(ctx, who)
	if err != nil {
		return endpoint.Download{}, err
	}
	keys, err := c.Auth.APIKeys(ctx, who)
	if err != nil {
		return endpoint.Download{}, err
	}
	settings, err := c.Auth.Settings(ctx, who)
	if err != nil {
		return endpoint.Download{}, err
	}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return endpoint.Download{}, err
	}
	proofs, err := d.Proof(ctx)
	if err != nil {
		return endpoint.Download{}, err
	}
	proven, err := proofs.DocumentOf(ctx, who.UserID)
	if err != nil {
		return endpoint.Download{}, err
	}
	thresholds, err := ledger.AlertSettings(ctx, creditcore.Caller{UserID: who.UserID})
	if err != nil {
		return endpoint.Download{}, err
	}
	alerts, err := ledger.AlertsAbout(ctx, who.UserID)
	if err != nil {
		return endpoint.Download{}, err
	}
	now := c.Now()
	head := exportHead{
		Summary: summary, ExportedAt: endpoint.Time(now), ExportVersion: exportVersion, Memberships: []exportMember{}, Settings: settings,
		LowBalance: thresholds.LowBalance, Alerts: make([]exportAlert, len(alerts)),
	}
	if head.TopUp, err = d.topUpOf(ctx, who.UserID); err != nil {
		return endpoint.Download{}, err
	}
	if head.Coupons, err = d.couponsOf(ctx, who.UserID); err != nil {
		return endpoint.Download{}, err
	}
	for i, a := range alerts {
		head.Alerts[i] = exportAlert{a.Kind, a.Data, endpoint.Time(a.CreatedAt)}
	}
	for _, m := range memberships {
		head.Memberships = append(head.Memberships, exportMember{m.OrganizationID, m.Name, m.Slug, m.Role, endpoint.Time(m.Since)})
	}
	head.Sessions = exportSessions{Active: []exportSession{}, History: []exportSession{}}
	apps, err := c.Auth.ConnectedApps(ctx, who)
	if err != nil {
		return endpoint.Download{}, err
	}
	head.ConnectedApps = []exportApp{}
	for _, a := range apps {
		head.ConnectedApps = append(head.ConnectedApps, exportApp{a.Client.ID, a.Client.Name, a.Scopes, endpoint.Time(a.ConnectedAt)})
	}
	head.Passkeys = make([]exportPasskey, len(passkeys))
	for i, p := range passkeys {
		head.Passkeys[i] = exportPasskey{p.ID, p.Name, endpoint.Time(p.CreatedAt), endpoint.TimeOf(p.LastUsedAt)}
	}
	head.APIKeys = make([]exportKey, len(keys))
	for i, k := range keys {
		head.APIKeys[i] = exportKey{
			k.ID, k.Name, k.Shown, k.Scopes, endpoint.Time(k.CreatedAt), endpoint.TimeOf(k.ExpiresAt), endpoint.TimeOf(k.LastUsedAt), endpoint.TimeOf(k.RevokedAt),
		}
	}
	head.LinkedAccounts = []exportAccount{}
	for _, a := range accounts {
		head.LinkedAccounts = append(head.LinkedAccounts, exportAccount{a.Provider, a.Subject, a.Email, endpoint.Time(a.CreatedAt), endpoint.TimeOf(a.LastUsedAt)})
	}
	for _, s := range sessions {
		shown := exportSession{
			s.ID, endpoint.Time(s.CreatedAt), endpoint.Time(s.ExpiresAt), endpoint.Time(s.LastActivityAt),
			s.IPAddress, s.UserAgent, s.DeviceName, endpoint.TimeOf(s.RevokedAt),
		}
		if s.RevokedAt == nil && s.ExpiresAt.After(now) {
			head.Sessions.Active = append(head.Sessions.Active, shown)
		} else {
			head.Sessions.History = append(head.Sessions.History, shown)
		}
	}
	return endpoint.Download{
		Filename: "meine-daten-" + now.UTC().Format("2006-01-02") + ".json", ContentType: "application/json; charset=utf-8",
		Content: func(w io.Writer) error {
			return writeExport(ctx, w, head, c, who, ledger, func(w io.Writer) error { return proofs.Write(ctx, w, proven) })
		},
	}, nil
}

func (d own) topUpOf(ctx context.Context, userID string) (*exportTopUp, error) {
	service, err := d.TopUps(ctx)
	if err != nil {
		return nil, err
	}
	set, err := service.TopUpOf(ctx, userID)
	if err != nil || set.PackageID == "" && set.Card == nil {
		return nil, err
	}
	shown := &exportTopUp{
		Enabled: set.Enabled, Threshold: set.Threshold, PackageID: set.PackageID, MonthlyCap: set.MonthlyCap, Spent: set.Spent,
	}
	if card := set.Card; card != nil {
		shown.Card = &exportCard{card.Brand, card.Last4, card.ExpMonth, card.ExpYear}
	}
	return shown, nil
}

func (d own) couponsOf(ctx context.Context, userID string) ([]exportCoupon, error) {
	service, err := d.Coupons(ctx)
	if err != nil {
		return nil, err
	}
	redeemed, err := service.RedemptionsOf(ctx, userID)
	list := make([]exportCoupon, len(redeemed))
	for i, r := range redeemed {
		list[i] = exportCoupon{r.Name, r.Credits, endpoint.TimeOf(r.ExpiresAt), r.TransactionID, endpoint.Time(r.CreatedAt)}
	}
	return list, err
}

// writeExport writes the document. What is long is read piece by piece. writeProof
// writes what proves the ledger.
func writeExport(ctx context.Context, w io.Writer, head exportHead, c *endpoint.Call, who principal.Caller, ledger *creditcore.Service, writeProof func(io.Writer) error) error {
	out := bufio.NewWriter(w)
	object, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return err
	}
	doc := &listWriter{w: out}
	doc.write(object[:len(object)-2]) // without the end of the object
	doc.begin("securityEvents")
	err = c.Auth.EachEvent(ctx, who, func(e audit.Entry) error {
		return doc.add(exportEvent{e.ID, e.Type, e.IPAddress, e.UserAgent, e.Metadata, endpoint.Time(e.CreatedAt)})
	})
	if err != nil {
		return err
	}
	doc.end()
	doc.begin("creditTransactions")
	if err := eachTransaction(ctx, who, ledger, doc); err != nil {
		return err
	}
	doc.end()
	doc.write([]byte(",\n  \"creditProof\": "))
	if doc.err == nil {
		doc.err = writeProof(out)
	}
	doc.write([]byte("}\n"))
	if doc.err != nil {
		return doc.err
	}
	return out.Flush()
}

// eachTransaction adds the rows of the ledger page by page, the newest first.
func eachTransaction(ctx context.Context, who principal.Caller, ledger *creditcore.Service, doc *listWriter) error {
	for before := int64(math.MaxInt64); ; {
		list, err := ledger.HistoryBefore(ctx, creditcore.Caller{UserID: who.UserID}, math.MaxInt, before)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, t := range list {
			before = t.Sequence
			if err := doc.add(exportTransaction{
				t.ID, t.Type, t.Status, t.Amount, t.BalanceBefore, t.BalanceAfter, t.AppID, t.Description,
				endpoint.Time(t.CreatedAt), endpoint.TimeOf(t.CompletedAt),
			}); err != nil {
				return err
			}
		}
	}
}

// listWriter writes the lists of a document, indented, and remembers its first
// error.
type listWriter struct {
	w     io.Writer
	err   error
	items int
}

func (l *listWriter) write(text []byte) {
	if l.err == nil {
		_, l.err = l.w.Write(text)
	}
}

func (l *listWriter) begin(name string) {
	l.items = 0
	l.write([]byte(",\n  \"" + name + "\": ["))
}

func (l *listWriter) add(item any) error {
	text, err := json.MarshalIndent(item, "    ", "  ")
	if err != nil {
		return err
	}
	if l.items++; l.items > 1 {
		l.write([]byte(","))
	}
	l.write([]byte("\n    "))
	l.write(text)
	return l.err
}

func (l *listWriter) end() {
	if l.items > 0 {
		l.write([]byte("\n  "))
	}
	l.write([]byte("]"))
}
