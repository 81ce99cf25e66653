package authcore

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/keyset"
)

// UserSearch finds accounts whose address, name and id have words that begin with
// each of the words of Text; all where there is none. Deleted ones are left out.
type UserSearch struct {
	Text   string
	Before keyset.Cursor
	Limit  int
}

// maxWords bounds the words of a search.
const maxWords = 8

// FindUsers lists accounts, the newest first, and returns the cursor of the next
// page.
func (s *Service) FindUsers(ctx context.Context, _ principal.Operator, q UserSearch) ([]ListedUser, keyset.Cursor, error) {
	var words []string
	if q.Text = strings.TrimSpace(q.Text); q.Text != "" {
		var err error
		if words, err = dbscope.Texts(ctx, s.db, system(), `SELECT word AS text FROM auth.words($1) AS word`, q.Text); err != nil {
			return nil, keyset.Cursor{}, err
		}
		if len(words) == 0 {
			return nil, keyset.Cursor{}, nil
		}
	}
	sql, args := findUsersSQL(words, q)
	list, err := dbscope.List[ListedUser](ctx, s.db, system(), sql, args...)
	list, next := keyset.Cut(list, q.Limit, func(u ListedUser) keyset.Cursor { return keyset.Cursor{At: u.CreatedAt, ID: u.ID} })
	return list, next, err
}

// afterPrefix follows every word that begins with the one it is put behind, in the
// order of COLLATE "C".
const afterPrefix = "\U0010FFFF"

func findUsersSQL(words []string, q UserSearch) (sql string, args []any) {
	var w keyset.Where
	w.And(`u.deleted_at IS NULL`)
	for _, word := range words[:min(len(words), maxWords)] {
		w.And(`EXISTS (SELECT FROM auth.user_words AS w WHERE w.user_id = u.id AND w.word >= ? AND w.word < ?)`, word, word+afterPrefix)
	}
	w.Before("u", q.Before)
	return `SELECT ` + account.Columns + `,
		   (SELECT max(s.last_activity_at) FROM auth.sessions AS s WHERE s.user_id = u.id) AS last_active_at
		 FROM auth.users AS u` + w.String() + keyset.Newest("u") + ` LIMIT ` + w.Arg(q.Limit+1), w.Args()
}

// UserByID finds an account by its id alone, or fails with [ErrUserNotFound].
func (s *Service) UserByID(ctx context.Context, op principal.Operator, id string) (User, error) {
	u, err := s.UserByIDOrEmail(ctx, op, id)
	if err == nil && u.ID != id {
		err = ErrUserNotFound
	}
	return u, err
}

// OrganizationPage lists organisations, the newest first.
func (s *Service) OrganizationPage(ctx context.Context, _ principal.Operator, search string, before keyset.Cursor, limit int) ([]organization.Listed, keyset.Cursor, error) {
	return organization.Page(ctx, s.db, search, before, limit)
}

// JoinedBy are the organisations of a user, by name.
func (s *Service) JoinedBy(ctx context.Context, _ principal.Operator, userID string) ([]organization.Joined, error) {
	return organization.JoinedBy(ctx, s.db, userID)
}

// OwnOrganizations are those of the caller, with since when.
func (s *Service) OwnOrganizations(ctx context.Context, c principal.Caller) ([]organization.Joined, error) {
	return organization.JoinedBy(ctx, s.db, c.UserID)
}

// InvitationsOf are the open invitations of an organisation.
func (s *Service) InvitationsOf(ctx context.Context, _ principal.Operator, organizationID string) ([]organization.Invitation, error) {
	return organization.OpenInvitations(ctx, s.db, organizationID)
}

// APIKeyPage lists keys of everybody, the newest first.
func (s *Service) APIKeyPage(ctx context.Context, _ principal.Operator, q apikey.Query) ([]apikey.Listed, keyset.Cursor, error) {
	return apikey.Page(ctx, s.db, q)
}

// SearchEvents reads events of everybody, the newest first.
func (s *Service) SearchEvents(ctx context.Context, _ principal.Operator, f audit.Filter) ([]audit.Entry, keyset.Cursor, error) {
	return audit.Search(ctx, s.db, f)
}

// EventByID is an event, nil where there is none of that id, a UUID.
func (s *Service) EventByID(ctx context.Context, _ principal.Operator, id string) (*audit.Entry, error) {
	e, err := audit.ByID(ctx, s.db, id)
	if err != nil {
		return nil, account.NotFound(err, nil)
	}
	return &e, nil
}

// EventHours counts events of some types by the hour.
func (s *Service) EventHours(ctx context.Context, _ principal.Operator, since time.Time, types ...string) ([]audit.Hour, error) {
	return audit.Hours(ctx, s.db, since, types...)
}

// LatestRevocations are those of the last days that are kept, the newest first.
func (s *Service) LatestRevocations(ctx context.Context, _ principal.Operator, limit int) ([]revocation.Revocation, error) {
	return dbscope.List[revocation.Revocation](ctx, s.db, system(),
		`SELECT `+revocation.Columns+` FROM auth.revocations ORDER BY created_at DESC, id DESC LIMIT $1`, limit)
}

// Audited runs a change that the event says, in one transaction with it and in the
// scope of the system. Without a change it records the event alone.
func (s *Service) Audited(ctx context.Context, e audit.Event, change func(context.Context, pgx.Tx) error) error {
	return s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		if change != nil {
			if err := change(ctx, tx); err != nil {
				return err
			}
		}
		return audit.RecordTx(ctx, tx, e)
	})
}
