package api

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/internal/usertext"
)

// check is one rule: its name in the tag, the message of its violation, and
// what the OpenAPI schema says of it. Text rules judge text, number rules a
// number, which is NaN where the client sent none.
type check struct {
	name    string
	message string // follows the field's name, unless it is whole
	whole   bool
	text    func(string) bool
	// worded replaces message for a text, where it has words of its own.
	worded func(string) string
	// lax holds for what is no text at all, which another rule words.
	lax    bool
	number func(float64) bool
	schema map[string]any
}

func (c check) of(field string) string {
	if c.whole {
		return c.message
	}
	return field + " " + c.message
}

// What the schema says of a form, for clients that check before they send. Where
// a pattern cannot say all, it lets pass what the rule then refuses.
const (
	emailPattern   = `^\s*[^\s@"(),:;<>\[\]\\.]+(\.[^\s@"(),:;<>\[\]\\.]+)*@([\p{L}\p{N}\p{M}]([\p{L}\p{N}\p{M}-]*[\p{L}\p{N}\p{M}])?\.)+[\p{L}\p{N}\p{M}-]*\p{L}[\p{L}\p{N}\p{M}-]*\s*$`
	urlPattern     = `^([hH][tT][tT][pP][sS]?://|[fF][tT][pP]://)?[^\s@<>"\\/?#]+([/?#][^\s<>"\\]*)?$`
	webURLPattern  = `^([hH][tT][tT][pP][sS]?://|[fF][tT][pP]://)?(\[[0-9a-fA-F:.]+\]|[^\s@<>"\\/?#:]+\.[^\s@<>"\\/?#:]+)(:[0-9]*)?([/?#][^\s<>"\\]*)?$`
	isoDatePattern = `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.,][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?$`
)

// linePattern says of a line what a pattern can: no control characters.
const linePattern = `^[^\x00-\x1f\x7f-\x9f]*$`

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

// checkNamed finds a rule of the tag's vocabulary. The texts are those of
// class-validator, which clients show.
//
//	of text     string line message email account url weburl uuid isodate date key min=n max=n upto=n notempty oneof=a|b
//	of numbers  number integer positive least=n most=n mincredits=n maxcredits=n
//
// upto is max, and notempty is min=1, but neither minds what is no text.
func checkNamed(tag string) check {
	name, arg, hasArg := strings.Cut(tag, "=")
	if name == "oneof" {
		return oneOf(strings.Split(arg, "|"))
	}
	n, err := strconv.Atoi(arg)
	if (err == nil) != hasArg {
		panic("api: rule " + tag + " needs a number, or takes none")
	}
	limit := float64(n)
	switch name {
	case "string":
		return check{name: name, message: "must be a string"}
	case "email":
		return check{name: name, message: "must be an email", text: canonical, worded: notCanonical,
			schema: object{"format": "email", "maxLength": 254, "pattern": emailPattern}}
	case "account": // the address of an account that may be older than today's rules for addresses
		return check{name: "email", message: "must be an email", text: isEmail,
			schema: object{"format": "email", "maxLength": 254, "pattern": emailPattern}}
	case "line":
		return check{name: name, message: string(usertext.Control), lax: true, text: isLine, worded: notLine,
			schema: object{"pattern": linePattern}}
	case "message": // of several lines
		return check{name: name, message: string(usertext.Control), lax: true,
			text:   func(s string) bool { _, err := usertext.Message(s, math.MaxInt); return err == nil },
			worded: func(s string) string { _, err := usertext.Message(s, math.MaxInt); return fmt.Sprint(err) }}
	case "url": // of a site, which may be a host without a dot
		return check{name: name, message: "must be a URL address", text: func(s string) bool { return isURL(s, false) }, schema: object{"pattern": urlPattern}}
	case "weburl":
		return check{name: name, message: "must be a URL address", text: func(s string) bool { return isURL(s, true) }, schema: object{"pattern": webURLPattern}}
	case "uuid":
		return check{name: name, message: "must be a UUID", text: uuidForm.MatchString,
			schema: object{"format": "uuid", "pattern": uuidForm.String()}}
	case "key": // whose texts are idempotencyKey's
		return check{name: name, message: "must be a string", schema: object{"minLength": 1, "maxLength": maxKey}}
	case "date": // whose text is its handler's
		return check{name: name, message: "must be a string", schema: object{"description": "A date of ISO 8601, or as JavaScript prints one."}}
	case "isodate":
		return check{name: name, message: "must be a valid ISO 8601 date string",
			text: func(s string) bool { _, ok := isoDate(s); return ok }, schema: object{"pattern": isoDatePattern}}
	case "min":
		return check{name: name, message: fmt.Sprintf("must be longer than or equal to %d characters", n),
			text: func(s string) bool { return characters(s) >= n }, schema: object{"minLength": n}}
	case "max":
		return check{name: name, message: fmt.Sprintf("must be shorter than or equal to %d characters", n),
			text: func(s string) bool { return characters(s) <= n }, schema: object{"maxLength": n}}
	case "upto":
		return check{name: name, message: fmt.Sprintf("must be shorter than or equal to %d characters", n), lax: true,
			text: func(s string) bool { return characters(s) <= n }, schema: object{"maxLength": n}}
	case "notempty":
		return check{name: name, message: "should not be empty", lax: true,
			text: func(s string) bool { return s != "" }, schema: object{"minLength": 1}}
	case "number":
		return check{name: name, message: "must be a number conforming to the specified constraints",
			number: func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }}
	case "integer":
		return check{name: name, message: "must be an integer number", number: func(x float64) bool { return x == math.Trunc(x) }}
	case "positive":
		return check{name: name, message: "must be a positive number", number: func(x float64) bool { return x > 0 },
			schema: object{"exclusiveMinimum": 0}}
	case "least":
		return check{name: name, message: fmt.Sprintf("must not be less than %d", n),
			number: func(x float64) bool { return x >= limit }, schema: object{"minimum": n}}
	case "most":
		return check{name: name, message: fmt.Sprintf("must not be greater than %d", n),
			number: func(x float64) bool { return x <= limit }, schema: object{"maximum": n}}
	case "mincredits":
		return check{name: name, whole: true, message: fmt.Sprintf("Minimum %d credit required", n),
			number: func(x float64) bool { return x >= limit }, schema: object{"minimum": n}}
	case "maxcredits":
		return check{name: name, whole: true, message: fmt.Sprintf("Maximum %d credits allowed", n),
			number: func(x float64) bool { return x <= limit }, schema: object{"maximum": n}}
	}
	panic("api: unknown rule " + tag)
}

func oneOf(values []string) check {
	return check{name: "oneof", message: "must be one of the following values: " + strings.Join(values, ", "),
		text: func(s string) bool { return slices.Contains(values, s) }, schema: object{"enum": values}}
}

// isoDate reads an ISO 8601 instant as of RFC 3339, or a day, which begins at
// midnight UTC.
func isoDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
