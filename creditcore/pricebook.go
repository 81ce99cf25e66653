package creditcore

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mana.how/edge/internal/dbscope"
)

// PriceChannel is where the database tells that the price book has changed.
const PriceChannel = "mana_prices"

// priceBook is what this process knows of the prices in force, and of those to come.
type priceBook struct {
	inForce atomic.Pointer[inForce]
	loading sync.Mutex
}

// inForce are the prices of a version of the book, and those that follow it: next is
// in force from a moment on, by the monotonic clock. Version is 0 where there is none.
type inForce struct {
	version int64
	book    Prices // of the version alone
	prices  Prices // with those of the config beneath
	from    time.Time
	next    *inForce
}

// now is what is in force. The moment of the next version is looked at by whoever asks.
func (b *priceBook) now() *inForce {
	for {
		f := b.inForce.Load()
		if f.next == nil || time.Now().Before(f.next.from) {
			return f
		}
		b.inForce.CompareAndSwap(f, f.next)
	}
}

// known are the versions that were read before.
func (b *priceBook) known() map[int64]*inForce {
	list := make(map[int64]*inForce)
	for f := b.inForce.Load(); f != nil; f = f.next {
		list[f.version] = f
	}
	return list
}

// Prices are those that charges may name now: of the version of the price book in force,
// and for names that it does not have, of the config.
func (s *Service) Prices() Prices { return s.book.now().prices }

// PriceBook are the prices of the version in force alone, and its number: none, and 0,
// where the config's stand for themselves.
func (s *Service) PriceBook() (Prices, int64) {
	f := s.book.now()
	return f.book, f.version
}

// Overridden are the names of prices of the config that the version in force, whose number it
// returns, has otherwise.
func (s *Service) Overridden() (names []string, version int64) {
	f := s.book.now()
	for _, p := range s.cfg.Prices.list() {
		if now, err := f.prices.Named(p.Name); err == nil && now.String() != p.String() {
			names = append(names, p.Name)
		}
	}
	return names, f.version
}

// ConfigPrices are those of the config, whatever the price book says.
func (s *Service) ConfigPrices() Prices { return s.cfg.Prices }

// priceBookSQL is the version in force, if there is one, and those to come, in their order.
const priceBookSQL = `
	SELECT v.version, v.prices, extract(epoch FROM v.effective_at - clock_timestamp())::float8 AS due
	FROM credits.price_versions AS v
	WHERE v.withdrawn_at IS NULL AND (v.effective_at > now() OR v.version = (
		SELECT f.version FROM credits.price_versions AS f
		WHERE f.withdrawn_at IS NULL AND f.effective_at <= now()
		ORDER BY f.effective_at DESC, f.version DESC
		LIMIT 1))
	ORDER BY v.effective_at, v.version`

// LoadPrices reads the price book, which every process does at its start and whenever
// [PriceChannel] tells of a change. Until then the prices of the config are in force.
// The database's clock says when a version is: this process is behind it by the
// time that the answer took to arrive, and never ahead.
func (s *Service) LoadPrices(ctx context.Context) error {
	s.book.loading.Lock()
	defer s.book.loading.Unlock()
	list, err := dbscope.List[struct {
		Version int64
		Prices  json.RawMessage
		Due     float64 // in so many seconds
	}](ctx, s.db, dbscope.System(), priceBookSQL)
	if err != nil {
		return err
	}
	now, known := time.Now(), s.book.known()
	first := &inForce{prices: s.cfg.Prices}
	last := first
	for _, v := range list {
		next := &inForce{version: v.Version, from: now.Add(time.Duration(v.Due * float64(time.Second)))}
		if before, ok := known[v.Version]; ok { // no version ever changes
			next.book, next.prices = before.book, before.prices
		} else if next.book, err = parsePriceList(v.Version, v.Prices); err != nil {
			return fmt.Errorf("version %d of the price book: %w", v.Version, err)
		} else {
			next.prices = next.book.Over(s.cfg.Prices)
		}
		if last.next = next; v.Due <= 0 {
			first = next
		}
		last = next
	}
	s.book.inForce.Store(first)
	return nil
}
