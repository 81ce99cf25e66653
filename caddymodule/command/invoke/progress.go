package invoke

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// barWidth is how wide a bar is, in characters.
const barWidth = 24

// redrawEvery is how often a bar is drawn anew.
const redrawEvery = 250 * time.Millisecond

// Progress draws how far long work has come, for people who watch.
type Progress struct {
	out   io.Writer // nil where nobody watches
	steps int
	now   func() time.Time

	mu    sync.Mutex
	done  int
	what  string
	began time.Time
	stop  chan struct{}
	ended sync.WaitGroup
}

// Progress draws a bar of so many steps into the error output, where that is a
// terminal and the result is not asked for as JSON; else nothing. The caller ends it.
func (inv Invocation) Progress(steps int) *Progress {
	file, ok := inv.ErrOrStderr().(*os.File)
	if !ok || inv.json || !term.IsTerminal(int(file.Fd())) {
		return NewProgress(nil, steps)
	}
	return NewProgress(file, steps)
}

// NewProgress draws a bar into a terminal; nil draws nothing.
func NewProgress(out io.Writer, steps int) *Progress {
	p := &Progress{out: out, steps: steps, now: time.Now, began: time.Now(), stop: make(chan struct{})}
	if out != nil {
		p.ended.Go(p.tick)
	}
	return p
}

// Step begins the next step; the one before is done.
func (p *Progress) Step(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.what != "" {
		p.done++
	}
	p.what = what
	p.draw()
}

// End takes the bar away.
func (p *Progress) End() {
	close(p.stop)
	p.ended.Wait()
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func (p *Progress) tick() {
	redraw := time.NewTicker(redrawEvery)
	defer redraw.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-redraw.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		}
	}
}

// draw draws the bar. p.mu is held.
func (p *Progress) draw() {
	if p.out == nil || p.what == "" {
		return
	}
	full := barWidth * p.done / max(1, p.steps)
	fmt.Fprintf(p.out, "\r\x1b[K[%s%s] %d/%d %s, %s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full),
		p.done, p.steps, p.what, p.now().Sub(p.began).Round(time.Second))
}
