package membership

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// mayReadAll reports whether the caller reads every organisation. They change none
// that they are not a member of.
func mayReadAll(c principal.Caller) bool { return c.Role == principal.RoleAdmin }

// Organizations are those that the caller is a member of, by name.
func (s *Directory) Organizations(ctx context.Context, c principal.Caller) ([]organization.Organization, error) {
	return organization.List(ctx, s.with.DB, account.ScopeOf(c), c.UserID)
}

// Organization reads one of the caller's; an admin of the platform reads any. It
// fails with [organization.ErrNotFound].
func (s *Directory) Organization(ctx context.Context, c principal.Caller, id string) (organization.Organization, error) {
	return organization.Find(ctx, s.with.DB, account.ScopeOf(c), id, c.UserID, mayReadAll(c))
}

// Members are those of an organisation that the caller may read, the oldest first.
// It fails with [organization.ErrNotFound].
func (s *Directory) Members(ctx context.Context, c principal.Caller, id string) ([]organization.Member, error) {
	return organization.Members(ctx, s.with.DB, id, c.UserID, mayReadAll(c))
}

// Membership is what a user is in an organisation. It fails with
// [organization.ErrMemberNotFound], for accounts that are barred too.
func (s *Directory) Membership(ctx context.Context, organizationID, userID string) (organization.Membership, error) {
	return organization.MembershipOf(ctx, s.with.DB, organizationID, userID)
}

// Memberships are the organisations of a user, by name. A barred account has none.
func (s *Directory) Memberships(ctx context.Context, userID string) ([]organization.Membership, error) {
	return organization.Memberships(ctx, s.with.DB, userID)
}

// CreateOrganization makes an organisation, which the caller owns. It fails with
// [account.ErrEmailNotVerified] for an address that is not proven, and with
// [organization.ErrTooMany], [organization.ErrSlugTaken] or
// [organization.ErrInvalidInput].
func (s *Directory) CreateOrganization(ctx context.Context, c principal.Caller, n organization.New) (made organization.Organization, err error) {
	if n, err = n.Check(); err != nil {
		return made, err
	}
	err = s.with.Store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u account.User) error {
		if !u.EmailVerified {
			return account.ErrEmailNotVerified
		}
		owned, err := organization.CountOwnedTx(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		if owned >= organization.MaxPerUser {
			return organization.ErrTooMany
		}
		if made, err = organization.InsertTx(ctx, tx, n, u.ID); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, organizationEvent("organization_created", c.UserID, c.Client, made.ID, nil))
	})
	return made, err
}

// organizationEvent is what happened to a user in an organisation.
func organizationEvent(kind, userID string, client principal.Client, organizationID string, more map[string]any) audit.Event {
	metadata := map[string]any{"organizationId": organizationID}
	maps.Copy(metadata, more)
	return audit.Event{Type: kind, UserID: userID, Client: client, Metadata: metadata}
}

// actor is who changes an organisation: a member, or an operator, or neither where
// it happens by itself.
type actor struct {
	organization.Member
	client   principal.Client
	operator principal.Operator
}

// recordTx writes the event of a change for who made it and, where that is
// somebody else, for the member it is about, who does not learn from where.
func (a actor) recordTx(ctx context.Context, tx pgx.Tx, kind string, about organization.Member, more map[string]any) error {
	metadata := map[string]any{"memberId": about.ID, "userId": about.UserID}
	maps.Copy(metadata, more)
	if a.UserID == "" {
		e := organizationEvent(kind, about.UserID, principal.Client{}, about.OrganizationID, metadata)
		e.By = a.operator
		return audit.RecordTx(ctx, tx, e)
	}
	if err := audit.RecordTx(ctx, tx, organizationEvent(kind, a.UserID, a.client, about.OrganizationID, metadata)); err != nil || about.UserID == a.UserID {
		return err
	}
	metadata["by"] = a.UserID
	return audit.RecordTx(ctx, tx, organizationEvent(kind, about.UserID, principal.Client{}, about.OrganizationID, metadata))
}

