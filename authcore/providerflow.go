package authcore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
)

// Reasons for which somebody is refused here, beside those of package provider.
const (
	// ReasonState: nothing was asked for, or not by this browser, or it was answered.
	ReasonState provider.Reason = "state"
	// ReasonDisabledAccount: who it is may not sign in.
	ReasonDisabledAccount provider.Reason = "account_disabled"
	// ReasonNotLinked: it is not whom the caller is linked to.
	ReasonNotLinked provider.Reason = "not_linked"
	// ReasonSessionOver: the session that asked has ended.
	ReasonSessionOver provider.Reason = "session_over"

	reasonMixUp           provider.Reason = "mix_up" // another provider was asked (RFC 9700, section 4.4)
	reasonLockedAccount   provider.Reason = "account_locked"
	reasonUnverified      provider.Reason = "email_not_verified"
	reasonAddressTaken    provider.Reason = "address_taken"
	reasonLinkedElsewhere provider.Reason = "linked_elsewhere"
	reasonNoRegistration  provider.Reason = "registration_closed"
	reasonWrongInvitation provider.Reason = "invitation"
	reasonTooManyAccounts provider.Reason = "too_many_accounts"
)

const (
	callbackPath    = "/api/auth/callback/"
	invitationPlace = "provider-flow/invitation" // of what is sealed
)

// ProviderRequest asks for a sign-in with a provider. Bindings are what the browser
// holds of other ones that are under way. Target is a checked place to lead to, or
// empty; Invitation the token of one.
type ProviderRequest struct {
	Provider   string
	Bindings   []string
	Target     string
	Invitation string
}

// ProviderRedirect leads the browser to the provider. It must keep Binding, in a
// cookie of the host, for ValidFor. FormPost says that the provider sends it back
// by a form of its own site.
type ProviderRedirect struct {
	URL      string
	Binding  string
	ValidFor time.Duration
	FormPost bool
}

// flowData is what a flow knows beside its row.
type flowData struct {
	Target     string `json:"target,omitempty"`
	Invitation string `json:"invitation,omitempty"` // sealed
	SessionID  string `json:"sessionId,omitempty"`  // that wants a link, or a proof
	Guest      string `json:"guest,omitempty"`      // the wallet: no cookie goes with a form of the provider's
	// Identity waits for an address.
	Identity *federation.New `json:"identity,omitempty"`
	Name     string          `json:"name,omitempty"`
}

// BeginProviderSignIn begins a sign-in with a provider. It fails with
// [ErrUnknownProvider] or [*ProviderError].
func (s *Service) BeginProviderSignIn(ctx context.Context, client principal.Client, r ProviderRequest) (ProviderRedirect, error) {
	data := flowData{Target: r.Target, Guest: client.Guest}
	if r.Invitation != "" {
		sealed, err := s.cfg.Secrets.Bound().Seal([]byte(r.Invitation), []byte(invitationPlace))
		if err != nil {
			return ProviderRedirect{}, err
		}
		data.Invitation = string(sealed)
	}
	return s.beginFlow(ctx, client, r, federation.Flow{Purpose: federation.SignIn, Provider: r.Provider}, data)
}

// BeginProviderLink begins to link an account of a provider to the caller, who must
// have authenticated recently. It fails as [Service.BeginProviderSignIn] does, or
// with [*ReauthenticationError].
func (s *Service) BeginProviderLink(ctx context.Context, c principal.Caller, r ProviderRequest) (ProviderRedirect, error) {
	if _, err := s.provider(r.Provider); err != nil {
		return ProviderRedirect{}, err
	}
	if err := s.RequireRecent(ctx, c); err != nil {
		return ProviderRedirect{}, err
	}
	return s.beginFlow(ctx, c.Client, r, federation.Flow{Purpose: federation.Link, Provider: r.Provider, UserID: c.UserID},
		flowData{Target: r.Target, SessionID: c.SessionID})
}

// BeginProviderProof begins to show once more who the caller is, by an account of a
// provider that is linked. It fails as [Service.BeginProviderSignIn] does.
func (s *Service) BeginProviderProof(ctx context.Context, c principal.Caller, r ProviderRequest) (ProviderRedirect, error) {
	return s.beginFlow(ctx, c.Client, r, federation.Flow{Purpose: federation.Prove, Provider: r.Provider, UserID: c.UserID},
		flowData{Target: r.Target, SessionID: c.SessionID})
}

func (s *Service) beginFlow(ctx context.Context, client principal.Client, r ProviderRequest, f federation.Flow, data flowData) (ProviderRedirect, error) {
	p, err := s.provider(r.Provider)
	if err != nil {
		return ProviderRedirect{}, err
	}
	out := ProviderRedirect{ValidFor: federation.FlowTTL, FormPost: p.FormPost()}
	// Tabs of one browser share what it holds, so that none spoils another's.
	if i := slices.IndexFunc(r.Bindings, isBinding); i >= 0 {
		out.Binding = r.Bindings[i]
	} else {
		out.Binding = federation.NewBinding()
	}
	var state string
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		state, err = federation.BeginTx(ctx, tx, f, out.Binding, data)
		return err
	})
	if err != nil {
		return ProviderRedirect{}, err
	}
	if out.URL, err = p.AuthorizationURL(ctx, s.flowRequest(p, out.Binding, state, f.Purpose)); err != nil {
		return ProviderRedirect{}, s.refused(ctx, client, f.UserID, p.ID, err)
	}
	return out, nil
}

// isBinding reports whether a cookie has the form of ours.
func isBinding(text string) bool { return len(text) == 43 }

