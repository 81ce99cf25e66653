package syntax

import (
	"errors"
	"regexp"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// Faults are what is wrong with one block of a Caddyfile, each with its file and
// line. They travel in the JSON, because an adapter stops at the first error:
// so a config is refused once, with all that is to be mended in it, when it is
// provisioned.
type Faults []string

// FaultsOf takes joined errors apart.
func FaultsOf(err error) (faults Faults) {
	for _, fault := range Flatten(err) {
		faults = append(faults, fault.Error())
	}
	return faults
}

// DirectiveFaults are those of a directive in a site: what its parser found, and
// what the handler finds wrong with its values.
func DirectiveFaults(h httpcaddyfile.Helper, syntax error, handler caddy.Validator) Faults {
	faults := FaultsOf(syntax)
	for _, fault := range Flatten(handler.Validate()) {
		seekOption(h.Dispenser, fault)
		faults = append(faults, h.WrapErr(fault).Error())
	}
	return faults
}

var optionOf = regexp.MustCompile(`^mana_[a-z_]+: ([a-z_]+):`)

// seekOption goes to the option of the directive that the error begins with,
// and to the directive itself where that is not written.
func seekOption(d *caddyfile.Dispenser, fault error) {
	d.Reset()
	d.Next()
	if m := optionOf.FindStringSubmatch(fault.Error()); m != nil {
		for line := d.Line(); d.Next(); line = d.Line() {
			if d.Val() == m[1] && d.Line() != line {
				return
			}
		}
	}
	d.Reset()
	d.Next()
}

// Err joins the faults, nil where there are none.
func (f Faults) Err() error {
	var faults []error
	for _, text := range f {
		faults = append(faults, errors.New(text))
	}
	return errors.Join(faults...)
}

// Flatten takes joined errors apart, each of which is a finding of its own.
func Flatten(err error) []error {
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
