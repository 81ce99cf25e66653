package password

import (
	"bufio"
	"bytes"
	"crypto/sha1" // #nosec G505 -- the form in which breaches are published; nothing rests on it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	prefixDigits = 5 // of a SHA-1 in hex, which name the file
	suffixDigits = 2*sha1.Size - prefixDigits
	maxRangeLine = 64 // bytes, the line break included
	checkedFiles = 256
)

// Breached are the passwords of known breaches, in a directory of range files as
// the downloader of Pwned Passwords writes them: a file for each five hex digits
// that a SHA-1 may begin with, named by them with or without .txt, which has a
// line SUFFIX:COUNT for each password. A count of 0 is padding. Nothing of it is
// kept in memory, and nobody is asked but the file system.
type Breached struct{ dir, extension string }

// OpenBreached looks at a directory: that it is there, that no file is missing
// among some out of all, and that the first can be read.
func OpenBreached(dir string) (Breached, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return Breached{}, err
	}
	if !info.IsDir() {
		return Breached{}, fmt.Errorf("%s is no directory", dir)
	}
	b := Breached{dir: dir, extension: ".txt"}
	if _, err := os.Stat(filepath.Join(dir, "00000")); err == nil {
		b.extension = ""
	}
	for i := range checkedFiles {
		name := fmt.Sprintf("%05X", i*((1<<(4*prefixDigits))-1)/(checkedFiles-1))
		info, err := os.Stat(b.file(name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return Breached{}, fmt.Errorf("%s lacks the range %s: it is not what the downloader writes in several files, or not whole", dir, name)
		case err != nil:
			return Breached{}, err
		case !info.Mode().IsRegular():
			return Breached{}, fmt.Errorf("%s is no file", b.file(name))
		}
	}
	_, err = b.holds("00000", "")
	return b, err
}

// Newest is when the last range of all was written.
func (b Breached) Newest() (time.Time, error) {
	info, err := os.Stat(b.file(strings.Repeat("F", prefixDigits)))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

func (b Breached) file(prefix string) string { return filepath.Join(b.dir, prefix+b.extension) }

// Has reports whether a password is among them, as it is or in NFKC.
func (b Breached) Has(password string) (bool, error) {
	for _, form := range []string{password, normalize(password)} {
		sum := sha1.Sum([]byte(form)) // #nosec G401 -- see the import
		digits := strings.ToUpper(hex.EncodeToString(sum[:]))
		if found, err := b.holds(digits[:prefixDigits], digits[prefixDigits:]); found || err != nil {
			return found, err
		}
		if form == normalize(password) {
			break
		}
	}
	return false, nil
}

// holds reads the file of a prefix line by line, and reports whether it has the
// suffix with a count. It fails where a line up to there is none of a range, or
// there is none.
func (b Breached) holds(prefix, suffix string) (bool, error) {
	f, err := os.Open(b.file(prefix))
	if err != nil {
		return false, fmt.Errorf("breached passwords: %w", err)
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 4096)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 && n > 1 {
			return false, nil
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return false, fmt.Errorf("breached passwords: %w", err)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		found, count, ok := parseRangeLine(line)
		if !ok {
			return false, fmt.Errorf("breached passwords: line %d of %s is not SUFFIX:COUNT", n, b.file(prefix))
		}
		if bytes.EqualFold(found, []byte(suffix)) {
			return len(bytes.Trim(count, "0")) > 0, nil
		}
	}
}

// parseRangeLine reads the suffix and the count of a line.
func parseRangeLine(line []byte) (suffix, count []byte, ok bool) {
	if len(line) > maxRangeLine {
		return nil, nil, false
	}
	suffix, count, ok = bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
	if !ok || len(suffix) != suffixDigits || len(count) == 0 {
		return nil, nil, false
	}
	for _, c := range suffix {
		if !strings.ContainsRune("0123456789ABCDEFabcdef", rune(c)) {
			return nil, nil, false
		}
	}
	for _, c := range count {
		if c < '0' || c > '9' {
			return nil, nil, false
		}
	}
	return suffix, count, true
}