// flowRequest is what a provider is asked with: secrets that only this browser and
// this state give.
func (s *Service) flowRequest(p *provider.Provider, binding, state string, purpose federation.Purpose) provider.Request {
	return provider.Request{
		RedirectURI: s.cfg.BaseURL + callbackPath + p.ID, State: state,
		Nonce: federation.Derive(binding, state, "nonce"), Verifier: federation.Derive(binding, state, "pkce"),
		Fresh: purpose == federation.Prove,
	}
}

// ProviderAnswer is what the browser brings back from a provider. Name is what the
// provider says beside it, of who signs in for the first time.
type ProviderAnswer struct {
	Provider, State     string
	Code, Issuer, Fault string
	Name                string
	Bindings            []string
}

// ProviderOutcome is what came of it, as far as it got: Target is where the browser
// wanted to go, checked, and Browser the session of a sign-in. MailedTo is, of an
// address that is not proven, where the mail went that asks for it.
type ProviderOutcome struct {
	Purpose  federation.Purpose
	Target   string
	Browser  BrowserSession
	MailedTo string
}

// CompleteProvider takes what came back from a provider. It fails with
// [ErrUnknownProvider], [*ProviderError], [*EmailRequiredError],
// [*SecondFactorError], [*LockedError], [ErrEmailNotVerified], [ErrEmailTaken],
// [ErrLinkedElsewhere], [ErrTooManyAccounts], [ErrRegistrationClosed],
// [ErrInvitationRequired] or [ErrInvitation].
func (s *Service) CompleteProvider(ctx context.Context, client principal.Client, a ProviderAnswer) (out ProviderOutcome, err error) {
	p, err := s.provider(a.Provider)
	if err != nil {
		return out, err
	}
	var flow federation.Flow
	var binding string
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		flow, binding, err = federation.TakeTx(ctx, tx, a.State, a.Bindings)
		return err
	})
	switch {
	case errors.Is(err, federation.ErrNotFound), err == nil && flow.Purpose == federation.Address:
		return out, s.refused(ctx, client, "", p.ID, &provider.Error{Reason: ReasonState})
	case err != nil:
		return out, err
	case flow.Provider != p.ID:
		return out, s.refused(ctx, client, flow.UserID, p.ID, &provider.Error{Reason: reasonMixUp})
	}
	var data flowData
	if err := json.Unmarshal(flow.Data, &data); err != nil {
		return out, err
	}
	out.Purpose, out.Target = flow.Purpose, data.Target
	id, err := p.Redeem(ctx, s.flowRequest(p, binding, a.State, flow.Purpose), provider.Response{Code: a.Code, Issuer: a.Issuer, Fault: a.Fault})
	if err != nil {
		return out, s.refused(ctx, client, flow.UserID, p.ID, err)
	}
	switch flow.Purpose {
	case federation.Link:
		return out, s.linkIdentity(ctx, client, flow.UserID, data.SessionID, id)
	case federation.Prove:
		return out, s.proveByIdentity(ctx, client, flow.UserID, data.SessionID, id)
	}
	if id.Name == "" {
		id.Name = a.Name
	}
	client.Guest = cmp.Or(client.Guest, data.Guest)
	how := admission{binding: binding, target: data.Target}
	if data.Invitation != "" {
		token, err := s.cfg.Secrets.Bound().Open([]byte(data.Invitation), []byte(invitationPlace))
		if err != nil {
			return out, err
		}
		how.invitation = string(token)
	}
	proved, err := s.admit(ctx, client, id, how)
	if out.MailedTo = proved.User.Email; err != nil {
		return out, err
	}
	if err := s.askSecondFactor(ctx, client, proved, true); err != nil {
		return out, err
	}
	out.Browser, err = s.beginBrowser(ctx, client, proved, true)
	return out, err
}

// refused records why nobody was signed in with a provider, and returns what its
// user is told. Errors that are none of a provider come back as they are.
func (s *Service) refused(ctx context.Context, client principal.Client, userID, providerID string, err error) error {
	var why *provider.Error
	if !errors.As(err, &why) {
		return err
	}
	s.recordRefusal(ctx, client, userID, providerID, why.Reason)
	s.log.WarnContext(ctx, "a sign-in with a provider was refused", "provider", providerID, "reason", string(why.Reason), "error", why, "address", client.Network())
	return &ProviderError{Provider: providerID, Reason: why.Reason}
}

func (s *Service) recordRefusal(ctx context.Context, client principal.Client, userID, providerID string, reason provider.Reason) {
	s.observeSignIn("provider_refused")
	s.record(ctx, audit.Event{Type: "provider_refused", UserID: userID, Client: client,
		Metadata: map[string]any{"provider": providerID, "reason": string(reason)}})
}

// SignInByIDToken begins an app session by the ID token that an app got from a
// provider. nonce is compared where one is given. It fails as
// [Service.CompleteProvider] does.
func (s *Service) SignInByIDToken(ctx context.Context, client principal.Client, providerID, idToken, nonce string) (Tokens, error) {
	p, err := s.provider(providerID)
	if err != nil {
		return Tokens{}, err
	}
	id, err := p.VerifyIDToken(ctx, idToken, nonce)
	if err != nil {
		return Tokens{}, s.refused(ctx, client, "", p.ID, err)
	}
	proved, err := s.admit(ctx, client, id, admission{})
	if err != nil {
		return Tokens{}, err
	}
	if err := s.askSecondFactor(ctx, client, proved, true); err != nil {
		return Tokens{}, err
	}
	return s.beginApp(ctx, client, proved)
}
