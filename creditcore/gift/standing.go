package gift

import "time"

const (
	// maxWrong is how many wrong answers a user may give to a riddle.
	maxWrong = 10
	// maxWrongByAll is how many everybody together may give within wrongWindow.
	maxWrongByAll = 50
	wrongWindow   = time.Hour
)

// standing is what a redeemer and a gift have to do with each other.
type standing struct {
	Addressed  bool // the gift is for them, or for anybody
	Unverified bool // it is for an address that is theirs if they prove it
	Claimed    bool // they have had a portion
	Keyed      bool // the key of their claim stands for an earlier one
	OwnWrong   int  // their wrong answers
	AllWrong   int  // everybody's within wrongWindow
}

// standingSQL reads the standing; see standingArgs.
const standingSQL = `
SELECT coalesce(g.target_email IS NULL AND g.target_matrix_id IS NULL
         OR g.target_email = u.email AND (u.email_verified OR $3)
         OR g.target_matrix_id = $4 AND NOT EXISTS (
              SELECT FROM auth.matrix_user_links AS l WHERE l.matrix_user_id = $4 AND l.user_id <> $2)
         OR EXISTS (SELECT FROM auth.matrix_user_links AS l WHERE l.user_id = $2 AND l.matrix_user_id = g.target_matrix_id),
       false) AS addressed,
       coalesce(g.target_email = u.email AND NOT u.email_verified AND NOT $3, false) AS unverified,
       EXISTS (SELECT FROM gifts.gift_redemptions AS r
               WHERE r.gift_code_id = g.id AND r.redeemer_user_id = $2 AND r.status = 'success') AS claimed,
       EXISTS (SELECT FROM gifts.gift_redemptions AS r
               WHERE r.redeemer_user_id = $2 AND r.idempotency_key = $5) AS keyed,
       (SELECT count(*) FROM gifts.gift_redemptions AS r
        WHERE r.gift_code_id = g.id AND r.redeemer_user_id = $2 AND r.status = 'failed_wrong_answer') AS own_wrong,
       (SELECT count(*) FROM gifts.gift_redemptions AS r
        WHERE r.gift_code_id = g.id AND r.status = 'failed_wrong_answer' AND r.created_at > $6) AS all_wrong
FROM gifts.gift_codes AS g
LEFT JOIN auth.users AS u ON u.id = $2
WHERE g.id = $1`

func (a *attempt) standingArgs(g stored, redeemUnverified bool, now time.Time) []any {
	return []any{g.ID, a.UserID, redeemUnverified, a.MatrixID, a.Key, now.Add(-wrongWindow)}
}

// refusal is the first reason not to hand the gift out, in the order of the
// contract, up to the answer of a riddle; none is empty.
func (a *attempt) refusal(g *stored, st standing, now time.Time) Refusal {
	switch {
	case g.Status != StatusActive:
		return g.Status.refusal()
	case g.overdue(now):
		return Expired
	case g.CreatorID == a.UserID:
		return Own
	case !st.Addressed && st.Unverified:
		return Unverified
	case !st.Addressed:
		return OtherPerson
	case g.RiddleAnswerHash == nil:
		return ""
	case a.Answer == "":
		return NoAnswer
	case st.OwnWrong >= maxWrong:
		return TooManyAnswers
	case st.AllWrong >= maxWrongByAll:
		return GuessedTooMuch
	}
	return ""
}