// actorTx is the caller as a member of an organisation whose row is locked, if
// their role may. It fails with [organization.ErrForbidden], or with
// [organization.ErrNotFound] for who is no member and may not know that it is
// there.
func actorTx(ctx context.Context, tx pgx.Tx, c principal.Caller, organizationID string, may func(organization.Role) bool) (actor, error) {
	me, err := organization.MemberOfTx(ctx, tx, organizationID, c.UserID)
	switch {
	case errors.Is(err, organization.ErrMemberNotFound) && mayReadAll(c):
		return actor{}, organization.ErrForbidden
	case errors.Is(err, organization.ErrMemberNotFound):
		return actor{}, organization.ErrNotFound
	case err != nil:
		return actor{}, err
	case !may(me.Role):
		return actor{}, organization.ErrForbidden
	}
	return actor{Member: me, client: c.Client}, nil
}

// changeOrganization runs a change of an organisation by the caller, alone: its row
// is locked, the caller's role is known and allowed. What is cut off by it is
// announced.
func (s *Directory) changeOrganization(ctx context.Context, c principal.Caller, id string, may func(organization.Role) bool,
	change func(context.Context, pgx.Tx, organization.Organization, actor) ([]revocation.Revocation, error),
) error {
	_, err := s.with.Store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		o, err := organization.LockTx(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		by, err := actorTx(ctx, tx, c, id, may)
		if err != nil {
			return nil, err
		}
		return change(ctx, tx, o, by)
	})
	return err
}

// anyMember is what every role may.
func anyMember(r organization.Role) bool { return r.Valid() }

// UpdateOrganization changes name, logo or metadata, as an owner or admin of the
// organisation. It fails with [organization.ErrNotFound],
// [organization.ErrForbidden] or [organization.ErrInvalidInput].
func (s *Directory) UpdateOrganization(ctx context.Context, c principal.Caller, id string, change organization.Change) (o organization.Organization, err error) {
	checked, err := change.Check()
	if err != nil {
		return o, err
	}
	var fields []string
	for name, changes := range map[string]bool{"name": checked.Name != nil, "logo": checked.Logo != nil, "metadata": checked.Metadata != nil} {
		if changes {
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	err = s.changeOrganization(ctx, c, id, organization.Role.Manages,
		func(ctx context.Context, tx pgx.Tx, _ organization.Organization, _ actor) (_ []revocation.Revocation, err error) {
			if o, err = organization.UpdateTx(ctx, tx, id, checked); err != nil {
				return nil, err
			}
			return nil, audit.RecordTx(ctx, tx, organizationEvent("organization_updated", c.UserID, c.Client, id, map[string]any{"fields": fields}))
		})
	return o, err
}

// DeleteOrganization deletes an organisation for ever, as an owner of it, who
// inherits what it has. It fails with [organization.ErrNotFound] or
// [organization.ErrForbidden].
func (s *Directory) DeleteOrganization(ctx context.Context, c principal.Caller, id string) error {
	err := s.changeOrganization(ctx, c, id, organization.Role.Owns,
		func(ctx context.Context, tx pgx.Tx, o organization.Organization, by actor) ([]revocation.Revocation, error) {
			return s.deleteOrganizationTx(ctx, tx, by, o)
		})
	if err == nil {
		s.with.Dissolved(context.WithoutCancel(ctx), id)
	}
	return err
}

// heirOf is who gets what an organisation has that is deleted: the owner who
// deletes it, else its oldest owner; members are in the order of their age.
func (a actor) heirOf(members []organization.Member) string {
	if a.UserID != "" {
		return a.UserID
	}
	for _, m := range members {
		if m.Role.Owns() {
			return m.UserID
		}
	}
	return ""
}

// deleteOrganizationTx deletes an organisation whose row is locked, and cuts its
// members off.
func (s *Directory) deleteOrganizationTx(ctx context.Context, tx pgx.Tx, a actor, o organization.Organization) ([]revocation.Revocation, error) {
	members, err := organization.MembersTx(ctx, tx, o.ID)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if err := a.recordTx(ctx, tx, "organization_deleted", m, nil); err != nil {
			return nil, err
		}
	}
	revs, err := cutMembersTx(ctx, tx, members...)
	if err != nil {
		return nil, err
	}
	keys, err := s.dissolveTx(ctx, tx, o.ID, a.heirOf(members))
	return append(revs, keys...), err
}

// dissolveTx deletes an organisation, and cuts off its keys with it. heir gets what it
// has, nobody where that is empty.
func (s *Directory) dissolveTx(ctx context.Context, tx pgx.Tx, organizationID, heir string) ([]revocation.Revocation, error) {
	revs, err := apikey.CutAllOfTx(ctx, tx, organizationID)
	if err != nil {
		return nil, err
	}
	if err := s.with.DissolveTx(ctx, tx, organizationID, heir); err != nil {
		return nil, err
	}
	return revs, organization.DeleteTx(ctx, tx, organizationID)
}

// cutMembersTx refuses every token that the members hold now, for it may say what
// they are in the organisation no more. Their sessions live on and give new ones.
func cutMembersTx(ctx context.Context, tx pgx.Tx, members ...organization.Member) ([]revocation.Revocation, error) {
	users := make([]string, len(members))
	for i, m := range members {
		users[i] = m.UserID
	}
	slices.Sort(users) // everybody locks in one order
	revs := make([]revocation.Revocation, 0, len(users))
	for _, id := range slices.Compact(users) {
		cut, err := revocation.CutUserTx(ctx, tx, id, revocation.ReasonOrganization)
		if err != nil {
			return nil, err
		}
		revs = append(revs, cut)
	}
	return revs, nil
}

// loseTx cuts off who is a member no more, and takes the organisation from their
// sessions.
func loseTx(ctx context.Context, tx pgx.Tx, m organization.Member) ([]revocation.Revocation, error) {
	revs, err := cutMembersTx(ctx, tx, m)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx,
		`UPDATE auth.sessions SET active_organization_id = NULL, updated_at = now()
		 WHERE user_id = $1 AND active_organization_id = $2`, m.UserID, m.OrganizationID)
	return revs, err
}

