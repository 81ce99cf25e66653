package validate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"mana.how/edge/caddymodule/request"
	"mana.how/edge/internal/usertext"
)

// Rule is what a field must be. Text rules check text, number rules a number,
// which is NaN where the client sent none.
type Rule struct {
	Name    string // in the tag
	Message string // of its violation, which follows the field's name
	// Schema is what the OpenAPI document says of it, in JSON Schema.
	Schema map[string]any

	whole bool // the message says all, without the field's name
	text  func(string) bool
	// worded replaces the message for a text, where it has words of its own.
	worded func(string) string
	// lax holds for what is no text at all, which another rule words.
	lax    bool
	number func(float64) bool
}

// of is the message of a violation by the field.
func (c Rule) of(field string) string {
	if c.whole {
		return c.Message
	}
	return field + " " + c.Message
}

// What the schema says of a form, for clients that check before they send. Where
// a pattern cannot say all, it lets pass what the rule then refuses.
const (
	emailPattern   = `^\s*[^\s@"(),:;<>\[\]\\.]+(\.[^\s@"(),:;<>\[\]\\.]+)*@([\p{L}\p{N}\p{M}]([\p{L}\p{N}\p{M}-]*[\p{L}\p{N}\p{M}])?\.)+[\p{L}\p{N}\p{M}-]*\p{L}[\p{L}\p{N}\p{M}-]*\s*$`
	urlPattern     = `^([hH][tT][tT][pP][sS]?://|[fF][tT][pP]://)?[^\s@<>"\\/?#]+([/?#][^\s<>"\\]*)?$`
	webURLPattern  = `^([hH][tT][tT][pP][sS]?://|[fF][tT][pP]://)?(\[[0-9a-fA-F:.]+\]|[lL][oO][cC][aA][lL][hH][oO][sS][tT]|[^\s@<>"\\/?#:]+\.[^\s@<>"\\/?#:]+)(:[0-9]*)?([/?#][^\s<>"\\]*)?$`
	isoDatePattern = `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.,][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?$`
)

// linePattern says of a line what a pattern can: no control characters.
const linePattern = `^[^\x00-\x1f\x7f-\x9f]*$`

const uuidPattern = `^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`

