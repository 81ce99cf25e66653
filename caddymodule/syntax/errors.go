package syntax

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrorList are what an admin has to mend, one a line: where, in which site,
// at which directive, and what. Caddy puts a chain of its own before the text
// of an error, and only the text travels through its admin endpoint: so the
// list has a headline by which [ConfigErrorsIn] finds it again.
type ErrorList []string

func (e ErrorList) Error() string {
	plural := "s"
	if len(e) == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d config error%s:\n%s", len(e), plural, strings.Join(e, "\n"))
}

// Unwrap takes the list apart.
func (e ErrorList) Unwrap() (list []error) {
	for _, text := range e {
		list = append(list, errors.New(text))
	}
	return list
}

// With adds what is not in the list yet.
func (e ErrorList) With(more ...string) ErrorList {
	for _, text := range more {
		if !slices.Contains(e, text) {
			e = append(e, text)
		}
	}
	return e
}

var headline = regexp.MustCompile(`(?:^|[ :\n])\d+ config errors?:\n`)

// ErrorsIn returns the list that the text of an error of Caddy ends in,
// and nil where there is none.
func ErrorsIn(text string) []string {
	at := headline.FindStringIndex(text)
	if at == nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(text[at[1]:]), "\n")
}

// AppErrors names the block that the errors are of.
func AppErrors(err error) (list ErrorList) {
	for _, e := range Flatten(err) {
		text := e.Error()
		if !strings.HasPrefix(text, AppName+" ") && !strings.HasPrefix(text, AppName+":") {
			text = AppName + ": " + text
		}
		list = list.With(ErrorLine("", text))
	}
	return list
}

// position is how a parser of Caddyfiles says where it was.
var position = regexp.MustCompile(`(?s)^(.*), at ([^\n]*:\d+)( import chain \[.*\])?$`)

// ErrorLine is one line: the position first, then the site.
func ErrorLine(site, text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")
	if site != "" {
		site = "site " + site + ": "
	}
	if m := position.FindStringSubmatch(text); m != nil {
		return m[2] + ": " + site + m[1] + m[3]
	}
	return site + text
}

// PlainError is the text of an error of Caddy's adapter as a line of the same
// shape.
func PlainError(err error) string {
	text := err.Error()
	for {
		name, rest, found := strings.Cut(text, ": ")
		if !found || !strings.HasPrefix(name, "adapting config using ") {
			return ErrorLine("", text)
		}
		text = rest
	}
}

// AppName is the ID of the app in a config.
const AppName = "mana"
