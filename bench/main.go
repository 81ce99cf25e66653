package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// options are the command's flags.
type options struct {
	root    string        // the repository
	only    string        // names of scenarios, comma-separated; empty runs all
	round   time.Duration // of each measured round
	rounds  int
	clients int
	peers   bool
	out     string
	profile string // directory for CPU profiles of the edge; empty takes none
}

func main() {
	log.SetFlags(log.Ltime)
	var o options
	flag.StringVar(&o.root, "root", "..", "directory of the repository")
	flag.StringVar(&o.only, "only", "", "scenarios to run, of gate, limit, signin, api, openid, credits, memory, start")
	flag.DurationVar(&o.round, "round", time.Second, "length of a round")
	flag.IntVar(&o.rounds, "rounds", 31, "rounds of each side")
	flag.IntVar(&o.clients, "clients", 32, "concurrent connections")
	flag.BoolVar(&o.peers, "peers", true, "build and measure the peers too")
	flag.StringVar(&o.profile, "profile", "", "directory for a CPU profile of the edge for each side, taken in one more round")
	flag.StringVar(&o.out, "out", "", "also write the report to this file")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatalf("bench: %v", err)
	}
}

// scenario measures one thing on a fresh stand and reports it.
type scenario struct {
	name string
	run  func(context.Context, *stand, *report) error
}

var scenarios = []scenario{
	{"gate", measureGate},
	{"limit", measureLimit},
	{"signin", measureSignIn},
	{"api", measureAPI},
	{"openid", measureOpenID},
	{"credits", measureCredits},
	{"memory", measureMemory},
	{"start", measureStart},
}

func run(ctx context.Context, o options) error {
	r := &report{}
	var faults []error
	r.line("%s, %d cores, %s; %d rounds of %v, %d connections", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), o.rounds, o.round, o.clients)
	for _, s := range scenarios {
		if o.only != "" && !strings.Contains(","+o.only+",", ","+s.name+",") {
			continue
		}
		log.Printf("measuring: %s", s.name)
		if err := runScenario(ctx, o, s, r); err != nil {
			log.Printf("%s: %v", s.name, err)
			faults = append(faults, fmt.Errorf("%s: %w", s.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Print(r)
	if o.out != "" {
		faults = append(faults, os.WriteFile(o.out, []byte(r.String()), 0o644))
	}
	return errors.Join(faults...)
}

func runScenario(ctx context.Context, o options, s scenario, r *report) error {
	// Not below a private directory: the embedded server may run as another user.
	dir, err := os.MkdirTemp("", "mana-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	root, err := filepath.Abs(o.root)
	if err != nil {
		return err
	}
	st := &stand{options: o, root: root, dir: dir}
	defer st.close()
	if err := st.startUpstream(ctx); err != nil {
		return err
	}
	return s.run(ctx, st, r)
}