// isUUID accepts the form with hyphens alone, of the several that the library
// reads.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// ruleNamed finds a rule of the tag's vocabulary. The texts are those of
// class-validator, which clients show.
//
//	of text     string line message email account url weburl uuid isodate date key min=n max=n upto=n notempty oneof=a|b
//	of numbers  number integer positive least=n most=n mincredits=n maxcredits=n
//
// upto is max, and notempty is min=1, but neither minds what is no text.
func ruleNamed(tag string) Rule {
	name, arg, hasArg := strings.Cut(tag, "=")
	if name == "oneof" {
		return oneOf(strings.Split(arg, "|"))
	}
	n, err := strconv.Atoi(arg)
	if (err == nil) != hasArg {
		panic("validate: rule " + tag + " needs a number, or takes none")
	}
	limit := float64(n)
	switch name {
	case "string":
		return Rule{Name: name, Message: "must be a string"}
	case "email":
		return Rule{Name: name, Message: "must be an email", text: canonical, worded: notCanonical,
			Schema: map[string]any{"format": "email", "maxLength": 254, "pattern": emailPattern}}
	case "account": // the address of an account that may be older than today's rules for addresses
		return Rule{Name: "email", Message: "must be an email", text: IsEmail,
			Schema: map[string]any{"format": "email", "maxLength": 254, "pattern": emailPattern}}
	case "line":
		return Rule{Name: name, Message: string(usertext.Control), lax: true, text: isLine, worded: notLine,
			Schema: map[string]any{"pattern": linePattern}}
	case "message": // of several lines
		return Rule{Name: name, Message: string(usertext.Control), lax: true,
			text:   func(s string) bool { _, err := usertext.Message(s, math.MaxInt); return err == nil },
			worded: func(s string) string { _, err := usertext.Message(s, math.MaxInt); return fmt.Sprint(err) }}
	case "url": // of a site, which may be a host without a dot
		return Rule{Name: name, Message: "must be a URL address", text: func(s string) bool { return IsURL(s, false) }, Schema: map[string]any{"pattern": urlPattern}}
	case "weburl": // of a site of the web, or of this machine, where storage is while an app is made
		return Rule{Name: name, Message: "must be a URL address", text: func(s string) bool { return IsURL(s, true) || isLocalURL(s) }, Schema: map[string]any{"pattern": webURLPattern}}
	case "uuid":
		return Rule{Name: name, Message: "must be a UUID", text: isUUID,
			Schema: map[string]any{"format": "uuid", "pattern": uuidPattern}}
	case "key": // whose texts are idempotencyKey's
		return Rule{Name: name, Message: "must be a string", Schema: map[string]any{"minLength": 1, "maxLength": request.MaxIdempotencyKey}}
	case "date": // whose text is its handler's
		return Rule{Name: name, Message: "must be a string", Schema: map[string]any{"description": "A date of ISO 8601, or as JavaScript prints one."}}
	case "isodate":
		return Rule{Name: name, Message: "must be a valid ISO 8601 date string",
			text: func(s string) bool { _, ok := ISODate(s); return ok }, Schema: map[string]any{"pattern": isoDatePattern}}
	case "min":
		return Rule{Name: name, Message: fmt.Sprintf("must be longer than or equal to %d characters", n),
			text: func(s string) bool { return characters(s) >= n }, Schema: map[string]any{"minLength": n}}
	case "max":
		return Rule{Name: name, Message: fmt.Sprintf("must be shorter than or equal to %d characters", n),
			text: func(s string) bool { return characters(s) <= n }, Schema: map[string]any{"maxLength": n}}
	case "upto":
		return Rule{Name: name, Message: fmt.Sprintf("must be shorter than or equal to %d characters", n), lax: true,
			text: func(s string) bool { return characters(s) <= n }, Schema: map[string]any{"maxLength": n}}
	case "notempty":
		return Rule{Name: name, Message: "should not be empty", lax: true,
			text: func(s string) bool { return s != "" }, Schema: map[string]any{"minLength": 1}}
	case "number":
		return Rule{Name: name, Message: "must be a number conforming to the specified constraints",
			number: func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }}
	case "integer":
		return Rule{Name: name, Message: "must be an integer number", number: func(x float64) bool { return x == math.Trunc(x) }}
	case "positive":
		return Rule{Name: name, Message: "must be a positive number", number: func(x float64) bool { return x > 0 },
			Schema: map[string]any{"exclusiveMinimum": 0}}
	case "least":
		return Rule{Name: name, Message: fmt.Sprintf("must not be less than %d", n),
			number: func(x float64) bool { return x >= limit }, Schema: map[string]any{"minimum": n}}
	case "most":
		return Rule{Name: name, Message: fmt.Sprintf("must not be greater than %d", n),
			number: func(x float64) bool { return x <= limit }, Schema: map[string]any{"maximum": n}}
	case "mincredits":
		return Rule{Name: name, whole: true, Message: fmt.Sprintf("Minimum %d credit required", n),
			number: func(x float64) bool { return x >= limit }, Schema: map[string]any{"minimum": n}}
	case "maxcredits":
		return Rule{Name: name, whole: true, Message: fmt.Sprintf("Maximum %d credits allowed", n),
			number: func(x float64) bool { return x <= limit }, Schema: map[string]any{"maximum": n}}
	}
	panic("validate: unknown rule " + tag)
}

func oneOf(values []string) Rule {
	return Rule{Name: "oneof", Message: "must be one of the following values: " + strings.Join(values, ", "),
		text: func(s string) bool { return slices.Contains(values, s) }, Schema: map[string]any{"enum": values}}
}

// ISODate reads an ISO 8601 instant as of RFC 3339, or a day, which begins at
// midnight UTC.
func ISODate(s string) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
