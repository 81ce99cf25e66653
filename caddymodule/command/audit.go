package command

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/command/invoke"
)

func auditCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "audit <command>",
		Short: "Shows what happened to accounts",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	log := &cobra.Command{
		Use:   "log [--since <date|duration>] [--user <id|email>] [--type <event>]",
		Short: "Lists security events, the newest first",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(auditLog),
	}
	log.Flags().String("since", "", "Only what happened since: a day, an instant, or a duration ago such as 24h or 7d")
	log.Flags().String("user", "", "Only what happened to this account")
	log.Flags().String("type", "", "Only events of this type, such as login_failed")
	log.Flags().Int("limit", 200, "How many to show, 1 to 10000")
	group.AddCommand(log)
	return group
}

// eventView is a security event in JSON.
type eventView struct {
	ID        string          `json:"id"`
	CreatedAt time.Time       `json:"createdAt"`
	Type      string          `json:"type"`
	UserID    *string         `json:"userId"`
	Email     *string         `json:"email"`
	IPAddress *string         `json:"ipAddress"`
	UserAgent *string         `json:"userAgent"`
	Metadata  json.RawMessage `json:"metadata"`
}

// auditLog implements `audit log`.
func auditLog(inv invoke.Invocation, _ []string) error {
	since, err := sinceOf(inv.Flag("since"), time.Now())
	if err != nil {
		return err
	}
	limit, err := inv.Flags().GetInt("limit")
	if err != nil || limit < 1 || limit > 10_000 {
		return fmt.Errorf("--limit: %d is not from 1 to 10000", limit)
	}
	return inv.WithService(func(s *authcore.Service) error {
		q := audit.Query{Since: since, Type: inv.Flag("type"), Limit: limit}
		if who := inv.Flag("user"); who != "" {
			u, err := s.UserByIDOrEmail(inv.Ctx, invoke.Operator(), who)
			if err != nil {
				return fmt.Errorf("--user: %s: %w", who, err)
			}
			q.UserID = u.ID
		}
		events, err := s.Events(inv.Ctx, invoke.Operator(), q)
		if err != nil {
			return err
		}
		views := make([]eventView, len(events))
		for i, e := range events {
			views[i] = eventView{e.ID, e.CreatedAt, e.Type, e.UserID, e.Email, e.IPAddress, e.UserAgent, e.Metadata}
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "TIME\tEVENT\tACCOUNT\tADDRESS\tDETAIL")
			for _, v := range views {
				account := v.Email
				if account == nil {
					account = v.UserID
				}
				invoke.Line(w, "%s\t%s\t%s\t%s\t%s", invoke.Time(v.CreatedAt), v.Type, invoke.OptionalText(account), invoke.OptionalText(v.IPAddress), string(v.Metadata))
			}
		})
	})
}

// sinceOf reads a day, an instant or a duration before now; the zero time where
// nothing is said.
func sinceOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	if d, err := caddy.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("--since: %q is neither a day, an instant nor a duration such as 24h or 7d", text)
}
