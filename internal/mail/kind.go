package mail

// Kind is what a mail is about.
type Kind string

// The kinds, with what a mail of them cannot do without. Device, Address and At
// tell from where and when; all have Email, and Name where there is one.
const (
	VerifyEmail         Kind = "verify_email"          // Link, Expires
	ResetPassword       Kind = "reset_password"        // Link, Expires
	PasswordChanged     Kind = "password_changed"      // ResetLink if any
	ConfirmAddress      Kind = "confirm_address"       // to the new address: Link, Expires
	AddressChanging     Kind = "address_changing"      // to the old one: at the request nothing, at the change UndoLink, Expires
	AddressChangeUndone Kind = "address_change_undone" // ResetLink if any
	AccountExists       Kind = "account_exists"        // somebody registered with it: Link to sign in, ResetLink if any
	FactorAdded         Kind = "factor_added"          // Factor
	FactorRemoved       Kind = "factor_removed"        // Factor
	BackupCodesRenewed  Kind = "backup_codes_renewed"  // ResetLink if any
	NewDevice           Kind = "new_device"            // Link to the devices if any
	AccountLocked       Kind = "account_locked"        // Expires: until when; ResetLink if any
	MagicLink           Kind = "magic_link"            // Link, Code, Expires
	Invitation          Kind = "invitation"            // Link, Expires; Organization, Inviter if any
	AccountInvitation   Kind = "account_invitation"    // to who has no account: Link, Expires
	GiftReceived        Kind = "gift_received"         // Link; Amount, Inviter, Message, Code, Expires if any
	AccountDeleted      Kind = "account_deleted"       // Message, of what goes on, if any
	CreditsLow          Kind = "credits_low"           // Link; Amount, Limit, Organization if any
	CreditsExhausted    Kind = "credits_exhausted"     // Link; Amount, Limit, Organization if any
	CreditsExpiring     Kind = "credits_expiring"      // Link, Expires; Amount, Organization if any
	CreditsPurchased    Kind = "credits_purchased"     // Link; Amount, Organization if any
	BudgetReached       Kind = "budget_reached"        // Link; Limit, Organization, APIKey if any
	DebtMade            Kind = "debt_made"             // Link; Amount, Organization if any
	RenewalFailed       Kind = "renewal_failed"        // Link; Organization if any
	ToppedUp            Kind = "topped_up"             // Link; Amount, Price, Organization if any
	TopUpConfirm        Kind = "top_up_confirm"        // Link; Amount, Price, Organization if any
	TopUpFailed         Kind = "top_up_failed"         // Link; Amount, Price, Organization if any
	TopUpCapped         Kind = "top_up_capped"         // Link; Price, the cap, Organization if any
	TopUpOff            Kind = "top_up_off"            // Link; Reason, Organization if any
)

// needs names, by kind, the fields that a mail of it cannot do without.
var needs = map[Kind][]string{
	VerifyEmail:         {"Link", "Expires"},
	ResetPassword:       {"Link", "Expires"},
	PasswordChanged:     nil,
	ConfirmAddress:      {"Link", "Expires"},
	AddressChanging:     nil,
	AddressChangeUndone: nil,
	AccountExists:       {"Link"},
	FactorAdded:         nil,
	FactorRemoved:       nil,
	BackupCodesRenewed:  nil,
	NewDevice:           nil,
	AccountLocked:       nil,
	MagicLink:           {"Link", "Code", "Expires"},
	Invitation:          {"Link", "Expires"},
	AccountInvitation:   {"Link", "Expires"},
	GiftReceived:        {"Link"},
	AccountDeleted:      nil,
	CreditsLow:          {"Link"},
	CreditsExhausted:    {"Link"},
	CreditsExpiring:     {"Link", "Expires"},
	CreditsPurchased:    {"Link"},
	BudgetReached:       {"Link"},
	DebtMade:            {"Link"},
	RenewalFailed:       {"Link"},
	ToppedUp:            {"Link"},
	TopUpConfirm:        {"Link"},
	TopUpFailed:         {"Link"},
	TopUpCapped:         {"Link"},
	TopUpOff:            {"Link"},
}

// languages are those that mails are written in, the default first.
var languages = []string{"de", "en"}
