package migrations_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// firstExpanding is the first migration that edges of the version before outlive.
const firstExpanding = "0038"

// removing are statements that an edge of the version before could fail on.
var removing = map[string]*regexp.Regexp{
	"drops":                regexp.MustCompile(`(?i)\bDROP\s+(TABLE|COLUMN|SCHEMA|VIEW|TYPE|FUNCTION)\b`),
	"renames":              regexp.MustCompile(`(?i)\bRENAME\b`),
	"changes a type":       regexp.MustCompile(`(?i)\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b`),
	"refuses null":         regexp.MustCompile(`(?i)\bSET\s+NOT\s+NULL\b`),
	"takes a default away": regexp.MustCompile(`(?i)\bDROP\s+DEFAULT\b`),
	"takes a right away":   regexp.MustCompile(`(?i)\bREVOKE\b`),
	"wants a value that only newer edges give": regexp.MustCompile(`(?i)\bADD\s+COLUMN\b[^,;]*\bNOT\s+NULL\b`),
}

var withDefault = regexp.MustCompile(`(?i)\b(DEFAULT|GENERATED)\b`)

// contracting finds what an edge of the version before could fail on.
func contracting(sql string) []string {
	var found []string
	agreed := false
	for line := range strings.Lines(sql) {
		if text := strings.TrimSpace(line); strings.HasPrefix(text, "--") {
			agreed = agreed || strings.HasPrefix(text, "-- contract: ")
			continue
		}
		if strings.TrimSpace(line) == "" {
			agreed = false
			continue
		}
		code, _, _ := strings.Cut(line, "--")
		for what, pattern := range removing {
			statement := pattern.FindString(code)
			switch {
			case statement == "", agreed:
			case strings.HasPrefix(what, "wants") && withDefault.MatchString(code):
			case strings.HasPrefix(what, "takes a right") && strings.HasSuffix(strings.TrimSpace(code), "FROM PUBLIC;"): // which has none
			default:
				found = append(found, what+": "+strings.TrimSpace(line))
			}
		}
	}
	return found
}

// An edge of the version before runs on beside a newer one, on the newer schema:
// migrations add, and take away only what they say nobody uses any more.
func TestMigrationsExpand(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("[0-9]*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if file < firstExpanding {
			continue
		}
		sql, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range contracting(string(sql)) {
			t.Errorf("%s %s", file, found)
		}
	}
}

func TestContractingStatementsAreFound(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]int{
		"ALTER TABLE a DROP COLUMN b;":                                                           1,
		"ALTER TABLE a\n\tDROP COLUMN b;":                                                        1,
		"-- contract: since 0040 nobody reads it\nALTER TABLE a DROP COLUMN b;":                  0,
		"-- contract: since 0040 nobody reads it\nALTER TABLE a DROP COLUMN b;\n\nDROP TABLE c;": 1,
		"-- it would DROP TABLE a\nSELECT 1;":                                                    0,
		"ALTER TABLE a ADD COLUMN b int NOT NULL;":                                               1,
		"ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0;":                                     0,
		"ALTER TABLE a ADD COLUMN b int;":                                                        0,
		"REVOKE ALL ON a FROM mana_user;":                                                        1,
		"REVOKE EXECUTE ON FUNCTION a() FROM PUBLIC;":                                            0,
		"ALTER TABLE a RENAME TO b;":                                                             1,
		"ALTER TABLE a ALTER COLUMN b TYPE bigint;":                                              1,
		"ALTER TABLE a ALTER COLUMN b SET NOT NULL;":                                             1,
		"CREATE TABLE a (b int NOT NULL);":                                                       0,
		"DROP TRIGGER a ON b; CREATE INDEX c ON b (d);":                                          0,
	} {
		if got := contracting(sql); len(got) != want {
			t.Errorf("%q: %v, want %d", sql, got, want)
		}
	}
}
