package command

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/command/invoke"
)

func userCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "user <command>",
		Short: "Makes, lists and changes accounts",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	create := &cobra.Command{
		Use:   "create --email <address> [--name <name>] [--role user|support|admin|service] [--password-stdin]",
		Short: "Makes an account",
		Long: `Makes an account with a verified e-mail address. The password is the first line
of the input with --password-stdin; else it is asked for on a terminal; else,
or where the answer is empty, one is made and printed.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(createUser),
	}
	create.Flags().String("email", "", "E-mail address (required)")
	create.Flags().String("name", "", "Name")
	create.Flags().String("role", "user", "user, support, admin or service")
	create.Flags().Bool("password-stdin", false, "Read the password from the input")

	list := &cobra.Command{
		Use:   "list [--search <text>]",
		Short: "Lists accounts, the newest first",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(listUsers),
	}
	list.Flags().String("search", "", "Part of the e-mail address or the name")
	list.Flags().Int("limit", 100, "How many to show, 1 to 1000")
	list.Flags().Int("offset", 0, "How many to pass over")

	role := &cobra.Command{
		Use:   "role <id|email> user|support|admin|service",
		Short: "Changes an account's role",
		Args:  cobra.ExactArgs(2),
		RunE:  invoke.Runs(changeRole),
	}
	disable := &cobra.Command{
		Use:   "disable <id|email> [--enable]",
		Short: "Shuts an account out at once, or lets it in again",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(disableUser),
	}
	disable.Flags().Bool("enable", false, "Let the account in again")

	sessions := &cobra.Command{
		Use:   "sessions <id|email> [--revoke [<session>]]",
		Short: "Lists an account's sessions, or ends one or all of them",
		Args:  cobra.RangeArgs(1, 2),
		RunE:  invoke.Runs(userSessions),
	}
	sessions.Flags().String("revoke", "", "End the session of that id, or all sessions where none is named")
	sessions.Flags().Lookup("revoke").NoOptDefVal = allSessions

	verify := &cobra.Command{
		Use:   "verify <id|email>",
		Short: "Notes that an account's e-mail address is proven, and hands out what waited for that",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(verifyUser),
	}

	password := &cobra.Command{
		Use:   "password <id|email> [--password-stdin]",
		Short: "Gives an account another password, and ends all its sessions",
		Long: `Gives an account another password, and ends all its sessions. The password is
the first line of the input with --password-stdin; else it is asked for on a
terminal; else, or where the answer is empty, one is made and printed.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(changePassword),
	}
	password.Flags().Bool("password-stdin", false, "Read the password from the input")
	remove := &cobra.Command{
		Use:   "delete <id|email>",
		Short: "Closes an account for ever and erases who it was; its ledger stays, under the id alone",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(deleteUser),
	}

	factor := &cobra.Command{
		Use:   "reset-factor <id|email>",
		Short: "Takes the second factor off an account whose owner has lost it",
		Long: `Takes the second factor off an account whose owner has lost it, with its backup
codes, and no device is trusted any more. Make sure that it is the owner who
asks: from then on the password alone signs in.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(resetFactor),
	}

	invite := &cobra.Command{
		Use:   "invite <address> [--role user|support|admin|service] [--valid 7d] [--language de|en]",
		Short: "Mails an invitation to make an account, once and with that address",
		Long: `Mails an invitation to make an account, once and with that address, which is
proven then. Invitations of the address before are worth nothing any more. The
mail is sealed with the encryption key, and sent by a running edge.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(inviteUser),
	}
	invite.Flags().String("role", "user", "user, support, admin or service")
	invite.Flags().String("valid", "7d", "How long it is good, 1h to 90d")
	invite.Flags().String("language", "", "Language of the mail: de or en")

	group.AddCommand(create, invite, list, role, disable, sessions, verify, password, factor, remove)
	return group
}

// userView is an account in JSON.
type userView struct {
	ID            string         `json:"id"`
	Email         string         `json:"email"`
	Name          string         `json:"name"`
	Role          principal.Role `json:"role"`
	EmailVerified bool           `json:"emailVerified"`
	CreatedAt     time.Time      `json:"createdAt"`
	DisabledAt    *time.Time     `json:"disabledAt"`
	// Password is there only where the command made it.
	Password string `json:"password,omitempty"`
}

func viewUser(u authcore.User) userView {
	return userView{
		ID: u.ID, Email: u.Email, Name: u.Name, Role: u.Role,
		EmailVerified: u.EmailVerified, CreatedAt: u.CreatedAt, DisabledAt: u.DisabledAt,
	}
}

