package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Looks for what is wrong, and says what to do",
		Long: `Checks the config, as validate does, the database (address, poolers, roles, schema, row-level
security, clock, keys), cookies, DNS, Redis and Stripe. Each line is ok, warn or fail; the
exit code is 1 if any fails.`,
		Args: cobra.NoArgs,
		RunE: runs(doctorAction),
	}
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
	invocation
	findings []finding
}

func (d *doctor) find(check, status, format string, args ...any) {
	d.findings = append(d.findings, finding{check, status, fmt.Sprintf(format, args...)})
}

func (d *doctor) ok(check, format string, args ...any)   { d.find(check, statusOK, format, args...) }
func (d *doctor) warn(check, format string, args ...any) { d.find(check, statusWarn, format, args...) }
func (d *doctor) fail(check, format string, args ...any) { d.find(check, statusFail, format, args...) }

func doctorAction(inv invocation, _ []string) error {
	s, err := inv.readSource()
	if err != nil {
		return err
	}
	if inv.flag("database") == "" && !s.complete && processEnvironment.first("BASE_URL", "JWT_ISSUER") != "" {
		// The server would start on its environment alone.
		s.config, s.env, s.complete = Config{}, processEnvironment, true
	}
	d := &doctor{invocation: inv}
	d.examine(s)
	if err := inv.print(d.findings, func(w io.Writer) {
		for _, f := range d.findings {
			line(w, "%s\t%s\t%s", f.Status, f.Check, strings.ReplaceAll(f.Detail, "\n", " "))
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

func (d *doctor) examine(s source) {
	settings, faults := s.config.resolve(s.env)
	if !d.config(s, faults) {
		d.ok("config", "from %s", s.from)
	}
	if s.raw != nil {
		d.secrets(s.config)
		d.admin(s.raw)
	}
	if s.complete && faults == nil {
		d.cookies(settings)
		d.dns(settings)
	}
	d.redis(settings)
	if faults == nil {
		d.payments(settings)
	}
	if place, err := s.locate(); err == nil {
		d.database(place, settings, faults == nil)
	}
}

// flatten takes joined errors apart, each of which is a finding of its own.
func flatten(err error) []error {
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &joined):
		return joined.Unwrap()
	default:
		return []error{err}
	}
}
