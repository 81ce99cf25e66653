package backup

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names in an archive.
const (
	manifestName = "manifest.json"
	keyName      = "encryption_key"
	picturesName = "pictures/"
	dumpName     = "database.dump"
)

// archiveFormat is raised when an older binary cannot read what is written.
const archiveFormat = 1

// manifest says what an archive holds.
type manifest struct {
	Format int `json:"format"`
	// Made is when the dump began.
	Made time.Time `json:"made"`
	// Schema is the last migration of the database.
	Schema int `json:"schema"`
	// PostgreSQL is the major version that the rows come from.
	PostgreSQL int `json:"postgresql"`
	// Edge is the version of the program that wrote it.
	Edge string `json:"edge,omitempty"`
}

// contents are what is put into an archive.
type contents struct {
	manifest manifest
	key      []byte
	pictures string // directory, which may not exist
	dump     *os.File
}

// write puts everything into a tar stream.
func (c contents) write(out io.Writer) error {
	w := tar.NewWriter(out)
	about, err := json.MarshalIndent(c.manifest, "", "  ")
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		text []byte
	}{{manifestName, about}, {keyName, c.key}} {
		if err := w.WriteHeader(c.header(part.name, int64(len(part.text)))); err != nil {
			return err
		}
		if _, err := w.Write(part.text); err != nil {
			return err
		}
	}
	if err := c.writePictures(w); err != nil {
		return err
	}
	size, err := c.dump.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := c.dump.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := w.WriteHeader(c.header(dumpName, size)); err != nil {
		return err
	}
	if _, err := io.Copy(w, c.dump); err != nil {
		return err
	}
	return w.Close()
}

func (c contents) header(name string, size int64) *tar.Header {
	return &tar.Header{Name: name, Size: size, Mode: 0o600, Typeflag: tar.TypeReg, ModTime: c.manifest.Made, Format: tar.FormatPAX}
}

// writePictures puts the files of a directory into the archive. One that is
// deleted meanwhile is left out.
func (c contents) writePictures(w *tar.Writer) error {
	root, err := os.OpenRoot(c.pictures)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !entry.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := root.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.WriteHeader(c.header(picturesName+path, int64(len(text)))); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
}

// reader takes an archive apart, in its order.
type reader struct {
	tar      *tar.Reader
	manifest manifest
	key      []byte
}

// largestKey bounds what is taken for an encryption key, in bytes.
const largestKey = 4096

// open reads up to the pictures.
func open(in io.Reader) (*reader, error) {
	r := &reader{tar: tar.NewReader(in)}
	about, err := r.small(manifestName)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(about, &r.manifest); err != nil {
		return nil, fmt.Errorf("the file is no backup of an edge: %w", err)
	}
	if r.manifest.Format != archiveFormat {
		return nil, fmt.Errorf("the backup has format %d, this program reads %d: use the version %q that wrote it, or a newer one",
			r.manifest.Format, archiveFormat, r.manifest.Edge)
	}
	r.key, err = r.small(keyName)
	return r, err
}

func (r *reader) small(name string) ([]byte, error) {
	header, err := r.tar.Next()
	if err != nil {
		return nil, fmt.Errorf("the file is no backup of an edge, or damaged: %w", err)
	}
	if header.Name != name {
		return nil, fmt.Errorf("the file is no backup of an edge: it has %q in the place of %s", header.Name, name)
	}
	return io.ReadAll(io.LimitReader(r.tar, largestKey))
}

// rest hands the pictures to one function and the dump to the other.
func (r *reader) rest(picture func(path string, content io.Reader) error, dump func(io.Reader) error) error {
	for {
		header, err := r.tar.Next()
		if err != nil {
			return fmt.Errorf("the backup is damaged: %w", err)
		}
		if path, ok := strings.CutPrefix(header.Name, picturesName); ok {
			if !filepath.IsLocal(path) {
				return fmt.Errorf("the backup is damaged: it has a picture %q", path)
			}
			if err := picture(path, r.tar); err != nil {
				return err
			}
			continue
		}
		if header.Name != dumpName {
			return fmt.Errorf("the backup is damaged: it has %q", header.Name)
		}
		if err := dump(r.tar); err != nil {
			return err
		}
		if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("the backup is damaged at its end: %w", errors.Join(err, io.ErrUnexpectedEOF))
		}
		return nil
	}
}