// findMemberTx finds a member by what clients name them: their id in the
// organisation, or their address.
func findMemberTx(ctx context.Context, tx pgx.Tx, organizationID, idOrEmail string) (organization.Member, error) {
	idOrEmail = strings.TrimSpace(idOrEmail)
	return organization.FindMemberTx(ctx, tx, organizationID, idOrEmail, address.Lookup(idOrEmail))
}

// RemoveMember takes a member, named by id or address, out of an organisation, or
// lets the caller leave it. It fails with [organization.ErrNotFound],
// [organization.ErrMemberNotFound], [organization.ErrForbidden] or, for its last
// owner, [organization.ErrLastOwner].
func (s *Directory) RemoveMember(ctx context.Context, c principal.Caller, organizationID, idOrEmail string) error {
	return s.changeOrganization(ctx, c, organizationID, anyMember,
		func(ctx context.Context, tx pgx.Tx, _ organization.Organization, by actor) ([]revocation.Revocation, error) {
			m, err := findMemberTx(ctx, tx, organizationID, idOrEmail)
			if errors.Is(err, organization.ErrMemberNotFound) && !by.Role.Manages() {
				err = organization.ErrForbidden
			}
			if err != nil {
				return nil, err
			}
			if m.ID != by.ID && (!by.Role.Manages() || !by.Role.MayChange(m.Role)) {
				return nil, organization.ErrForbidden
			}
			if alone, err := organization.OwnedOnlyByTx(ctx, tx, m); err != nil {
				return nil, err
			} else if alone {
				return nil, organization.ErrLastOwner
			}
			if err := organization.RemoveMemberTx(ctx, tx, m); err != nil {
				return nil, err
			}
			kind := "organization_member_removed"
			if m.ID == by.ID {
				kind = "organization_left"
			}
			if err := by.recordTx(ctx, tx, kind, m, map[string]any{"role": m.Role}); err != nil {
				return nil, err
			}
			return loseTx(ctx, tx, m)
		})
}

// LeaveOrganization is [Directory.RemoveMember] of the caller.
func (s *Directory) LeaveOrganization(ctx context.Context, c principal.Caller, organizationID string) error {
	var me string
	err := s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		m, err := organization.MemberOfTx(ctx, tx, organizationID, c.UserID)
		me = m.ID
		return err
	})
	if errors.Is(err, organization.ErrMemberNotFound) {
		err = organization.ErrNotFound
	}
	if err != nil {
		return err
	}
	return s.RemoveMember(ctx, c, organizationID, me)
}

