package doctor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/config"
)

// Command is `mana-edge mana doctor`.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [--explain <id> [--log <file>]…]",
		Short: "Looks for what is wrong, and says what to do",
		Long: `Checks the config, as validate does, the database (address, poolers, connections, roles, schema, row-level
security, clock, keys and their age, backups of an embedded one, disk), cookies, DNS, the certificate, Redis and its memory, the
mail server and what DNS says of the sender, the storage of pictures and Stripe. Each line is ok, warn or fail; the exit code is 1 if any fails.

With --explain it says what the logs and the database know of an id: the
requestId of an answer that failed, or the id of an account, an event, a row of
the ledger or a gift. Logs are the files that the config writes, or those of
--log, of which - is what comes in.`,
		Args: cobra.NoArgs,
	}
	id := cmd.Flags().String("explain", "", "Say what the logs and the database know of this id")
	logs := cmd.Flags().StringArray("log", nil, "Read this log for --explain; - is what comes in (repeatable)")
	cmd.RunE = invoke.Runs(func(inv invoke.Invocation, args []string) error {
		switch {
		case inv.Flags().Changed("explain"):
			return explain(inv, *id, *logs)
		case len(*logs) > 0:
			return errors.New("--log: is for --explain alone")
		}
		return doctorAction(inv, args)
	})
	return cmd
}

// finding is one line of the doctor's.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn or fail
	Detail string `json:"detail"`
}

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

// doctor collects findings. It goes on after a failure as far as there is
// something to look at.
type doctor struct {
	invoke.Invocation
	findings []finding
}

func (d *doctor) find(check, status, format string, args ...any) {
	d.findings = append(d.findings, finding{check, status, fmt.Sprintf(format, args...)})
}

func (d *doctor) ok(check, format string, args ...any)   { d.find(check, statusOK, format, args...) }
func (d *doctor) warn(check, format string, args ...any) { d.find(check, statusWarn, format, args...) }
func (d *doctor) fail(check, format string, args ...any) { d.find(check, statusFail, format, args...) }

func doctorAction(inv invoke.Invocation, _ []string) error {
	s, err := inv.ReadSource()
	if err != nil {
		return err
	}
	if inv.Flag("database") == "" && !s.Complete && config.ProcessEnvironment.First("BASE_URL", "JWT_ISSUER") != "" {
		// The server would start on its environment alone.
		s.Config, s.Env, s.Complete = config.Config{}, config.ProcessEnvironment, true
	}
	d := &doctor{Invocation: inv}
	d.examine(s)
	if err := inv.Print(d.findings, func(w io.Writer) {
		for _, f := range d.findings {
			invoke.Line(w, "%s\t%s\t%s", f.Status, f.Check, strings.ReplaceAll(f.Detail, "\n", " "))
		}
	}); err != nil {
		return err
	}
	failed := 0
	for _, f := range d.findings {
		if f.Status == statusFail {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(d.findings))
	}
	return nil
}

func (d *doctor) examine(s invoke.Source) {
	settings, faults := s.Config.Resolve(s.Env)
	if !d.config(s, faults) {
		d.ok("config", "from %s", s.From)
	}
	if s.Raw != nil {
		d.secrets(s.Config)
		d.admin(s.Raw)
	}
	if s.Complete && faults == nil {
		d.cookies(settings, s.Raw)
		if d.dns(settings) {
			d.certificate(settings.BaseURL, nil, time.Now())
		}
	}
	d.replica(settings)
	d.redis(settings)
	if faults == nil {
		d.payments(settings)
		d.mail(settings)
		if settings.SMTP.IsSet() {
			d.sender(settings.SMTP.From, net.DefaultResolver.LookupTXT)
		}
		d.storage(settings)
		d.breaches(settings)
		d.issuers(settings)
	}
	if place, err := s.Locate(); err == nil {
		d.disk(place)
		d.backups(place, time.Now())
		d.database(place, settings, faults == nil)
	}
}
