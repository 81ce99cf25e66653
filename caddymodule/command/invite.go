package command

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/config"
)

// invitationView is an invitation in JSON, without its link: that it came back
// proves the address.
type invitationView struct {
	Email     string         `json:"email"`
	Role      principal.Role `json:"role"`
	ExpiresAt time.Time      `json:"expiresAt"`
}

// inviteUser implements `user invite`.
func inviteUser(inv invoke.Invocation, args []string) error {
	valid, err := caddy.ParseDuration(inv.Flag("valid"))
	if err != nil {
		return fmt.Errorf("--valid: %q is not a duration such as 48h or 7d", inv.Flag("valid"))
	}
	switch language := inv.Flag("language"); language {
	case "", "de", "en":
	default:
		return fmt.Errorf("--language: %q is neither de nor en", language)
	}
	source, err := inv.ReadSource()
	if err != nil {
		return err
	}
	if !source.Complete {
		return errors.New("the link of an invitation leads to base_url: name the config of the edge with --config")
	}
	if settings, err := source.Config.Resolve(source.Env); err == nil && settings.Registration == config.RegistrationClosed {
		return errors.New("registration is closed, for who was invited too; write `registration invite`")
	}
	return inv.WithKeys(func(s *authcore.Service) error {
		i, err := s.InviteUser(inv.Ctx, invoke.Operator(), args[0], principal.Role(inv.Flag("role")), valid, inv.Flag("language"))
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return inv.Print(invitationView{i.Address, i.Role, i.ExpiresAt}, func(w io.Writer) {
			invoke.Line(w, "a running edge mails %s an invitation, good until %s", i.Address, invoke.Time(i.ExpiresAt))
		})
	})
}
