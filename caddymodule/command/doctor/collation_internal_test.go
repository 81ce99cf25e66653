package doctor

import (
	"strings"
	"testing"
)

func TestDoctorComparesCollations(t *testing.T) {
	t.Parallel()
	for made, status := range map[string]string{"2.36": statusOK, "": statusOK, "2.31": statusWarn} {
		d := new(doctor)
		d.judgeCollation("mana", made, "2.36")
		if f := d.findings[0]; f.Status != status || status == statusWarn && !strings.Contains(f.Detail, "REINDEX DATABASE mana") {
			t.Errorf("made with %q: %+v, want %s", made, f, status)
		}
	}
}