func (v userView) print(inv invoke.Invocation) error {
	return inv.Print(v, func(w io.Writer) {
		invoke.Line(w, "id\t%s", v.ID)
		invoke.Line(w, "email\t%s", v.Email)
		invoke.Line(w, "name\t%s", v.Name)
		invoke.Line(w, "role\t%s", v.Role)
		invoke.Line(w, "verified\t%s", invoke.YesNo(v.EmailVerified))
		invoke.Line(w, "disabled\t%s", invoke.OptionalTime(v.DisabledAt))
		if v.Password != "" {
			invoke.Line(w, "password\t%s", v.Password)
		}
	})
}

func createUser(inv invoke.Invocation, _ []string) error {
	email := inv.Flag("email")
	if email == "" {
		return fmt.Errorf("--email is missing")
	}
	password, generated, err := choosePassword(inv)
	if err != nil {
		return err
	}
	return inv.WithService(func(s *authcore.Service) error {
		user, err := s.CreateUser(inv.Ctx, invoke.Operator(), authcore.NewUser{
			Email: email, Password: password, Name: inv.Flag("name"),
			Role: principal.Role(inv.Flag("role")), Verified: true,
		})
		if err != nil {
			return err
		}
		view := viewUser(user)
		if generated {
			view.Password = password
		}
		return view.print(inv)
	})
}

func listUsers(inv invoke.Invocation, _ []string) error {
	limit, _ := inv.Flags().GetInt("limit")
	offset, _ := inv.Flags().GetInt("offset")
	return inv.WithService(func(s *authcore.Service) error {
		users, err := s.Users(inv.Ctx, invoke.Operator(), authcore.UserQuery{
			Search: inv.Flag("search"), Limit: limit, Offset: offset,
		})
		if err != nil {
			return err
		}
		views := make([]userView, len(users))
		for i, u := range users {
			views[i] = viewUser(u)
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tEMAIL\tNAME\tROLE\tCREATED\tDISABLED")
			for _, v := range views {
				invoke.Line(w, "%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.Email, v.Name, v.Role, invoke.Time(v.CreatedAt), invoke.OptionalTime(v.DisabledAt))
			}
		})
	})
}

// onUser runs f on the account that the first argument names.
func onUser(inv invoke.Invocation, args []string, f func(*authcore.Service, authcore.User) error) error {
	return inv.WithService(func(s *authcore.Service) error {
		user, err := s.UserByIDOrEmail(inv.Ctx, invoke.Operator(), args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return f(s, user)
	})
}

func changeRole(inv invoke.Invocation, args []string) error {
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		user, err := s.SetRole(inv.Ctx, invoke.Operator(), u.ID, principal.Role(args[1]))
		if err != nil {
			return err
		}
		return viewUser(user).print(inv)
	})
}

func changePassword(inv invoke.Invocation, args []string) error {
	password, generated, err := choosePassword(inv)
	if err != nil {
		return err
	}
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		if err := s.SetPassword(inv.Ctx, invoke.Operator(), u.ID, password); err != nil {
			return err
		}
		view := viewUser(u)
		if generated {
			view.Password = password
		}
		return view.print(inv)
	})
}

func deleteUser(inv invoke.Invocation, args []string) error {
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		if err := s.DeleteUser(inv.Ctx, invoke.Operator(), u.ID); err != nil {
			return err
		}
		return inv.Print(map[string]any{"id": u.ID, "deleted": true}, func(w io.Writer) {
			invoke.Line(w, "deleted the account %s of %s", u.ID, u.Email)
		})
	})
}

func resetFactor(inv invoke.Invocation, args []string) error {
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		if err := s.ResetTwoFactor(inv.Ctx, invoke.Operator(), u.ID); err != nil {
			return err
		}
		return viewUser(u).print(inv)
	})
}

func verifyUser(inv invoke.Invocation, args []string) error {
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		user, err := s.VerifyEmail(inv.Ctx, invoke.Operator(), u.ID)
		if err != nil {
			return err
		}
		return viewUser(user).print(inv)
	})
}

func disableUser(inv invoke.Invocation, args []string) error {
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		user, err := s.SetDisabled(inv.Ctx, invoke.Operator(), u.ID, !inv.On("enable"))
		if err != nil {
			return err
		}
		return viewUser(user).print(inv)
	})
}