// SetMemberRole makes a member an admin or a plain member. An owner's role is
// changed by owners alone, and never the last one's. It fails with
// [organization.ErrNotFound], [organization.ErrMemberNotFound],
// [organization.ErrForbidden], [organization.ErrOwnerRole],
// [organization.ErrLastOwner] or [organization.ErrInvalidInput].
func (s *Directory) SetMemberRole(ctx context.Context, c principal.Caller, organizationID, idOrEmail string, role organization.Role) (m organization.Member, err error) {
	if !role.Assignable() {
		return m, organization.ErrInvalidInput
	}
	err = s.changeOrganization(ctx, c, organizationID, organization.Role.Manages,
		func(ctx context.Context, tx pgx.Tx, _ organization.Organization, by actor) (_ []revocation.Revocation, err error) {
			if m, err = findMemberTx(ctx, tx, organizationID, idOrEmail); err != nil {
				return nil, err
			}
			if !by.Role.MayChange(m.Role) {
				return nil, organization.ErrOwnerRole
			}
			if alone, err := organization.OwnedOnlyByTx(ctx, tx, m); err != nil {
				return nil, err
			} else if alone {
				return nil, organization.ErrLastOwner
			}
			return by.setRoleTx(ctx, tx, &m, role)
		})
	return m, err
}

// setRoleTx gives a member another role, where it is another, and cuts them off.
func (a actor) setRoleTx(ctx context.Context, tx pgx.Tx, m *organization.Member, role organization.Role) ([]revocation.Revocation, error) {
	before := m.Role
	if before == role {
		return nil, nil
	}
	var err error
	if *m, err = organization.SetRoleTx(ctx, tx, *m, role); err != nil {
		return nil, err
	}
	if err := a.recordTx(ctx, tx, "organization_role_changed", *m, map[string]any{"from": before, "to": role}); err != nil {
		return nil, err
	}
	return cutMembersTx(ctx, tx, *m)
}

// TransferOrganization makes a member, named by id or address, an owner, as an
// owner who has authenticated recently. The caller becomes an admin, or with keep
// stays an owner beside them. It fails with a *authcore.ReauthenticationError,
// [organization.ErrNotFound], [organization.ErrMemberNotFound],
// [organization.ErrForbidden] or, for a transfer to oneself,
// [organization.ErrInvalidInput].
func (s *Directory) TransferOrganization(ctx context.Context, c principal.Caller, organizationID, idOrEmail string, keep bool) (m organization.Member, err error) {
	if err := s.with.Recent(ctx, c); err != nil {
		return m, err
	}
	err = s.changeOrganization(ctx, c, organizationID, organization.Role.Owns,
		func(ctx context.Context, tx pgx.Tx, _ organization.Organization, by actor) ([]revocation.Revocation, error) {
			if m, err = findMemberTx(ctx, tx, organizationID, idOrEmail); err != nil {
				return nil, err
			}
			if m.ID == by.ID {
				return nil, organization.ErrInvalidInput
			}
			if _, err := account.LockTx(ctx, tx, m.UserID); errors.Is(err, account.ErrNotFound) {
				return nil, organization.ErrMemberNotFound // barred: nobody would own it
			} else if err != nil {
				return nil, err
			}
			revs, err := by.setRoleTx(ctx, tx, &m, organization.RoleOwner)
			if err != nil || keep {
				return revs, err
			}
			me := by.Member
			more, err := by.setRoleTx(ctx, tx, &me, organization.RoleAdmin)
			return append(revs, more...), err
		})
	return m, err
}

// PassOnTx makes a user leave all their organisations for good, whose rows and the
// user's are locked. One that they alone owned goes to [organization.SuccessorTx],
// who is cut off; one without another member is deleted, and so dissolved.
func (s *Directory) PassOnTx(ctx context.Context, tx pgx.Tx, userID string) (revs []revocation.Revocation, dissolved []string, err error) {
	organizations, err := organization.LockAllOfTx(ctx, tx, userID)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range organizations {
		m, err := organization.MemberOfTx(ctx, tx, id, userID)
		if err != nil {
			return nil, nil, err
		}
		next, err := organization.SuccessorTx(ctx, tx, m)
		if errors.Is(err, organization.ErrMemberNotFound) {
			keys, err := s.dissolveTx(ctx, tx, id, "")
			if err != nil {
				return nil, nil, err
			}
			revs = append(revs, keys...)
			dissolved = append(dissolved, id)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if alone, err := organization.OwnedOnlyByTx(ctx, tx, m); err != nil {
			return nil, nil, err
		} else if alone {
			inherited, err := actor{}.setRoleTx(ctx, tx, &next, organization.RoleOwner)
			if err != nil {
				return nil, nil, err
			}
			revs = append(revs, inherited...)
		}
		if err := organization.RemoveMemberTx(ctx, tx, m); err != nil {
			return nil, nil, err
		}
	}
	return revs, dissolved, nil
}
