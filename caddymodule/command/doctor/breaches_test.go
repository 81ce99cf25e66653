package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestDoctorOnBreaches(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	dir := t.TempDir()
	for i := range 256 {
		name := filepath.Join(dir, fmt.Sprintf("%05X.txt", i*0xFFFFF/255))
		if err := os.WriteFile(name, []byte("0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-500 * 24 * time.Hour)
	for _, tt := range []struct {
		dir, check, status, want string
		change                   func() error
	}{
		{"", "breaches", "ok", "not configured", nil},
		{dir, "breaches", "ok", time.Now().Format("2006"), nil},
		{dir, "breaches", "warn", old.Format(time.DateOnly), func() error { return os.Chtimes(filepath.Join(dir, "FFFFF.txt"), old, old) }},
		{dir, "config", "fail", "lacks the range FFFFF", func() error { return os.Remove(filepath.Join(dir, "FFFFF.txt")) }},
	} {
		if tt.change != nil {
			if err := tt.change(); err != nil {
				t.Fatal(err)
			}
		}
		found, err := edgetest.Findings(t, edgetest.With(edgetest.ExternalApp(db), "breached_passwords", tt.dir))
		if f := found[tt.check]; f.Status != tt.status || !strings.Contains(f.Detail, tt.want) || (err != nil) != (tt.status == "fail") {
			t.Errorf("%q: %+v and %v, want %s with %q", tt.dir, f, err, tt.status, tt.want)
		}
	}
}
