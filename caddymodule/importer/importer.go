package importer

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/dbscope"
)

// batchSize is how many rows one transaction carries over.
const batchSize = 500

// Options say what to import and where to.
type Options struct {
	// From is the URL of the database of the replaced service, which is only read.
	From string
	// Pool leads to the database of this edge.
	Pool *pgxpool.Pool
	// DryRun leaves everything as it is: all is done in one transaction that is
	// rolled back.
	DryRun bool
	// Secrets open the signing keys. Where they are not set, keys are carried over
	// unread.
	Secrets secret.Keys
	// Step is told which table comes next; it may be nil.
	Step func(table string)
}

// Steps is how many tables there are, for a progress bar.
func Steps() int { return len(steps) }

// step carries one table over.
type step struct {
	name string
	run  func(*run, context.Context) error
}

// steps are in the order in which rows refer to each other.
var steps = []step{
	users.step(), credentials.step(), settings.step(), signingKeys.step(),
	sessions.step(), families.step(),
	organizations.step(), members.step(), invitations.step(),
	apiKeys.step(), matrixLinks.step(), clients.step(), consents.step(),
	packages.step(), stripeCustomers.step(),
	{"credits.balances", (*run).accounts},
	purchases.step(), {"gifts.gift_codes", (*run).gifts},
	plans.step(), subscriptions.step(), invoices.step(),
}

// run is one import.
type run struct {
	Options
	src    *source
	outer  pgx.Tx // of a dry run
	report Report

	// people are the users that are here, and may be referred to.
	people map[string]bool
	// addresses are whose a canonical address is.
	addresses map[string]string
	// closed are the users who have left.
	closed map[string]bool
}

// Import carries everything over and returns what it did, also along with an error. It
// can be repeated. It fails with [ErrShape] for a source of another kind.
func Import(ctx context.Context, o Options) (Report, error) {
	src, closes, err := openSource(ctx, o.From)
	if err != nil {
		return Report{}, err
	}
	defer closes()
	r := &run{Options: o, src: src, people: make(map[string]bool)}
	r.report = Report{DryRun: o.DryRun, Tables: []Count{}, Mended: []Note{}, Refused: []Note{}}
	if !o.DryRun {
		err := r.all(ctx)
		return r.report, err
	}
	err = dbscope.InTx(ctx, o.Pool, dbscope.System(), func(tx pgx.Tx) error {
		r.report.Tables, r.report.Mended, r.report.Refused = []Count{}, []Note{}, []Note{}
		r.outer = tx
		if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`); err != nil {
			return err
		}
		if err := r.all(ctx); err != nil {
			return err
		}
		return errDry
	})
	if errors.Is(err, errDry) {
		err = nil
	}
	return r.report, err
}

// errDry rolls a dry run back.
var errDry = errors.New("a dry run")

func (r *run) all(ctx context.Context) error {
	if err := r.readAddresses(ctx); err != nil {
		return fmt.Errorf("auth.users: %w", err)
	}
	if err := r.checkLoss(ctx); err != nil {
		return err
	}
	for _, s := range steps {
		if r.Step != nil {
			r.Step(s.name)
		}
		r.report.add(&tally{table: s.name})
		if err := s.run(r, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// checkLoss refuses a source that has lost most of its users since the last import: it
// is a copy that was not restored to its end, and what it lacks must not end here.
func (r *run) checkLoss(ctx context.Context) error {
	var there, here int
	if err := r.src.tx.QueryRow(ctx, `SELECT count(*) FROM auth.users`).Scan(&there); err != nil {
		return err
	}
	err := r.inBatch(ctx, "auth.users", func(tx pgx.Tx, _ *tally) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM mana.imported AS m WHERE m.kind = 'auth.users'`).Scan(&here)
	})
	if err == nil && 2*there < here {
		err = fmt.Errorf("%w any more: it has %d users, of %d that were carried over before", ErrShape, there, here)
	}
	return err
}

// inBatch runs f in a transaction of its own, of a dry run within the one. Imports wait
// for each other.
func (r *run) inBatch(ctx context.Context, table string, f func(pgx.Tx, *tally) error) error {
	var t *tally
	work := func(tx pgx.Tx) error {
		t = &tally{table: table}
		// A plan made for empty tables would be kept while they fill. What is carried over
		// has not happened now: webhooks are not told of it.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('mana.imported')), set_config('plan_cache_mode', 'force_custom_plan', true),
			set_config('mana.silent', 'import', true)`); err != nil {
			return err
		}
		return f(tx, t)
	}
	var err error
	if r.outer != nil {
		err = pgx.BeginFunc(ctx, r.outer, work)
	} else {
		err = dbscope.InTx(ctx, r.Pool, dbscope.System(), work)
	}
	if err == nil {
		r.report.add(t)
	}
	return err
}

// refusal is why a row cannot stand in this database, for errors that say so.
func refusal(err error) (string, bool) {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 || pg.Code[:2] != "23" && pg.Code[:2] != "22" {
		return "", false
	}
	if pg.ConstraintName != "" {
		return "the database refuses it: " + pg.ConstraintName, true
	}
	return "the database refuses it: " + pg.Message, true
}
