package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/usertext"
	"mana.how/edge/internal/webhook"
)

// Failure is an error with a code for programs, an upper-case word.
type Failure struct {
	Code string
	Err  error
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// usageCode is the code of a command that was not written as it is to be.
const usageCode = "USAGE"

// codes are those of errors of the cores. The first that fits counts.
var codes = []struct {
	err  error
	code string
}{
	{context.Canceled, "CANCELED"},
	{authcore.ErrUserNotFound, "USER_NOT_FOUND"},
	{organization.ErrNotFound, "ORGANIZATION_NOT_FOUND"},
	{apikey.ErrNotFound, "API_KEY_NOT_FOUND"},
	{authcore.ErrKeyNotFound, "SIGNING_KEY_NOT_FOUND"},
	{authcore.ErrSessionNotFound, "SESSION_NOT_FOUND"},
	{outbox.ErrNotFound, "MESSAGE_NOT_FOUND"},
	{creditcore.ErrPriceBookChanged, "PRICES_CHANGED"},
	{creditcore.ErrPriceVersionBound, "PRICE_VERSION_BOUND"},
	{creditcore.ErrPricesPast, "PRICES_EFFECTIVE"},
	{webhook.ErrNotFound, "WEBHOOK_NOT_FOUND"},
	{webhook.ErrNoDelivery, "DELIVERY_NOT_FOUND"},
	{webhook.ErrInvalid, "INVALID_INPUT"},
	{webhook.ErrDisabled, "WEBHOOK_DISABLED"},
	{webhook.ErrTooMany, "TOO_MANY_WEBHOOKS"},
	{authcore.ErrEmailTaken, "EMAIL_TAKEN"},
	{authcore.ErrEmailNotVerified, "EMAIL_NOT_VERIFIED"},
	{twofactor.ErrNotEnabled, "TWO_FACTOR_NOT_ENABLED"},
	{organization.ErrSlugTaken, "SLUG_TAKEN"},
	{creditcore.ErrKeyReused, "IDEMPOTENCY_KEY_REUSED"},
	{creditcore.ErrAmount, "INVALID_AMOUNT"},
	{authcore.ErrInvalidInput, "INVALID_INPUT"},
	{organization.ErrInvalidInput, "INVALID_INPUT"},
	{creditcore.ErrInvalid, "INVALID_INPUT"},
	{errNoCluster, "NO_DATABASE"},
	{authcore.ErrUnavailable, "UNAVAILABLE"},
	{creditcore.ErrUnavailable, "UNAVAILABLE"},
}

// CodeOf is the code of an error; FAILED where it has none.
func CodeOf(err error) string {
	var f *Failure
	if errors.As(err, &f) {
		return f.Code
	}
	if errors.As(err, new(*password.Error)) {
		return "PASSWORD_REFUSED"
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if dbscope.IsUnavailable(err) {
		return "UNAVAILABLE"
	}
	return "FAILED"
}

// failureView is an error in JSON.
type failureView struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// Tell has a command and all below it tell their errors, those of their flags and
// arguments too, as JSON where the caller asked for that: in the last line of the
// error output, {"error":{"code":"…","message":"…"}}.
func Tell(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return tell(cmd, &Failure{usageCode, err}) })
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return tell(cmd, &Failure{usageCode, err})
			}
			return nil
		}
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return tell(cmd, run(cmd, args)) }
	}
	for _, below := range cmd.Commands() {
		Tell(below)
	}
}

// tell writes an error as JSON, where that is asked for, in the place of cobra.
func tell(cmd *cobra.Command, err error) error {
	if err == nil || !asksForJSON(cmd) {
		return err
	}
	var view failureView
	view.Error.Code, view.Error.Message = CodeOf(err), err.Error()
	raw, encoding := json.Marshal(view)
	if encoding != nil {
		return errors.Join(err, encoding)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), usertext.EscapeJSON(string(raw)))
	cmd.SilenceErrors = true
	return err
}

// asksForJSON reports whether the caller wants JSON, also where a flag before it
// could not be read.
func asksForJSON(cmd *cobra.Command) bool {
	asked, err := cmd.Flags().GetBool("json")
	return err == nil && asked || slices.Contains(os.Args[1:], "--json")
}
