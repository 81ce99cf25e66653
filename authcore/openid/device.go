package openid

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// DeviceTTL is how long somebody has to allow a device, and PollInterval how often the
// device may ask whether they have (RFC 8628, section 3.2). Who asks more often has to
// wait longer by as much again.
const (
	DeviceTTL    = 10 * time.Minute
	PollInterval = 5 * time.Second
)

// Device is a device that waits to be allowed. UserID and SessionID are those of who
// decided, empty before.
type Device struct {
	ID        string
	ClientID  string
	Scopes    []string
	UserID    string
	SessionID string
	Denied    bool
	Consumed  bool
	Expired   bool
	// TooSoon says that the device asked before its interval was over.
	TooSoon bool
}

type deviceRow struct {
	ID        string
	ClientID  string
	Scopes    string
	UserID    string
	SessionID string
	Denied    bool
	Consumed  bool
	Expired   bool
	TooSoon   bool
}

func (r deviceRow) device() Device {
	return Device{
		ID: r.ID, ClientID: r.ClientID, Scopes: strings.Fields(r.Scopes), UserID: r.UserID, SessionID: r.SessionID,
		Denied: r.Denied, Consumed: r.Consumed, Expired: r.Expired, TooSoon: r.TooSoon,
	}
}

const deviceColumns = `d.id, d.client_id, d.scopes, coalesce(d.user_id, '') AS user_id, coalesce(d.session_id, '') AS session_id,
	d.denied, d.consumed_at IS NOT NULL AS consumed, d.expires_at <= now() AS expired,
	coalesce(d.polled_at > now() - make_interval(secs => d.interval_seconds), false) AS too_soon`

// InsertDevice makes the codes of a device.
func InsertDevice(ctx context.Context, db dbscope.DB, clientID string, scopes []string) (deviceCode, userCode string, err error) {
	deviceCode, userCode = ids.New(), ids.UserCode()
	_, err = db.Exec(ctx, dbscope.System(),
		`INSERT INTO auth.oauth_device_codes (id, device_digest, user_code_digest, client_id, scopes, interval_seconds, expires_at)
		 VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))`,
		ids.New(), DigestOf(deviceCode), DigestOf(PlainUserCode(userCode)), clientID, strings.Join(scopes, " "), int(PollInterval.Seconds()), DeviceTTL.Seconds())
	return deviceCode, userCode, err
}

// PlainUserCode is a user code as it is compared: what somebody typed in whatever case,
// with or without its hyphen.
func PlainUserCode(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z':
			return r
		}
		return -1
	}, text)
}

// FindDeviceTx locks the device of a user code that nobody has decided about. It fails
// with [ErrUserCode].
func FindDeviceTx(ctx context.Context, tx pgx.Tx, userCode string) (Device, error) {
	r, err := dbscope.TxRow[deviceRow](ctx, tx,
		`SELECT `+deviceColumns+` FROM auth.oauth_device_codes AS d
		 WHERE d.user_code_digest = $1 AND d.user_id IS NULL AND d.expires_at > now() FOR UPDATE`, DigestOf(PlainUserCode(userCode)))
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrUserCode
	}
	return r.device(), err
}

// DecideDeviceTx notes who allowed or refused a device, and in which session.
func DecideDeviceTx(ctx context.Context, tx pgx.Tx, d Device, userID, sessionID string, allow bool) error {
	_, err := tx.Exec(ctx, `UPDATE auth.oauth_device_codes SET user_id = $2, session_id = $3, denied = $4 WHERE id = $1`, d.ID, userID, sessionID, !allow)
	return err
}

// PollDeviceTx locks the device of a client's device code and notes that it asked. One
// that asked too soon waits longer from now on. It fails with [ErrCode].
func PollDeviceTx(ctx context.Context, tx pgx.Tx, clientID, deviceCode string) (Device, error) {
	r, err := dbscope.TxRow[deviceRow](ctx, tx,
		`SELECT `+deviceColumns+` FROM auth.oauth_device_codes AS d
		 WHERE d.device_digest = $1 AND d.client_id = $2 FOR UPDATE`, DigestOf(deviceCode), clientID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Device{}, ErrCode
	}
	if err == nil {
		_, err = tx.Exec(ctx,
			`UPDATE auth.oauth_device_codes
			 SET polled_at = now(), interval_seconds = interval_seconds + CASE WHEN $2 THEN $3 ELSE 0 END WHERE id = $1`,
			r.ID, r.TooSoon, int(PollInterval.Seconds()))
	}
	return r.device(), err
}

// ConsumeDeviceTx notes that a device has got its tokens.
func ConsumeDeviceTx(ctx context.Context, tx pgx.Tx, d Device) error {
	_, err := tx.Exec(ctx, `UPDATE auth.oauth_device_codes SET consumed_at = now() WHERE id = $1`, d.ID)
	return err
}
