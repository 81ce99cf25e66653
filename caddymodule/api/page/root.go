package page

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
)

// rootPage leads to the account or, without a session, to sign-in.
func rootPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	_, err := c.Auth.BrowserSession(ctx, c.Request.Header["Cookie"])
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		return endpoint.Redirect{To: "/login"}, nil
	case err != nil:
		return nil, err
	}
	return endpoint.Redirect{To: defaultTarget}, nil
}

// icon is asked for by browsers whatever the page says.
func icon(context.Context, *endpoint.Call, endpoint.None) (endpoint.Document, error) {
	return endpoint.Document{ContentType: "image/svg+xml", CacheControl: "public, max-age=86400", Body: pages.Icon()}, nil
}
