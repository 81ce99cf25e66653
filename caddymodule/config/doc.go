// Package config is the configuration of the app "mana": the global option of a
// Caddyfile, its JSON, the environment, and the settings that come of them. As
// JSON:
//
//	{
//		"database": {"url": "{env.DATABASE_URL}", "direct": "{env.DIRECT_URL}"},
//		"redis": "redis://redis.internal:6379/0",
//		"base_url": "https://auth.example.com",
//		"cookie_domain": ".example.com",
//		"trusted_origins": ["https://*.example.com"],
//		"encryption_key": "{file./run/secrets/encryption_key}",
//		"service_key": "{env.SERVICE_KEY}"
//	}
//
// # Secrets
//
// A value written literally into the config is part of Caddy's config, and Caddy
// shows its config to whoever may ask its admin endpoint. Name secrets as
// {env.NAME} or {file.PATH}: then only the name is shown. Resolved secrets are
// held in types that print as "REDACTED".
//
// # Size
//
// It is larger than others because each block of the Caddyfile has its type, its parser and
// its checks in files of their own, and faults of all are reported together.
package config
