package config

import "mana.how/edge/caddymodule/syntax"

// Config is the app's configuration as an admin writes it, before placeholders
// and defaults. Every string may hold placeholders such as {env.NAME} and
// {file.PATH}; one that comes out empty counts as not set. Use them for all
// secrets, because Caddy shows its config on the admin endpoint.
type Config struct {
	// Where the state lives. Default: the PostgreSQL of DATABASE_URL, else an
	// embedded one.
	Database *DatabaseConfig `json:"database,omitempty"`

	// A standby of the database, for what may be some moments old: history, usage
	// and exports. While it does not answer, the database itself is asked.
	Replica string `json:"replica,omitempty"`

	// URL of a Redis that all edges share, redis://[user:password@]host:port[/db]
	// or rediss:// for TLS. Without one, rate limits are counted per process.
	// While Redis is away, they are counted per process too.
	// Default: REDIS_HOST, REDIS_PORT and REDIS_PASSWORD.
	Redis string `json:"redis,omitempty"`

	// The public address of the auth service, scheme and host only: issuer of
	// the tokens, and the base of links. Required.
	// Default: BASE_URL, else JWT_ISSUER where that is a URL.
	BaseURL string `json:"base_url,omitempty"`

	// The audience of access tokens. Default: JWT_AUDIENCE, else manacore.
	Audience string `json:"audience,omitempty"`

	// The domain of the sign-on cookie, such as .mana.how; base_url must lie
	// in it. Default: COOKIE_DOMAIN, else the host of base_url alone.
	CookieDomain string `json:"cookie_domain,omitempty"`

	// Origins that may call the API with cookies and that sign-in may lead back
	// to: scheme://host[:port]. * as the leftmost label stands for one or more
	// labels. base_url is always trusted. Default: CORS_ORIGINS (commas between).
	TrustedOrigins []string `json:"trusted_origins,omitempty"`

	// The secret that protects what is stored: any string of 32 bytes or more.
	// Keep a copy: without it the signing keys in the database cannot be read.
	// Default: MANA_ENCRYPTION_KEY, else BETTER_AUTH_SECRET or AUTH_SECRET. With
	// the embedded database one is made in its directory. In a Caddyfile older
	// ones follow it on the same line.
	EncryptionKey string `json:"encryption_key,omitempty"`

	// Encryption keys that were used before. What they protect is readable
	// still, and is sealed anew with encryption_key at the start. Take one out
	// when refresh_token_ttl has passed since.
	OldEncryptionKeys []string `json:"old_encryption_keys,omitempty"`

	// The secret with which back ends of the family call internal routes.
	// Default: MANA_CORE_SERVICE_KEY. Without one those routes are closed.
	ServiceKey string `json:"service_key,omitempty"`

	// Keys of back ends that may do less: each acts under the appId of its name
	// alone, and within its scopes. In a Caddyfile they are service_key with a name.
	ServiceKeys []ServiceKeyConfig `json:"service_keys,omitempty"`

	// Clients of the OpenID provider. Others are made by `mana client create`.
	// SYNAPSE_OIDC_CLIENT_SECRET makes the client matrix-synapse.
	OIDCClients []OIDCClientConfig `json:"oidc_clients,omitempty"`

	// The initial access token with which clients register themselves (RFC 7591).
	// Without one none can.
	OIDCRegistration string `json:"oidc_registration,omitempty"`

	// Services whose access tokens are taken beside those of this edge, while apps move
	// from one to the other.
	AcceptedIssuers []AcceptedIssuerConfig `json:"accepted_issuers,omitempty"`

	// How long an access token lives, as a duration such as 15m. Default: 15m.
	AccessTokenTTL string `json:"access_token_ttl,omitempty"`

	// How long a refresh token lives without being used, as a duration; d
	// stands for days. Default: 7d.
	RefreshTokenTTL string `json:"refresh_token_ttl,omitempty"`

	// Whether an e-mail address must be verified before its owner can sign in:
	// required or optional. Where it is required, nobody learns from the API
	// whether an address has an account; the owner of the address is told by
	// mail. Default: required if there is a mail server, else optional.
	EmailVerification string `json:"email_verification,omitempty"`

	// Whether anybody may make an account: open, closed or invite. Where it is
	// closed, accounts are made by `mana user create` alone; with invite whoever
	// was sent an invitation by `mana user invite` makes one. Default: open.
	Registration string `json:"registration,omitempty"`

	// Whether everybody must have a second factor: optional or required. Where it
	// is required, who has neither an authenticator nor a passkey is led to set one
	// up, and reaches no app before. Default: optional.
	SecondFactor string `json:"second_factor,omitempty"`

	// When registration, and what sends mails to an address, ask for a proof of work
	// (ALTCHA): off, auto (while more than 60 such requests a minute come in at this
	// edge) or always. Default: auto.
	ProofOfWork string `json:"proof_of_work,omitempty"`

	// Ids of users who are admins without having the role, for an admin who gives
	// the first one theirs. Default: those of ADMIN_USER_IDS, with commas.
	Admins []string `json:"admins,omitempty"`

	// New passwords that are refused: common (a list of this program), off, or a
	// file with one password a line. Default: common.
	PasswordBlocklist string `json:"password_blocklist,omitempty"`

	// A directory with the passwords of known breaches, which are refused too: range
	// files as the downloader of Pwned Passwords writes them, looked up in place.
	BreachedPasswords string `json:"breached_passwords,omitempty"`

	// The back ends of apps that keep data of users, asked when somebody wants to
	// see theirs, or leaves. Default: CHAT_BACKEND_URL and its kind.
	Backends []BackendConfig `json:"backends,omitempty"`

	// Webhooks to the endpoints that admins make at the desk or by command.
	Webhooks *WebhooksConfig `json:"webhooks,omitempty"`

	// Whom users may sign in with beside what they have here, in the order of the
	// buttons.
	Providers []ProviderConfig `json:"providers,omitempty"`

	// Whose pages and mails they are: name, logo, colour and links.
	Brand *BrandConfig `json:"brand,omitempty"`

	// What things cost, by name. Metered routes, back ends and quotes name a price in
	// place of a number of credits.
	Prices []PriceConfig `json:"prices,omitempty"`

	// When the owners of accounts are told that their credits run low or end.
	Credits *CreditsConfig `json:"credits,omitempty"`

	// How often one client address may call routes of the API and send forms of the
	// pages: `<requests>/<duration>` or `off` by the name of a group of routes or the
	// operation id of one. What is not named keeps the limit that it has.
	Limits map[string]string `json:"limits,omitempty"`

	// Gifts of credits.
	Gifts *GiftsConfig `json:"gifts,omitempty"`

	// How long what has ended is kept before it is deleted. The ledger is kept
	// for ever.
	Retention *RetentionConfig `json:"retention,omitempty"`

	// What is wrong with the block in a Caddyfile. With any, the config is refused.
	Faults syntax.Faults `json:"faults,omitempty"`

	// The mail server. Without one, mails are written to the log with their links.
	// Default: SMTP_HOST, SMTP_PORT, SMTP_USER, SMTP_PASSWORD and SMTP_FROM, where
	// user and password are set.
	SMTP *SMTPConfig `json:"smtp,omitempty"`

	// Payments, through an account at Stripe. Without one credits can be spent,
	// granted and given away, but not bought.
	Stripe *StripeConfig `json:"stripe,omitempty"`

	// Where security events are handed on to, for programs that watch over them.
	// Default: nowhere; they are in the database either way.
	Events *EventsConfig `json:"events,omitempty"`

	// Object storage for the pictures of users. Default: S3_ENDPOINT, S3_REGION,
	// S3_ACCESS_KEY, S3_SECRET_KEY and MANACORE_STORAGE_PUBLIC_URL, else a directory
	// of this machine.
	Storage *StorageConfig `json:"storage,omitempty"`
}

