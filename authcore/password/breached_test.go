package password_test

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mana.how/edge/authcore/password"
)

// rangesOf writes the files that [password.OpenBreached] looks for, with the
// passwords in them as the downloader has them.
func rangesOf(t testing.TB, extension string, passwords ...string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(prefix, text string) {
		if err := os.WriteFile(filepath.Join(dir, prefix+extension), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const filler = "0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n00D4F6E8FA6EECAD2A3AA415EEC418D38EC:0\r\n"
	for i := range 256 {
		put(fmt.Sprintf("%05X", i*0xFFFFF/255), filler)
	}
	for _, p := range append(passwords, "mot de passe vole\u0301") {
		digits := digitsOf(p)
		if !slices.Contains(passwords, p) {
			put(digits[:5], filler)
			continue
		}
		put(digits[:5], filler+digits[5:]+":42\r\nFFFA6EECAD2A3AA415EEC418D38EC00D4F6:1")
	}
	return dir
}

func digitsOf(p string) string {
	sum := sha1.Sum([]byte(p))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func open(t testing.TB, dir string) password.Breached {
	t.Helper()
	b, err := password.OpenBreached(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBreachedPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	const stolen, other, composed = "stolen horse battery", "staple of my own", "mot de passe volé"
	for _, extension := range []string{".txt", ""} {
		dir := rangesOf(t, extension, stolen, other, composed, "Stolen horse battery")
		if err := os.WriteFile(filepath.Join(dir, digitsOf(other)[:5]+extension), []byte("\ufeff"+digitsOf(other)[5:]+":0\n"), 0o600); err != nil {
			t.Fatal(err) // padding: no breach
		}
		b := open(t, dir)
		for _, policy := range []password.Policy{{}, password.AnyPassword(), password.Refusing("hunter2hunter2")} {
			policy = policy.RefusingBreached(b)
			for typed, want := range map[string]string{
				stolen: password.InBreach, "Stolen horse battery": password.InBreach, other: "",
				"mot de passe vole\u0301": password.InBreach, "short": password.TooShort,
			} {
				err := policy.Check(typed)
				var refused *password.Error
				reason := ""
				if errors.As(err, &refused) {
					reason = refused.Reason
				} else if err != nil {
					t.Fatal(err)
				}
				if reason != want {
					t.Errorf("%q in files %q: %q, want %q", typed, extension, reason, want)
				}
			}
		}
		// The form that was typed may be the one that was stolen.
		typed := "e\u0301-stolen-as-typed"
		if err := os.WriteFile(filepath.Join(dir, digitsOf(typed)[:5]+extension), []byte(strings.ToLower(digitsOf(typed)[5:])+":7\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, err := b.Has(typed); !found || err != nil {
			t.Errorf("as typed: %v, %v", found, err)
		}
	}
	if err := password.AnyPassword().Check(stolen); err != nil {
		t.Errorf("without breaches: %v", err)
	}
}

// A password that cannot be looked up is not taken.
func TestBreachedPasswordsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	const typed = "staple of my own"
	policy := password.Policy{}.RefusingBreached(open(t, rangesOf(t, ".txt")))
	if err := policy.Check(typed); err == nil || errors.As(err, new(*password.Error)) {
		t.Errorf("a range that is missing: %v", err)
	}
	for name, text := range map[string]string{
		"empty": "", "no count": digitsOf("x")[5:] + "\n", "half a line": "0018A45C4D1DEF", "a page": "<!doctype html>\n",
		"a long line": strings.Repeat("A", 1<<20), "words": strings.Repeat("z", 35) + ":1\n", "a negative count": digitsOf("x")[5:] + ":-1\n",
		"late": digitsOf("x")[5:] + ":1\nnonsense\n",
	} {
		dir := rangesOf(t, ".txt", typed)
		policy := password.Policy{}.RefusingBreached(open(t, dir))
		if err := os.WriteFile(filepath.Join(dir, digitsOf(typed)[:5]+".txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := policy.Check(typed); err == nil || errors.As(err, new(*password.Error)) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "00000.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := password.OpenBreached(dir); err == nil {
			t.Errorf("%s: is opened", name)
		}
	}
	whole := rangesOf(t, ".txt")
	if err := os.Remove(filepath.Join(whole, "FFFFF.txt")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pwnedpasswords.txt")
	if err := os.WriteFile(file, []byte(digitsOf("x")+":1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"missing": "/no/such/directory", "a file": file, "empty": t.TempDir(), "not whole": whole,
	} {
		if _, err := password.OpenBreached(dir); err == nil {
			t.Errorf("%s: is opened", name)
		}
	}
}

func FuzzRangeFile(f *testing.F) {
	f.Add("0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n", "staple of my own")
	f.Add(digitsOf("staple of my own")[5:]+":42", "staple of my own")
	dir := rangesOf(f, ".txt")
	b := open(f, dir)
	f.Fuzz(func(t *testing.T, text, typed string) {
		if err := os.WriteFile(filepath.Join(dir, digitsOf(typed)[:5]+".txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, err := b.Has(typed); found && (err != nil || !strings.Contains(strings.ToUpper(text), digitsOf(typed)[5:])) {
			t.Errorf("%q is found in %q, %v", typed, text, err)
		}
	})
}
