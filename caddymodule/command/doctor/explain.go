package doctor

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

const (
	// maxLine bounds a line of a log.
	maxLine = 4 << 20
	// explainedLines is how many lines of the logs are shown, the newest.
	explainedLines = 20
)

// mention is something that has the id in it.
type mention struct {
	Where string    `json:"where"` // a log file, or what the database calls it
	At    time.Time `json:"at"`
	What  string    `json:"what"`
}

// explain is `doctor --explain <id>`: what the logs and the database say of an id,
// which is that of a request that failed, or of anything else.
func explain(inv invoke.Invocation, id string, logs []string) error {
	if len(id) < 4 || len(id) > 255 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c == '"' || c == 0x7f }) {
		return fmt.Errorf("--explain: %q is no id: it is what an answer calls requestId, or the id of a user, an event, a row of the ledger, a gift", id)
	}
	s, err := inv.ReadSource()
	if err != nil {
		return err
	}
	if len(logs) == 0 {
		logs = logFiles(s.Raw)
	}
	var found []mention
	for _, name := range logs {
		lines, err := readLog(inv.InOrStdin(), name, id)
		if err != nil {
			return fmt.Errorf("--log: %w", err)
		}
		found = append(found, lines...)
	}
	slices.SortStableFunc(found, func(a, b mention) int { return a.At.Compare(b.At) })
	found = found[max(0, len(found)-explainedLines):]
	var database error
	if err := inv.WithCores(func(c services.Cores) error {
		named, err := named(inv.Ctx, c, id)
		found = append(named, found...)
		return err
	}); err != nil {
		database = fmt.Errorf("the database was not asked: %w", err)
	}
	if err := inv.Print(found, func(w io.Writer) {
		for _, m := range found {
			invoke.Line(w, "%s\t%s\t%s", m.Where, invoke.Time(m.At), m.What)
		}
	}); err != nil {
		return err
	}
	switch {
	case len(found) > 0 || database != nil:
		return database
	case len(logs) == 0:
		return fmt.Errorf("nothing has the id %s in the database, and the config writes no log to a file: hand one over, as in `journalctl -u mana-edge -o cat | mana-edge mana doctor --explain %s --log -`", id, id)
	}
	return fmt.Errorf("nothing has the id %s: neither the database nor %s", id, strings.Join(logs, ", "))
}

// logFiles are those that a config writes its logs to.
func logFiles(raw []byte) (names []string) {
	var whole struct {
		Logging struct {
			Logs map[string]struct {
				Writer struct{ Output, Filename string }
			}
		}
	}
	if json.Unmarshal(raw, &whole) != nil {
		return nil
	}
	for _, log := range whole.Logging.Logs {
		if log.Writer.Output == "file" && log.Writer.Filename != "" {
			names = append(names, log.Writer.Filename)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readLog finds the lines of a log, or of stdin for "-", that have the id as a value.
func readLog(stdin io.Reader, name, id string) (found []mention, err error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	quoted := []byte(`"` + id + `"`)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if bytes.Contains(lines.Bytes(), quoted) {
			found = append(found, mentionOf(cmp.Or(strings.TrimPrefix(name, "-"), "stdin"), lines.Bytes()))
		}
	}
	if err := lines.Err(); err != nil {
		return found, fmt.Errorf("%s: %w", name, err)
	}
	return found, nil
}

// first are the fields of a line that say most, in this order; the others follow in
// that of the alphabet.
var first = []string{"level", "logger", "msg", "method", "route", "status", "error"}

// mentionOf words a line of the log.
func mentionOf(where string, line []byte) mention {
	m := mention{Where: where, What: string(line)}
	var fields map[string]json.RawMessage
	if json.Unmarshal(line, &fields) != nil {
		return m
	}
	var seconds float64
	var text string
	switch {
	case json.Unmarshal(fields["ts"], &seconds) == nil:
		m.At = time.UnixMicro(int64(seconds * 1e6))
	case json.Unmarshal(fields["ts"], &text) == nil:
		m.At, _ = time.Parse(time.RFC3339Nano, text)
	}
	delete(fields, "ts")
	rank := func(name string) int {
		if i := slices.Index(first, name); i >= 0 {
			return i
		}
		return len(first)
	}
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	words := make([]string, len(names))
	for i, name := range names {
		value := string(fields[name])
		if json.Unmarshal(fields[name], &text) == nil {
			value = strings.ReplaceAll(text, "\n", " ")
		}
		words[i] = name + "=" + value
	}
	m.What = strings.Join(words, " ")
	return m
}

// named are the rows whose name the id is.
func named(ctx context.Context, c services.Cores, id string) (found []mention, err error) {
	op := invoke.Operator()
	switch u, err := c.Auth.UserByIDOrEmail(ctx, op, id); {
	case err == nil:
		found = append(found, mention{"account", u.CreatedAt, fmt.Sprintf("%s %s role=%s", u.ID, u.Email, u.Role)})
	case !errors.Is(err, authcore.ErrUserNotFound):
		return nil, err
	}
	if uuid.Validate(id) == nil {
		e, err := c.Auth.EventByID(ctx, op, id)
		if err != nil {
			return nil, err
		}
		if e != nil {
			found = append(found, mention{"event", e.CreatedAt, fmt.Sprintf("%s user=%s ip=%s", e.Type, invoke.OptionalText(e.UserID), invoke.OptionalText(e.IPAddress))})
		}
	}
	switch e, err := c.Credits.EntryOf(ctx, id); {
	case err == nil:
		found = append(found, mention{"ledger", e.CreatedAt, fmt.Sprintf("%s %v user=%s app=%s %s", e.Type, e.Amount, e.UserID, e.AppID, e.Description)})
	case !errors.Is(err, creditcore.ErrEntryNotFound):
		return nil, err
	}
	switch g, err := c.Gifts.Find(ctx, id); {
	case err == nil:
		found = append(found, mention{"gift", g.CreatedAt, fmt.Sprintf("%s by=%s", g.Code, g.CreatorID)})
	case !errors.Is(err, gift.ErrNotFound):
		return nil, err
	}
	return found, nil
}
