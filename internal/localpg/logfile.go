package localpg

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxLog is the size in bytes past which a start sets the server's log aside.
const maxLog = 10 << 20

// openLog opens the server's own log for appending. One former log is kept.
func openLog(c cluster) (*os.File, error) {
	path := c.log()
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("set the log of PostgreSQL aside: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of PostgreSQL: %w", err)
	}
	keepOwner(c.dir, path)
	return f, nil
}

// LogTail returns the last lines of the log of dir's server on one line, empty
// where there is none.
func LogTail(dir string) string {
	path := cluster{dir: dir}.log()
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return logTail(path)
}

// logTail is the end of the log, for an error's text.
func logTail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.Seek(-2048, io.SeekEnd); err != nil {
		_, err = f.Seek(0, io.SeekStart)
		if err != nil && !errors.Is(err, io.EOF) {
			return err.Error()
		}
	}
	raw, _ := io.ReadAll(f)
	return lastLines(string(raw), 6)
}

// lastLines joins the last n lines of a program's output.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
