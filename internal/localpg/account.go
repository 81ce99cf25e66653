package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is who the server runs as: the user of this process, or, since PostgreSQL
// refuses to run as root, the one that root switches to.
type account struct {
	name     string
	uid, gid int
	switched bool
}

// serverAccounts are tried in order where root starts the server.
var serverAccounts = []string{"postgres", "nobody"}

// pickAccount returns the account for a cluster. A data directory keeps the
// owner it has.
func pickAccount(data string) (account, error) {
	own := os.Getuid()
	info, err := os.Stat(data)
	switch {
	case err == nil:
		uid, gid := owner(info)
		if uid == own && own != 0 {
			return account{name: strconv.Itoa(uid), uid: uid, gid: gid}, nil
		}
		if own != 0 {
			return account{}, fmt.Errorf("the database in %s belongs to uid %d, this process runs as uid %d: start it as that user, or as root", data, uid, own)
		}
		if uid != 0 {
			return account{name: accountName(uid), uid: uid, gid: gid, switched: true}, nil
		}
		return account{}, fmt.Errorf("the database in %s belongs to root, which PostgreSQL does not run as: chown it to an unprivileged user", data)
	case !errors.Is(err, os.ErrNotExist):
		return account{}, err
	case own != 0:
		return account{name: strconv.Itoa(own), uid: own, gid: os.Getgid()}, nil
	}
	for _, name := range serverAccounts {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil && uid != 0 {
			return account{name: name, uid: uid, gid: gid, switched: true}, nil
		}
	}
	return account{}, fmt.Errorf("PostgreSQL does not run as root and there is no user %q or %q to run it as: create one, or start this process unprivileged", serverAccounts[0], serverAccounts[1])
}

func accountName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// attributes are the process attributes of everything that runs as a: the
// account's user, and a process group of its own, so that a terminal's Ctrl-C
// reaches this process first.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.switched {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// give hands a path to the account.
func (a account) give(path string) error {
	if !a.switched {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// blocked returns the first directory on the way to dir, dir excluded, that a
// cannot pass, or "".
func (a account) blocked(dir string) string {
	if !a.switched {
		return ""
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil || !a.passes(info) {
			return parent
		}
		if parent == filepath.Dir(parent) {
			return ""
		}
	}
}

func (a account) passes(info os.FileInfo) bool {
	uid, gid := owner(info)
	switch {
	case uid == a.uid:
		return info.Mode()&0o100 != 0
	case gid == a.gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

func owner(info os.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid)
}
