package develop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/zap"

	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/localpg"
)

// serviceKey is that of the family.
const serviceKey = "service-key-for-development-alone"

// family is what runs: the edge, its mailbox and its Stripe.
type family struct {
	dir       string
	temporary bool
	ports     ports
	upstreams []string
	site      string // the file of the directives of apps' sites; empty for [gate]
	rt        *services.Runtime
	mails     *mailbox
	payments  *payments
	panel     *panel
	background
}

// background are the goroutines of a family.
type background struct {
	end  context.CancelFunc
	done sync.WaitGroup
}

// ports are those of the family on loopback addresses.
type ports struct {
	auth, panel int
	apps        []int
}

func local(port int) string { return fmt.Sprintf("http://localhost:%d", port) }

// start runs the family. What is not nil is to be stopped, after an error too.
func start(ctx context.Context, o options, out io.Writer) (*family, error) {
	f := &family{mails: newMailbox()}
	var err error
	if f.site, err = siteFile(o.Site); err != nil {
		return nil, err
	}
	if f.upstreams, err = chooseUpstreams(o.Upstreams); err != nil {
		return nil, err
	}
	if f.dir, f.temporary, err = openDir(o.Data); err != nil {
		return nil, err
	}
	if f.ports, err = choosePorts(o.Port, len(o.Upstreams)); err != nil {
		return f, err
	}
	if err := forgetEnvironment(f.dir); err != nil {
		return f, err
	}
	if f.payments, err = openPayments(f.dir, f.ports); err != nil {
		return f, fmt.Errorf("stripe: %w", err)
	}
	fmt.Fprintln(out, "Mana Edge starts for development. Making the database takes some seconds.")
	config, err := f.config()
	if err != nil {
		return f, err
	}
	if f.rt, err = load(ctx, config, f.mails); err != nil {
		return f, err
	}
	if err := makePeople(ctx, f.rt); err != nil {
		return f, err
	}
	var run context.Context
	run, f.end = context.WithCancel(context.WithoutCancel(ctx))
	f.done.Go(func() { f.payments.run(run) })
	f.panel, err = servePanel(f)
	return f, err
}

// load runs the config, and keeps Caddy's own account of that to itself.
func load(ctx context.Context, config []byte, mails *mailbox) (*services.Runtime, error) {
	_, before, buffer := caddy.BufferedLog() // until the config says where the log goes
	rt, err := app.Develop(ctx, config, mails)
	if err != nil {
		buffer.FlushTo(zap.NewNop())
		caddy.UnbufferDefaultLogger(before)
	}
	return rt, err
}

// stop ends what runs and removes what is temporary.
func (f *family) stop() error {
	var errs []error
	if f.panel != nil {
		errs = append(errs, f.panel.close())
	}
	if f.end != nil {
		f.end()
		f.done.Wait()
	}
	errs = append(errs, caddy.Stop())
	services.CloseLingering()
	if f.payments != nil {
		f.payments.close()
	}
	if f.temporary {
		errs = append(errs, localpg.Remove(filepath.Join(f.dir, "postgres")), os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}

// marker is a file of directories that this command has made.
const marker = "mana-edge-dev"

// openDir makes the directory, or a temporary one where none is named. It takes
// none that something else has been written to: the users whose passwords
// everybody knows must not get into a database of others.
func openDir(named string) (dir string, temporary bool, err error) {
	if named == "" {
		if dir, err = os.MkdirTemp("", "mana-edge-dev-"); err == nil {
			err = os.Chmod(dir, 0o711) // #nosec G302 -- PostgreSQL of root runs as another user, who must get through
		}
		return dir, true, err
	}
	if dir, err = filepath.Abs(named); err != nil {
		return "", false, err
	}
	if err := os.MkdirAll(dir, 0o711); err != nil { // #nosec G301 -- see above
		return "", false, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", false, err
	}
	ours := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == marker })
	if len(entries) > 0 && !ours {
		return "", false, fmt.Errorf("--data: %s is neither empty nor made by mana-edge dev", dir)
	}
	return dir, false, os.WriteFile(filepath.Join(dir, marker), []byte("Users of this database have passwords that everybody knows.\n"), 0o600)
}

// choosePorts are free ones, from first on, or any where that is 0.
func choosePorts(first, apps int) (p ports, err error) {
	var all []int
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for i := range 2 + apps {
		port := 0
		if first != 0 {
			port = first + i
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return p, fmt.Errorf("--port: %w", err)
		}
		listeners = append(listeners, l)
		all = append(all, l.Addr().(*net.TCPAddr).Port)
	}
	return ports{auth: all[0], panel: all[1], apps: all[2:]}, nil
}

// kept are the variables that the edge, and the PostgreSQL that it may fetch,
// go on to see. Others may name a database, a mail server or a Stripe account
// of the app that is developed, or of its production.
var kept = regexp.MustCompile(`(?i)^(PATH|HOME|USER|LOGNAME|TMPDIR|LANG|LC_\w+|TZ|GO\w+|MANA_POSTGRES_BIN|SSL_CERT_\w+|\w+_PROXY)=`)

// forgetEnvironment leaves this process the variables that it needs, and has it
// write to the directory alone.
func forgetEnvironment(dir string) error {
	before := os.Environ()
	os.Clearenv()
	errs := []error{os.Setenv("XDG_DATA_HOME", filepath.Join(dir, "data")), os.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))}
	for _, variable := range before {
		if name, value, _ := strings.Cut(variable, "="); kept.MatchString(variable) {
			errs = append(errs, os.Setenv(name, value))
		}
	}
	return errors.Join(errs...)
}

// config is an ordinary one.
func (f *family) config() ([]byte, error) {
	var text strings.Builder
	trusted := make([]string, 0, 2*len(f.upstreams))
	for i, upstream := range f.upstreams {
		_, port, _ := net.SplitHostPort(upstream)
		trusted = append(trusted, local(f.ports.apps[i]), "http://localhost:"+port)
	}
	bind := "127.0.0.1"
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		bind += " [::1]"
	}
	fmt.Fprintf(&text, `{
	admin off
	persist_config off
	auto_https off
	default_bind %s
	grace_period 1s
	storage file_system %q
	log {
		level ERROR
	}
	servers {
		trusted_proxies static 127.0.0.0/8 ::1/128
		trusted_proxies_strict
	}
	mana {
		database embedded %q
		base_url %s
		trusted_origins %s
		service_key %s
		email_verification required
		access_token_ttl %s
		%s
	}
}
%s {
	mana_api
}
`, bind, filepath.Join(f.dir, "data"), filepath.Join(f.dir, "postgres"), local(f.ports.auth), strings.Join(trusted, " "), serviceKey,
		accessTokenLife, f.payments.config(), local(f.ports.auth))
	directives := gate
	if f.site != "" {
		directives = fmt.Sprintf("import %q", f.site)
	}
	for i, upstream := range f.upstreams {
		fmt.Fprintf(&text, `%s {
	%s
	reverse_proxy %s
}
`, local(f.ports.apps[i]), directives, upstream)
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text.String()), nil)
	if err != nil && f.site != "" {
		err = fmt.Errorf("--site: %w", err)
	}
	return config, err
}
