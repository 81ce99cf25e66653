package grant

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// StartDevice makes the codes of a device of a client (RFC 8628, section 3.2).
func (s *Grants) StartDevice(ctx context.Context, c openid.Client, scopes []string) (deviceCode, userCode string, err error) {
	return openid.InsertDevice(ctx, s.with.DB, c.ID, scopes)
}

// WaitingDevice finds the client and the scopes of a user code that nobody has decided
// about. It fails with [openid.ErrUserCode].
func (s *Grants) WaitingDevice(ctx context.Context, userCode string) (c openid.Client, scopes []string, err error) {
	var d openid.Device
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		d, err = openid.FindDeviceTx(ctx, tx, userCode)
		return err
	})
	if err == nil {
		c, err = s.OpenIDClient(ctx, d.ClientID)
	}
	return c, d.Scopes, err
}

// DecideDevice notes that the holder of a browser session allows, or refuses, the
// device of a user code. It fails with [openid.ErrUserCode].
func (s *Grants) DecideDevice(ctx context.Context, client principal.Client, b Holder, userCode string, allow bool) error {
	return s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		d, err := openid.FindDeviceTx(ctx, tx, userCode)
		if err != nil {
			return err
		}
		if err := openid.DecideDeviceTx(ctx, tx, d, b.UserID(), b.Session().ID, allow); err != nil || !allow {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "app_connected", UserID: b.UserID(), Client: client,
			Metadata: map[string]any{"client": d.ClientID, "scopes": strings.Join(d.Scopes, " "), "device": true}})
	})
}

// RedeemDevice exchanges a device code once somebody has allowed it (RFC 8628, section
// 3.4). It fails with [openid.ErrPending], [openid.ErrSlowDown], [openid.ErrDenied],
// [openid.ErrDeviceExpired] or [openid.ErrCode].
func (s *Grants) RedeemDevice(ctx context.Context, client principal.Client, c openid.Client, deviceCode string) (g Grant, err error) {
	var refused error
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		d, err := openid.PollDeviceTx(ctx, tx, c.ID, deviceCode)
		if err != nil {
			return err
		}
		switch {
		case d.Consumed:
			refused = openid.ErrCode
		case d.Denied:
			refused = openid.ErrDenied
		case d.Expired:
			refused = openid.ErrDeviceExpired
		case d.TooSoon:
			refused = openid.ErrSlowDown
		case d.UserID == "":
			refused = openid.ErrPending
		}
		if refused != nil {
			return nil // it has asked, all the same
		}
		if g, err = s.grantTx(ctx, tx, client, c, d.UserID, d.SessionID, d.Scopes); err != nil {
			return err
		}
		return openid.ConsumeDeviceTx(ctx, tx, d)
	})
	if err == nil {
		err = refused
	}
	if errors.Is(err, account.ErrInvalidCredentials) || errors.Is(err, account.ErrNotFound) {
		err = openid.ErrDenied
	}
	return g, err
}
