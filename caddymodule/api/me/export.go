package me

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math"

	"mana.how/edge/authcore/audit"
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
	sessions, err := c.Auth.AllSessions(ctx, c.Caller)
	if err != nil {
		return endpoint.Download{}, err
	}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return endpoint.Download{}, err
	}
	now := c.Now()
	head := exportHead{Summary: summary, ExportedAt: endpoint.Time(now), ExportVersion: exportVersion}
	head.Sessions = exportSessions{Active: []exportSession{}, History: []exportSession{}}
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
		Content: func(w io.Writer) error { return writeExport(ctx, w, head, c, ledger) },
	}, nil
}

// writeExport writes the document. What is long is read piece by piece.
func writeExport(ctx context.Context, w io.Writer, head exportHead, c *endpoint.Call, ledger *creditcore.Service) error {
	out := bufio.NewWriter(w)
	object, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return err
	}
	doc := &listWriter{w: out}
	doc.write(object[:len(object)-2]) // without the end of the object
	doc.begin("securityEvents")
	err = c.Auth.EachEvent(ctx, c.Caller, func(e audit.Entry) error {
		return doc.add(exportEvent{e.ID, e.Type, e.IPAddress, e.UserAgent, e.Metadata, endpoint.Time(e.CreatedAt)})
	})
	if err != nil {
		return err
	}
	doc.end()
	doc.begin("creditTransactions")
	if err := eachTransaction(ctx, c, ledger, doc); err != nil {
		return err
	}
	doc.end()
	doc.write([]byte("\n}\n"))
	if doc.err != nil {
		return doc.err
	}
	return out.Flush()
}

// eachTransaction adds the rows of the ledger page by page, the newest first.
func eachTransaction(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, doc *listWriter) error {
	for before := int64(math.MaxInt64); ; {
		list, err := ledger.HistoryBefore(ctx, c.Payer(), math.MaxInt, before)
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