// AcceptedIssuerConfig is a service whose access tokens are taken. Its users are those
// of this edge, by their ids: what they may do is what stands here.
type AcceptedIssuerConfig struct {
	// The iss claim of its tokens, letter by letter. It may be base_url.
	Issuer string `json:"issuer"`

	// The address of its key set (RFC 7517). Over http whoever stands between can speak
	// for any user.
	JWKSURL string `json:"jwks_url"`
}

// OIDCClientConfig is a client of the OpenID provider.
type OIDCClientConfig struct {
	// The client_id: up to 128 visible ASCII characters without a colon.
	ID string `json:"id"`

	// What users are shown. Default: the id.
	Name string `json:"name,omitempty"`

	// The client_secret. A client that cannot keep one, such as an app on a phone or in
	// a browser, is public instead, and must use PKCE.
	Secret string `json:"secret,omitempty"`
	Public bool   `json:"public,omitempty"`

	// Whether users are not asked for their consent: for apps of the family.
	Trusted bool `json:"trusted,omitempty"`

	// Where the browser may be led back to, each letter by letter. The port of a
	// loopback address of a public client may differ.
	RedirectURIs []string `json:"redirect_uris,omitempty"`

	// Where it may go after signing out.
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`

	// Where the client is told of sessions that have ended (OpenID Connect
	// Back-Channel Logout).
	BackchannelLogoutURI string `json:"backchannel_logout_uri,omitempty"`

	// Scopes the client may ask for. Default: openid profile email offline_access.
	Scopes []string `json:"scopes,omitempty"`

	// authorization_code, refresh_token, client_credentials or
	// urn:ietf:params:oauth:grant-type:device_code. Default: the first two.
	GrantTypes []string `json:"grant_types,omitempty"`

	// EdDSA or RS256. Default: EdDSA.
	IDTokenSignedResponseAlg string `json:"id_token_signed_response_alg,omitempty"`

	// opaque, or jwt (RFC 9068). Default: opaque.
	AccessToken string `json:"access_token,omitempty"`

	// The aud of access tokens. Default: the client's id.
	Audience string `json:"audience,omitempty"`

	// A picture of the client, for pages of others; ours show none from elsewhere.
	LogoURI string `json:"logo_uri,omitempty"`
}

// ServiceKeyConfig is the key of the back end of one app.
type ServiceKeyConfig struct {
	// Its appId: lower-case letters, digits and hyphens.
	Name string `json:"name"`

	// The secret itself.
	Key string `json:"key"`

	// What it may do: credits:charge, credits:refund, credits:read, credits:grant,
	// gifts:redeem, matrix:link, matrix:session, members:read, users:read.
	Scopes []string `json:"scopes"`
}

// BackendConfig is the back end of an app.
type BackendConfig struct {
	// Its name: lower-case letters, digits and hyphens.
	ID string `json:"id"`

	// Where it is: scheme, host and perhaps a path.
	URL string `json:"url"`

	// What it knows this service by, in X-Service-Key. Default: ADMIN_SERVICE_KEY.
	Key string `json:"key,omitempty"`
}

// ProviderConfig is a provider that users may sign in with: Google, Apple, GitHub or
// any OpenID provider. It leads back to <base_url>/api/auth/callback/<id>, which must
// be registered there; the id is google, apple, github or the name of an OpenID
// provider.
type ProviderConfig struct {
	// google, apple, github or oidc.
	Kind string `json:"kind"`

	// Of an OpenID provider, its name in addresses: lower-case letters, digits and
	// hyphens, up to 32. It stays the same: accounts are linked under it.
	ID string `json:"id,omitempty"`

	// What the button says, up to 40 characters. Default: Google, Apple, GitHub, or
	// the name of the provider.
	Name string `json:"name,omitempty"`

	// Issuer of an OpenID provider, under which its discovery document lies. An
	// https URL, or one of this machine. Google and Apple have theirs; another one
	// is for test servers.
	Issuer string `json:"issuer,omitempty"`

	// The address of a GitHub Enterprise Server. Default: https://github.com.
	Endpoint string `json:"endpoint,omitempty"`

	// What the provider knows this service by.
	ClientID string `json:"client_id,omitempty"`

	// The secret beside it. Apple has a key instead.
	ClientSecret string `json:"client_secret,omitempty"`

	// Client ids of mobile apps whose ID tokens are taken beside those of client_id.
	Audiences []string `json:"audiences,omitempty"`

	// The team at Apple, the id of its key, and the key: the text of the file .p8, as
	// {file./etc/mana/AuthKey.p8}.
	TeamID     string `json:"team_id,omitempty"`
	KeyID      string `json:"key_id,omitempty"`
	PrivateKey string `json:"private_key,omitempty"`

	// What is asked for. Default: openid email profile, or what the kind has in
	// its place.
	Scopes []string `json:"scopes,omitempty"`

	// The claim that decides the role of a user at every sign-in with this provider,
	// such as groups or realm_access.roles, of Google and OpenID providers.
	RoleClaim string `json:"role_claim,omitempty"`

	// Which values of it give which role, user or admin. Who has none is a user.
	Roles map[string]string `json:"roles,omitempty"`

	// Nobody signs in, or registers, with a password or a mailed link any more.
	Only bool `json:"only,omitempty"`
}

// BrandConfig is how the hosted pages and the mails look.
type BrandConfig struct {
	// What the service is called, up to 40 characters: in the header and the title
	// of pages, in mails, and in authenticator apps. Default: Mana.
	Name string `json:"name,omitempty"`

	// A picture that stands before the name: a file (SVG, PNG or WebP, up to 24 kB),
	// or a data URL of one. It is read when the config is loaded. An SVG must be
	// inert. Default: the first letter of the name.
	Logo string `json:"logo,omitempty"`

	// The colour of buttons and links, such as 2456c8. Where it is too faint for
	// text, text has a darker or a lighter shade of it.
	Colour string `json:"colour,omitempty"`

	// Links in the footer of every page: http or https URLs.
	Imprint string `json:"imprint,omitempty"`
	// Where it is said what becomes of personal data.
	Privacy string `json:"privacy,omitempty"`
	// Where users find help: a URL, or a mail address.
	Support string `json:"support,omitempty"`
}

// DatabaseConfig names the database: either an embedded or an external one.
type DatabaseConfig struct {
	// A private PostgreSQL of this process.
	Embedded *EmbeddedConfig `json:"embedded,omitempty"`

	// An external PostgreSQL, postgres://user:password@host:port/name. Its user
	// owns an empty database and may create roles, but is no superuser.
	// pool_max_conns and the other pool_ parameters of pgx are understood. A
	// placeholder that comes out empty is a fault here.
	URL string `json:"url,omitempty"`

	// Where url goes through PgBouncer in transaction mode: a URL that goes to
	// PostgreSQL itself, for LISTEN and for migrations. Timeouts that the
	// process else sets on connecting are then up to the role:
	// ALTER ROLE … SET statement_timeout = '10s'; `mana-edge mana doctor` tells.
	Direct string `json:"direct,omitempty"`

	// How statements are sent: cache_statement, cache_describe, exec or
	// simple_protocol. Default: cache_describe if direct is set, which every
	// PgBouncer can carry, else cache_statement.
	QueryMode string `json:"query_mode,omitempty"`
}

// EmbeddedConfig is the PostgreSQL that runs as a child of this process.
// Binaries come from MANA_POSTGRES_BIN, the PATH or the distribution's usual
// folders, else they are fetched.
type EmbeddedConfig struct {
	// The folder of the data. Default: mana/postgres in Caddy's data directory.
	Dir string `json:"dir,omitempty"`
}

// GiftsConfig is what becomes of gifts.
type GiftsConfig struct {
	// Hand out what is meant for an e-mail address to whoever registers it, at
	// once and unproven. Default: only when the address is verified.
	RedeemUnverified bool `json:"redeem_unverified,omitempty"`
}

// CreditsConfig is when the owner of an account is told of it, what accounts are given,
// and when gifting is held.
type CreditsConfig struct {
	// A balance below this many credits is low, where the owner has set no threshold of
	// their own. Default: none.
	LowBalance string `json:"low_balance,omitempty"`

	// How long before their end credits are told of, or off. Default: 7d.
	ExpiryNotice string `json:"expiry_notice,omitempty"`

	// From which score of abuse on the gifting of an account is held, 1 to 200, or off.
	// Default: 100.
	AbuseHold string `json:"abuse_hold,omitempty"`

	// What every new account is given once its address is verified. Default: nothing.
	Trial *TrialConfig `json:"trial,omitempty"`

	// Free credits that every user with a verified address has each day (UTC): they come
	// when the account is first asked for and end with the day. Default: none.
	Daily string `json:"daily,omitempty"`
}

// TrialConfig is what every new account is given, once a person.
type TrialConfig struct {
	// How many credits, above 0 and up to three decimals.
	Credits string `json:"credits"`

	// How long they last. Default: for ever.
	Expires string `json:"expires,omitempty"`

	// How many accounts with addresses of one domain are given them, or off for any
	// number. Domains of public mail providers, such as gmail.com, are not counted.
	// Default: 5.
	DomainLimit string `json:"domain_limit,omitempty"`
}

// WebhooksConfig is where webhooks may lead.
type WebhooksConfig struct {
	// Networks that may be reached beside the public Internet, in CIDR notation, such as
	// 10.0.0.0/8, and by http too. Default: none.
	Networks []string `json:"networks,omitempty"`
}

// RetentionConfig is how long what has ended is kept, each as a duration; d
// stands for days. What is older is deleted in small batches.
type RetentionConfig struct {
	// Security events, such as sign-ins and changes of a password. Default: 400d.
	Events string `json:"events,omitempty"`
	// Sessions after their end, with their refresh tokens. Default: 90d.
	Sessions string `json:"sessions,omitempty"`
	// Holds of credits after they were settled or released. Default: 48h.
	Holds string `json:"holds,omitempty"`
	// Messages that were sent, or given up. Default: 30d.
	Outbox string `json:"outbox,omitempty"`
}

// SMTPConfig is a mail server. What is sent to it is encrypted, but on the
// loopback network where the server cannot.
type SMTPConfig struct {
	// Name or address of the server. Default: SMTP_HOST.
	Host string `json:"host,omitempty"`
	// 587 for STARTTLS, 465 for implicit TLS. Default: SMTP_PORT, else 587.
	Port string `json:"port,omitempty"`
	// Account on the server. Default: SMTP_USER.
	Username string `json:"username,omitempty"`
	// Its password. Default: SMTP_PASSWORD.
	Password string `json:"password,omitempty"`
	// Sender, such as ManaCore <noreply@mana.how>. Default: SMTP_FROM.
	From string `json:"from,omitempty"`
	// A directory with templates that replace the mails of this program, each by
	// the name of its file.
	Templates string `json:"templates,omitempty"`
}

// EventsConfig is where security events are handed on to.
type EventsConfig struct {
	// stdout, file or webhook.
	To string `json:"to"`
	// Absolute path of the file, which is appended to.
	Path string `json:"path,omitempty"`
	// Address that events are posted to.
	URL string `json:"url,omitempty"`
	// Secret of 32 bytes or more that signs the requests.
	Secret string `json:"secret,omitempty"`
}

// StorageConfig is an S3 bucket.
type StorageConfig struct {
	// URL of the S3 API.
	Endpoint string `json:"endpoint,omitempty"`
	// Region, where the server wants one.
	Region string `json:"region,omitempty"`
	// Name of the bucket. Default: manacore-storage.
	Bucket string `json:"bucket,omitempty"`
	// Access key id.
	AccessKey string `json:"access_key,omitempty"`
	// Secret access key.
	SecretKey string `json:"secret_key,omitempty"`
	// Where the world reads the objects. Default: the bucket itself.
	PublicURL string `json:"public_url,omitempty"`
}
