package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/command/invoke"
)

func orgCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "org <command>",
		Short: "Makes, lists and deletes organisations",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list [--search <text>]",
		Short: "Lists organisations, the newest first",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(listOrganizations),
	}
	list.Flags().String("search", "", "Part of the name or the slug")
	list.Flags().Int("limit", 100, "How many to show, 1 to 1000")
	list.Flags().Int("offset", 0, "How many to pass over")

	create := &cobra.Command{
		Use:   "create --name <name> --owner <id|email> [--slug <slug>]",
		Short: "Makes an organisation that an account owns, whose address is proven",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(createOrganization),
	}
	create.Flags().String("name", "", "Name (required)")
	create.Flags().String("owner", "", "Account that owns it (required)")
	create.Flags().String("slug", "", "Its name in URLs; made of the name where it is not given")

	remove := &cobra.Command{
		Use:   "delete <id|slug>",
		Short: "Deletes an organisation for ever, with its memberships and invitations",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(deleteOrganization),
	}
	members := &cobra.Command{
		Use:   "members <id|slug>",
		Short: "Lists the members of an organisation, the oldest first",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(organizationMembers),
	}
	group.AddCommand(list, create, remove, members)
	return group
}

// organizationView is an organisation in JSON.
type organizationView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Slug      *string   `json:"slug"`
	Owners    []string  `json:"owners"`
	Members   int       `json:"members"`
	CreatedAt time.Time `json:"createdAt"`
}

func viewOrganization(o organization.Listed) organizationView {
	return organizationView{ID: o.ID, Name: o.Name, Slug: o.Slug, Owners: o.Owners, Members: o.Members, CreatedAt: o.CreatedAt}
}

func listOrganizations(inv invoke.Invocation, _ []string) error {
	limit, _ := inv.Flags().GetInt("limit")
	offset, _ := inv.Flags().GetInt("offset")
	return inv.WithService(func(s *authcore.Service) error {
		all, err := s.AllOrganizations(inv.Ctx, invoke.Operator(), organization.Query{Search: inv.Flag("search"), Limit: limit, Offset: offset})
		if err != nil {
			return err
		}
		views := make([]organizationView, len(all))
		for i, o := range all {
			views[i] = viewOrganization(o)
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tNAME\tSLUG\tOWNERS\tMEMBERS\tCREATED")
			for _, v := range views {
				invoke.Line(w, "%s\t%s\t%s\t%s\t%d\t%s", v.ID, v.Name, invoke.OptionalText(v.Slug), strings.Join(v.Owners, " "), v.Members, invoke.Time(v.CreatedAt))
			}
		})
	})
}

func createOrganization(inv invoke.Invocation, _ []string) error {
	for _, flag := range []string{"name", "owner"} {
		if inv.Flag(flag) == "" {
			return fmt.Errorf("--%s is missing", flag)
		}
	}
	return inv.WithService(func(s *authcore.Service) error {
		owner, err := s.UserByIDOrEmail(inv.Ctx, invoke.Operator(), inv.Flag("owner"))
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Flag("owner"), err)
		}
		made, err := s.CreateOrganizationFor(inv.Ctx, invoke.Operator(), owner.ID, organization.New{Name: inv.Flag("name"), Slug: inv.Flag("slug")})
		if err != nil {
			return err
		}
		view := viewOrganization(organization.Listed{Organization: made, Members: 1, Owners: []string{owner.Email}})
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "id\t%s", view.ID)
			invoke.Line(w, "name\t%s", view.Name)
			invoke.Line(w, "slug\t%s", invoke.OptionalText(view.Slug))
			invoke.Line(w, "owner\t%s", owner.Email)
		})
	})
}

// onOrganization runs f on the organisation that the first argument names.
func onOrganization(inv invoke.Invocation, args []string, f func(*authcore.Service, organization.Listed) error) error {
	return inv.WithService(func(s *authcore.Service) error {
		o, err := s.OrganizationByIDOrSlug(inv.Ctx, invoke.Operator(), args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return f(s, o)
	})
}

func deleteOrganization(inv invoke.Invocation, args []string) error {
	return onOrganization(inv, args, func(s *authcore.Service, o organization.Listed) error {
		if err := s.RemoveOrganization(inv.Ctx, invoke.Operator(), o.ID); err != nil {
			return err
		}
		return inv.Print(map[string]any{"id": o.ID, "deleted": true}, func(w io.Writer) {
			invoke.Line(w, "deleted the organisation %s, %s, of %d members", o.ID, o.Name, o.Members)
		})
	})
}

// memberView is a member in JSON.
type memberView struct {
	ID        string            `json:"id"`
	UserID    string            `json:"userId"`
	Email     string            `json:"email"`
	Name      string            `json:"name"`
	Role      organization.Role `json:"role"`
	CreatedAt time.Time         `json:"createdAt"`
}

func organizationMembers(inv invoke.Invocation, args []string) error {
	return onOrganization(inv, args, func(s *authcore.Service, o organization.Listed) error {
		all, err := s.MembersOf(inv.Ctx, invoke.Operator(), o.ID)
		if err != nil {
			return err
		}
		views := make([]memberView, len(all))
		for i, m := range all {
			views[i] = memberView{ID: m.ID, UserID: m.UserID, Email: m.Email, Name: m.Name, Role: m.Role, CreatedAt: m.CreatedAt}
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tUSER\tEMAIL\tNAME\tROLE\tSINCE")
			for _, v := range views {
				invoke.Line(w, "%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.UserID, v.Email, v.Name, v.Role, invoke.Time(v.CreatedAt))
			}
		})
	})
}
