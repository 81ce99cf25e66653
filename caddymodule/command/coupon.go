package command

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/internal/keyset"
)

func couponCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "coupon <command>",
		Short: "Makes coupons: codes that give whoever redeems one credits",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	create := &cobra.Command{
		Use:   "create --name <text> --credits <n> [--code <code>] [--ends <date|duration>] [--max <n>] …",
		Short: "Makes a coupon and prints its code, once",
		Long: `Makes a coupon. Whoever has a verified address redeems it once; its credits are
promotional. The code is printed once: the database holds a keyed hash of it. It
needs the encryption key.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(createCoupon),
	}
	create.Flags().String("name", "", "What it is called, here and in the history of who redeems it (required)")
	create.Flags().String("credits", "", "How many credits each redemption gives, up to 100000 (required)")
	create.Flags().String("code", "", "The code, 8 to 40 letters and digits; a random one where not set")
	create.Flags().String("starts", "", "When it begins: a day, an instant or a duration from now; now where not set")
	create.Flags().String("ends", "", "When it ends: a day, an instant or a duration; never where not set")
	create.Flags().String("credits-last", "", "How long the credits last, such as 30d; for ever where not set")
	create.Flags().String("credits-expire", "", "When the credits end at the latest: a day, an instant or a duration")
	create.Flags().Int("max", 0, "How often it can be redeemed in all; 0 is any number")
	create.Flags().Int("domain-limit", 0, "How many with addresses of one domain may redeem it, public mail providers apart; 0 is any number")
	create.Flags().StringSlice("domains", nil, "Domains whose addresses alone may redeem it")
	create.Flags().String("new-within", "", "How old an account may be, such as 7d; any age where not set")
	list := &cobra.Command{
		Use:   "list",
		Short: "Lists the coupons, the newest first",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(listCoupons),
	}
	end := &cobra.Command{
		Use:   "end <id>",
		Short: "Ends a coupon; what it gave stays",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(endCoupon),
	}
	group.AddCommand(create, list, end)
	return group
}

// couponView is a coupon in JSON. Code is there once.
type couponView struct {
	ID              string            `json:"id"`
	Name            string            `json:"name"`
	Code            string            `json:"code,omitempty"`
	Credits         creditcore.Amount `json:"credits"`
	StartsAt        time.Time         `json:"startsAt"`
	EndsAt          *time.Time        `json:"endsAt"`
	CreditsLife     string            `json:"creditsLife,omitempty"`
	CreditsExpireAt *time.Time        `json:"creditsExpireAt"`
	MaxRedemptions  int               `json:"maxRedemptions,omitempty"`
	DomainLimit     int               `json:"domainLimit,omitempty"`
	Domains         []string          `json:"domains"`
	NewWithin       string            `json:"newWithin,omitempty"`
	Redeemed        int               `json:"redeemed"`
	EndedAt         *time.Time        `json:"endedAt"`
	CreatedAt       time.Time         `json:"createdAt"`
}

func viewCoupon(c coupon.Coupon) couponView {
	v := couponView{
		ID: c.ID, Name: c.Name, Credits: c.Credits, StartsAt: c.StartsAt, EndsAt: c.EndsAt, CreditsExpireAt: c.CreditsExpireAt,
		MaxRedemptions: c.MaxRedemptions, DomainLimit: c.DomainLimit, Domains: listed(c.Domains), Redeemed: c.Redeemed, EndedAt: c.EndedAt, CreatedAt: c.CreatedAt,
	}
	if c.CreditsLife > 0 {
		v.CreditsLife = c.CreditsLife.String()
	}
	if c.NewWithin > 0 {
		v.NewWithin = c.NewWithin.String()
	}
	return v
}

func createCoupon(inv invoke.Invocation, _ []string) error {
	terms, err := couponTerms(inv, time.Now())
	if err != nil {
		return err
	}
	return inv.WithSealedCores(func(c services.Cores) error {
		made, code, err := c.Coupons.Create(inv.Ctx, inv.Flag("code"), terms, audit.Event{Type: "coupon_created", By: invoke.Operator()}.Recorder())
		if err != nil {
			return couponFault(err)
		}
		view := viewCoupon(made)
		view.Code = code
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "id\t%s", view.ID)
			invoke.Line(w, "code\t%s", view.Code)
			invoke.Line(w, "credits\t%s", view.Credits)
			invoke.Line(w, "ends\t%s", invoke.OptionalTime(view.EndsAt))
		})
	})
}

// couponFlags are the flags of the terms.
var couponFlags = map[string]string{
	"name": "name", "credits": "credits", "code": "code", "startsAt": "starts", "endsAt": "ends", "creditsLife": "credits-last",
	"creditsExpireAt": "credits-expire", "maxRedemptions": "max", "domainLimit": "domain-limit", "domains": "domains", "newWithin": "new-within",
}

// couponFault names the flag that is at fault.
func couponFault(err error) error {
	var fault *coupon.TermError
	if errors.As(err, &fault) {
		return fmt.Errorf("--%s %s", couponFlags[fault.Field], fault.Fault)
	}
	return err
}

// couponTerms reads the flags.
func couponTerms(inv invoke.Invocation, now time.Time) (t coupon.Terms, err error) {
	t.Name = inv.Flag("name")
	if t.Credits, err = creditcore.ParseAmount(inv.Flag("credits")); err != nil {
		return t, fmt.Errorf("--credits: %q is not a number of credits", inv.Flag("credits"))
	}
	if text := inv.Flag("starts"); text != "" {
		at, err := momentOf("starts", text, now, 0)
		if err != nil {
			return t, err
		}
		t.StartsAt = *at
	}
	if t.EndsAt, err = momentOf("ends", inv.Flag("ends"), now, 1); err != nil {
		return t, err
	}
	if t.CreditsExpireAt, err = momentOf("credits-expire", inv.Flag("credits-expire"), now, 1); err != nil {
		return t, err
	}
	for flag, target := range map[string]*time.Duration{"credits-last": &t.CreditsLife, "new-within": &t.NewWithin} {
		text := inv.Flag(flag)
		if text == "" {
			continue
		}
		if *target, err = caddy.ParseDuration(text); err != nil || *target <= 0 {
			return t, fmt.Errorf("--%s: %q is not a duration such as 30d", flag, text)
		}
	}
	for flag, target := range map[string]*int{"max": &t.MaxRedemptions, "domain-limit": &t.DomainLimit} {
		if *target, err = inv.Flags().GetInt(flag); err != nil {
			return t, err
		}
	}
	t.Domains, err = inv.Flags().GetStringSlice("domains")
	return t, err
}

func listCoupons(inv invoke.Invocation, _ []string) error {
	const page = 100
	return inv.WithCores(func(c services.Cores) error {
		views := []couponView{}
		var before keyset.Cursor
		for {
			list, next, err := c.Coupons.Page(inv.Ctx, before, page)
			if err != nil {
				return err
			}
			for _, one := range list {
				views = append(views, viewCoupon(one))
			}
			if next.IsZero() {
				break
			}
			before = next
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tNAME\tCREDITS\tREDEEMED\tSTARTS\tENDS\tENDED\tDOMAINS")
			for _, v := range views {
				redeemed := strconv.Itoa(v.Redeemed)
				if v.MaxRedemptions > 0 {
					redeemed += " of " + strconv.Itoa(v.MaxRedemptions)
				}
				invoke.Line(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.Name, v.Credits, redeemed, invoke.OptionalTime(&v.StartsAt),
					invoke.OptionalTime(v.EndsAt), invoke.OptionalTime(v.EndedAt), strings.Join(v.Domains, " "))
			}
		})
	})
}

func endCoupon(inv invoke.Invocation, args []string) error {
	return inv.WithCores(func(c services.Cores) error {
		ended, err := c.Coupons.End(inv.Ctx, args[0], audit.Event{Type: "coupon_ended", By: invoke.Operator()}.Recorder())
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		view := viewCoupon(ended)
		return inv.Print(view, func(w io.Writer) { invoke.Line(w, "ended\t%s, redeemed %d times", view.Name, view.Redeemed) })
	})
}
