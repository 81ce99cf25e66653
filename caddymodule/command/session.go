package command

import (
	"fmt"
	"io"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/command/invoke"
)

// sessionView is a session in JSON.
type sessionView struct {
	ID             string               `json:"id"`
	Kind           authcore.SessionKind `json:"kind"`
	CreatedAt      time.Time            `json:"createdAt"`
	LastActivityAt time.Time            `json:"lastActivityAt"`
	ExpiresAt      time.Time            `json:"expiresAt"`
	IPAddress      *string              `json:"ipAddress"`
	UserAgent      *string              `json:"userAgent"`
	DeviceName     *string              `json:"deviceName"`
	Device         string               `json:"device"`
}

// allSessions is what `--revoke` means without the id of a session.
const allSessions = "all"

// userSessions implements `user sessions`.
func userSessions(inv invoke.Invocation, args []string) error {
	which := inv.Flag("revoke")
	if len(args) == 2 {
		if which != allSessions {
			return fmt.Errorf("%s: the id of a session goes with --revoke", args[1])
		}
		which = args[1]
	}
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		if which != "" {
			ended, err := endSessions(inv, s, u, which)
			if err != nil {
				return err
			}
			return inv.Print(map[string]any{"userId": u.ID, "revoked": ended}, func(w io.Writer) {
				invoke.Line(w, "ended %d sessions of %s", ended, u.Email)
			})
		}
		sessions, err := s.UserSessions(inv.Ctx, invoke.Operator(), u.ID)
		if err != nil {
			return err
		}
		views := make([]sessionView, len(sessions))
		for i, v := range sessions {
			views[i] = sessionView{
				ID: v.ID, Kind: v.Kind, CreatedAt: v.CreatedAt, LastActivityAt: v.LastActivityAt,
				ExpiresAt: v.ExpiresAt, IPAddress: v.IPAddress, UserAgent: v.UserAgent, DeviceName: v.DeviceName,
				Device: v.Device(),
			}
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tKIND\tCREATED\tLAST ACTIVE\tEXPIRES\tIP\tDEVICE")
			for _, v := range views {
				invoke.Line(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.Kind, invoke.Time(v.CreatedAt),
					invoke.Time(v.LastActivityAt), invoke.Time(v.ExpiresAt), invoke.OptionalText(v.IPAddress), v.Device)
			}
		})
	})
}

func endSessions(inv invoke.Invocation, s *authcore.Service, u authcore.User, which string) (int, error) {
	if which == allSessions {
		return s.RevokeUserSessions(inv.Ctx, invoke.Operator(), u.ID)
	}
	n, err := s.RevokeUserSession(inv.Ctx, invoke.Operator(), u.ID, which)
	if err != nil {
		err = fmt.Errorf("%s: %w", which, err)
	}
	return n, err
}
