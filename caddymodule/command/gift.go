package command

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	mail "mana.how/edge/authcore/address"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

func giftCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "gift <command>",
		Short: "Makes gift codes",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	create := &cobra.Command{
		Use:   "create --user <id|email> --credits <n> [--portions <n>] [--for <email>] [--message <text>] [--expires <date|duration>] [--key <text>]",
		Short: "Makes a gift code out of an account's credits",
		Long: `Makes a gift code. Its credits leave the account at once; what nobody has claimed
when it expires goes back. To give credits of nobody, grant them to an account
first. Each portion gets whole credits; what is over stays with the account. With
--key the command can be repeated without giving twice; name a day then, as a
duration makes another gift of it each time.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(createGift),
	}
	create.Flags().String("user", "", "Id or e-mail address of the account that gives (required)")
	create.Flags().String("credits", "", "How many credits in all, 1 to 10000 (required)")
	create.Flags().Int("portions", 1, "How many users may take a part, 1 to 100")
	create.Flags().String("for", "", "E-mail address of the only one who may redeem it")
	create.Flags().String("message", "", "What the redeemer reads")
	create.Flags().String("expires", "", "When it expires: a day, an instant or a duration; 90d if not set")
	create.Flags().String("key", "", "Idempotency key")
	group.AddCommand(create)
	return group
}

// giftView is a gift in JSON.
type giftView struct {
	ID                string            `json:"id"`
	Code              gift.Code         `json:"code"`
	URL               string            `json:"url"`
	TotalCredits      creditcore.Amount `json:"totalCredits"`
	CreditsPerPortion creditcore.Amount `json:"creditsPerPortion"`
	TotalPortions     int               `json:"totalPortions"`
	ExpiresAt         *time.Time        `json:"expiresAt"`
	// Replayed is set where the key was used before; nothing was reserved then.
	Replayed bool `json:"replayed"`
}

func createGift(inv invoke.Invocation, _ []string) error {
	if inv.Flag("user") == "" {
		return errors.New("--user is missing")
	}
	order, err := orderOf(inv, time.Now())
	if err != nil {
		return err
	}
	return inv.WithCores(func(c services.Cores) error {
		user, err := c.Auth.UserByIDOrEmail(inv.Ctx, invoke.Operator(), inv.Flag("user"))
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Flag("user"), err)
		}
		made, err := c.Gifts.Create(inv.Ctx, creditcore.Caller{UserID: user.ID, Email: user.Email, Role: string(user.Role)}, order)
		if err != nil {
			return giftFault(err)
		}
		view := giftView{
			ID: made.ID, Code: made.Code, URL: made.URL, TotalCredits: made.TotalCredits,
			CreditsPerPortion: made.CreditsPerPortion, TotalPortions: made.TotalPortions, ExpiresAt: made.ExpiresAt, Replayed: made.Replayed,
		}
		return inv.Print(view, func(w io.Writer) {
			if view.Replayed {
				invoke.Line(w, "made before under this key; nothing was reserved now")
			}
			invoke.Line(w, "code\t%s", view.Code)
			invoke.Line(w, "link\t%s", view.URL)
			invoke.Line(w, "credits\t%s, %d portions of %s", view.TotalCredits, view.TotalPortions, view.CreditsPerPortion)
			invoke.Line(w, "expires\t%s", invoke.OptionalTime(view.ExpiresAt))
		})
	})
}

// giftFault says how much is lacking.
func giftFault(err error) error {
	var short *creditcore.InsufficientError
	if errors.As(err, &short) {
		return fmt.Errorf("the account has %s credits, %s are needed; `mana-edge mana credits grant` gives some", short.Available, short.Required)
	}
	return err
}

// orderOf reads the flags.
func orderOf(inv invoke.Invocation, now time.Time) (gift.Order, error) {
	credits, err := creditcore.ParseAmount(inv.Flag("credits"))
	if err != nil || credits < creditcore.Credit || credits > creditcore.Credits(10_000) {
		return gift.Order{}, fmt.Errorf("--credits: %q is not a number from 1 to 10000", inv.Flag("credits"))
	}
	portions, err := inv.Flags().GetInt("portions")
	if err != nil || portions < 1 || portions > 100 {
		return gift.Order{}, fmt.Errorf("--portions: %d is not from 1 to 100", portions)
	}
	expires, err := expiryOf(inv.Flag("expires"), now)
	if err != nil {
		return gift.Order{}, err
	}
	order := gift.Order{
		Credits: credits, Portions: portions, Message: inv.Flag("message"),
		ExpiresAt: expires, SourceApp: "admin", Key: inv.Flag("key"),
	}
	switch to := inv.Flag("for"); {
	case to != "":
		order.Type = gift.Personalized
		if order.TargetEmail, err = mail.Canonical(to); err != nil {
			return order, fmt.Errorf("--for: %w", err)
		}
	case portions > 1:
		order.Type = gift.FirstCome
	}
	return order, nil
}
