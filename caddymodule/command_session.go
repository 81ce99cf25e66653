package caddymodule

import (
	"io"
	"time"

	"mana.how/edge/authcore"
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
}

// userSessions implements `user sessions`.
func userSessions(inv invocation, args []string) error {
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		if inv.on("revoke") {
			ended, err := s.RevokeUserSessions(inv.ctx, operator(), u.ID)
			if err != nil {
				return err
			}
			return inv.print(map[string]any{"userId": u.ID, "revoked": ended}, func(w io.Writer) {
				line(w, "ended %d sessions of %s", ended, u.Email)
			})
		}
		sessions, err := s.UserSessions(inv.ctx, operator(), u.ID)
		if err != nil {
			return err
		}
		views := make([]sessionView, len(sessions))
		for i, v := range sessions {
			views[i] = sessionView{
				ID: v.ID, Kind: v.Kind, CreatedAt: v.CreatedAt, LastActivityAt: v.LastActivityAt,
				ExpiresAt: v.ExpiresAt, IPAddress: v.IPAddress, UserAgent: v.UserAgent, DeviceName: v.DeviceName,
			}
		}
		return inv.print(views, func(w io.Writer) {
			line(w, "ID\tKIND\tCREATED\tLAST ACTIVE\tEXPIRES\tIP\tDEVICE")
			for _, v := range views {
				device := v.DeviceName
				if device == nil {
					device = v.UserAgent
				}
				line(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.Kind, moment(v.CreatedAt),
					moment(v.LastActivityAt), moment(v.ExpiresAt), textOf(v.IPAddress), textOf(device))
			}
		})
	})
}
