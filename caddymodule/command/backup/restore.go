package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/localpg"
	"mana.how/edge/migrations"
)

func restoreAction(inv invoke.Invocation, args []string) error {
	with, err := identities(inv)
	if err != nil {
		return err
	}
	p, err := placeOf(inv)
	if err != nil {
		return err
	}
	if err := p.wantEmpty(); err != nil {
		return err
	}
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	clear, err := age.Decrypt(file, with...)
	if err != nil {
		return fmt.Errorf("%s does not open with this: %w", args[0], err)
	}
	archive, err := open(clear)
	if err != nil {
		return err
	}
	if err := p.load(inv, archive, clear); err != nil {
		return errors.Join(err, p.clear())
	}
	return view{File: args[0], manifest: archive.manifest}.print(inv, "restored")
}

// wantEmpty fails where something is that a restore would write over.
func (p place) wantEmpty() error {
	exists, err := localpg.Exists(p.dir)
	if err != nil {
		return err
	}
	for _, in := range []struct{ what, path string }{
		{"database", p.dir}, {"pictures", p.pictures},
	} {
		entries, err := os.ReadDir(in.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(entries) > 0 || in.path == p.dir && exists {
			return fmt.Errorf("there is a %s in %s already, and a restore writes over nothing: move it away, or name another place in the config", in.what, in.path)
		}
	}
	return nil
}

// clear takes away what a restore that failed has made. The folders stay: they
// may be there for another reason, as a mount.
func (p place) clear() error {
	home, err := os.Readlink(filepath.Join(p.dir, "cluster"))
	switch {
	case err == nil:
		err = os.RemoveAll(home)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	for _, dir := range []string{p.dir, p.pictures} {
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// load makes a database and fills it from the archive, to the end of its stream:
// only there is it sure that nobody has changed it.
func (p place) load(inv invoke.Invocation, archive *reader, stream io.Reader) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	server, release, err := services.AcquireEmbedded(inv.Ctx, p.dir, inv.Log())
	if err != nil {
		return err
	}
	defer release()
	at := services.Address{Pool: server.DSN(), Listen: server.DSN(), Embedded: true}
	major, err := localpg.Major(p.dir)
	if err != nil {
		return err
	}
	if err := services.WithConn(inv.Ctx, at, func(conn *pgx.Conn) error { return migrations.PrepareRoles(inv.Ctx, conn) }); err != nil {
		return err
	}
	if len(archive.key) > 0 {
		if err := os.WriteFile(filepath.Join(p.dir, services.EmbeddedKeyFile), archive.key, 0o600); err != nil {
			return err
		}
	}
	err = archive.rest(p.writePicture, func(dump io.Reader) error { return p.fill(inv.Ctx, max(major, archive.manifest.PostgreSQL), dump) })
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return fmt.Errorf("the backup is damaged at its end: %w", err)
	}
	status, err := services.SchemaStatus(inv.Ctx, at)
	if err != nil {
		return err
	}
	if status.Current != archive.manifest.Schema {
		return fmt.Errorf("the restored schema is at %d, the backup says %d", status.Current, archive.manifest.Schema)
	}
	return nil
}

func (p place) fill(ctx context.Context, major int, dump io.Reader) error {
	cmd, err := p.tool(ctx, "pg_restore", major, "--exit-on-error", "--single-transaction")
	if err != nil {
		return err
	}
	cmd.Stdin = dump
	return run(cmd)
}

func (p place) writePicture(path string, content io.Reader) error {
	if p.pictures == "" {
		return errors.New("the backup has pictures, and the config keeps pictures in a bucket: take storage out of it for the restore, then copy them there")
	}
	target := filepath.Join(p.pictures, path)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}
