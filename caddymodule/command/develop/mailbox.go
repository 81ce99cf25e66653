package develop

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"mana.how/edge/internal/mail"
)

// keptMails bounds the mailbox: older ones go first.
const keptMails = 500

// received is a mail in the mailbox.
type received struct {
	Number  int       `json:"number"`
	At      time.Time `json:"at"`
	To      string    `json:"to"`
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	Links   []string  `json:"links"`
	HTML    string    `json:"html"`
}

// mailbox keeps mails in place of a server. It is safe for concurrent use.
type mailbox struct {
	mu    sync.Mutex
	count int
	list  []received    // the oldest first
	came  chan struct{} // closed when the next one comes
}

func newMailbox() *mailbox { return &mailbox{came: make(chan struct{})} }

// Send implements [mail.Sender]. It never fails.
func (m *mailbox) Send(_ context.Context, letter mail.Letter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	links := letter.Links
	if links == nil {
		links = []string{}
	}
	m.list = append(m.list, received{
		Number: m.count, At: time.Now(), To: letter.To, Kind: letter.Kind, Subject: letter.Subject,
		Text: letter.Text, Links: links, HTML: letter.HTML,
	})
	m.list = m.list[max(0, len(m.list)-keptMails):]
	close(m.came)
	m.came = make(chan struct{})
	return nil
}

// filter says which mails are looked for; what is empty matches all.
type filter struct {
	To, Kind string
	After    int // numbers above this one
}

func (f filter) fits(r received) bool {
	return r.Number > f.After && (f.To == "" || strings.EqualFold(f.To, r.To)) && (f.Kind == "" || f.Kind == r.Kind)
}

// find lists the mails, the newest first.
func (m *mailbox) find(f filter) []received {
	list, _ := m.look(f)
	return list
}

// look is find, with what is closed when another mail comes.
func (m *mailbox) look(f filter) ([]received, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := []received{}
	for _, r := range slices.Backward(m.list) {
		if f.fits(r) {
			list = append(list, r)
		}
	}
	return list, m.came
}

// wait is find that waits for one to come, as long as ctx lives.
func (m *mailbox) wait(ctx context.Context, f filter) []received {
	for {
		list, came := m.look(f)
		if len(list) > 0 {
			return list
		}
		select {
		case <-came:
		case <-ctx.Done():
			return list
		}
	}
}

// empty forgets all mails.
func (m *mailbox) empty() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = nil
}

// Interface guard
var _ mail.Sender = (*mailbox)(nil)
